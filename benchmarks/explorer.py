"""Time that the explorer's page waits for its answers.

    python benchmarks/explorer.py

The functions that the handlers of `keras_csc.explorer.page` call, with the
HTML that they answer with: an image is looked at, the atoms of every stage are
shown, codes are changed, images drawn, walks made and details restored. `first`
is the time of the first call after `warm_up`, `seconds` the median of three
more, `processor_seconds` the median of the processor's, which other work on
the machine does not lengthen. What the browser takes is not part of it. Writes
benchmarks/results/explorer.json.
"""

import time

import keras_csc_cli  # noqa: F401

import numpy as np

from benchmarks import measuring
from keras_csc.explorer import Changes
from keras_csc.explorer import change
from keras_csc.explorer import examples_of
from keras_csc.explorer import look
from keras_csc.explorer import panels
from keras_csc.explorer import restore_detail
from keras_csc.explorer import warm_up
from keras_csc.explorer.panels import DRAWN
from keras_csc.explorer.panels import FRAMES
from keras_csc.models import ClosedLoopAutoencoder

TIMES = 3
HALF_A_MEGAPIXEL = (627, 836)
COLUMNS = [
    *("preset", "image", "answer"),
    *("first", "seconds", "processor_seconds"),
]
MODELS = ("csc_ctrl_digits", "csc_ctrl_fashion_mnist", "csc_ctrl_photographs")


def answers(model, image):
    """Functions of no argument, by what they answer."""
    seen = look(model, image)
    stages = seen.explanation.stages
    atom = int(stages[0].order[0])
    layer = model.encoder.coding_layers[0]

    def changed(**changes):
        return panels.change_panel(
            seen, change(model, seen, Changes(**changes))
        )

    found = {"look": lambda: panels.look_panel(look(model, image))}
    for number in range(1, len(stages) + 1):
        found[f"atoms of stage {number}"] = lambda number=number: (
            panels.stage_panel(look_again(seen), number)
        )
        found[f"an atom of stage {number} off"] = lambda number=number: changed(
            stage=number, factors={0: 0}
        )
    found |= {
        "another λ": lambda: changed(sparsity=2 * layer.sparsity),
        "5 steps": lambda: changed(steps=5),
        "a tenth kept": lambda: changed(kept=0.1),
        "two atoms swapped": lambda: changed(swap=(atom, (atom + 1) % 8)),
    }
    if model.density is not None:
        found["sample"] = lambda: panels.images_panel(
            model.sample(DRAWN, seed=0).numpy(), [], "", ""
        )
        found["walk"] = lambda: panels.images_panel(
            model.interpolate(image[None], image[None], FRAMES).numpy()[0],
            [],
            "",
            "",
        )
    if model.encoder.features == "map":
        for task in ("add noise", "pixels"):
            found[f"restore: {task}"] = lambda task=task: panels.filled(
                "restored", restore_detail(image, task)
            )
    return found


def look_again(seen):
    """The look, whose explanation remembers nothing."""
    for stage in seen.explanation.stages:
        vars(stage).pop("energies", None)
        vars(stage).pop("synthesis", None)
        vars(stage).pop("offset", None)
    return seen


def measure():
    for name in MODELS:
        model = ClosedLoopAutoencoder.from_preset(name)
        examples = examples_of(model, count=3)
        image = examples[-1].image
        if model.encoder.features == "map":
            height, width = HALF_A_MEGAPIXEL
            image = np.tile(image, (2, 2, 1))[:height, :width]
        warm_up(model, examples)
        for answer, function in answers(model, image).items():
            times = []
            for _ in range(TIMES + 1):
                began = time.perf_counter(), time.process_time()
                function()
                ended = time.perf_counter(), time.process_time()
                times.append(np.subtract(ended, began))
            yield {
                "preset": name,
                "image": "×".join(map(str, image.shape)),
                "answer": answer,
                "first": float(times[0][0]),
                "seconds": float(np.median(times[1:], axis=0)[0]),
                "processor_seconds": float(np.median(times[1:], axis=0)[1]),
            }


def main():
    measuring.report(
        "explorer",
        list(measure()),
        COLUMNS,
    )


if __name__ == "__main__":
    main()
