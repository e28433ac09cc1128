"""The page's first answers, before anyone waits for them."""

from keras_csc.explorer import markup
from keras_csc.explorer.changing import Changes
from keras_csc.explorer.changing import change
from keras_csc.explorer.damage import middle
from keras_csc.explorer.looking import look

# Images of a walk, and images that are drawn at a time.
FRAMES, DRAWN = 7, 16
# Pixels a side of the part of a photograph that will do.
PART = 64


def warm_up(model, examples):
    """Runs what the page will: the first time takes longest.

    Args:
        model: `ClosedLoopAutoencoder`.
        examples: list of `Example`; the first one is looked at, of a
            photograph a part.
    """
    image = examples[0].image
    if model.encoder.features == "map":
        image = middle(image, PART)
    seen = look(model, image)
    if seen.explanation is not None:
        for number in range(1, len(seen.explanation.stages) + 1):
            markup.stage_panel(seen, number)
            change(model, seen, Changes(number, steps=3))
    if model.encoder.features == "vector":
        model.interpolate(seen.image[None], seen.image[None], FRAMES)
    if model.density is not None:
        model.sample(DRAWN, seed=0)
