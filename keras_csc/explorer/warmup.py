"""The page's first answers, before anyone waits for them."""

from keras_csc.explorer import markup
from keras_csc.explorer.changing import Changes
from keras_csc.explorer.changing import change
from keras_csc.explorer.looking import look

# Images of a walk, and images that are drawn at a time.
FRAMES, DRAWN = 7, 14


def warm_up(model, examples):
    """Runs what the page will: the first time takes longest.

    Args:
        model: `ClosedLoopAutoencoder`.
        examples: list of `Example`; the first one is looked at.
    """
    seen = look(model, examples[0].image)
    if seen.explanation is not None:
        for number in range(1, len(seen.explanation.stages) + 1):
            markup.stage_panel(seen, number)
            change(model, seen, Changes(number, steps=3))
    if model.encoder.features == "vector":
        model.interpolate(seen.image[None], seen.image[None], FRAMES)
    if model.density is not None:
        model.sample(DRAWN, seed=0)
