"""What the benchmarks count, of which figures stand in the docs."""

from keras_csc_cli import building
from keras_csc_cli import train_options

import pytest

from benchmarks import scaling
from benchmarks.multiply_adds import Step
from keras_csc.models import presets


@pytest.mark.parametrize("flag_file", ["digits", "digits_published"])
def test_the_operations_of_images_are_those_of_the_formula(flag_file):
    options = train_options.parse([f"--flagfile={flag_file}.flags"])
    model = building.model(options, scaling.CLASSES)
    few, more = (
        scaling.floating_point_operations(model, images) for images in (8, 24)
    )
    step = Step(presets.model_config(model), 16)
    alternating = flag_file == "digits_published"
    formula = step.alternating() if alternating else step.one_pass()
    assert more - few == pytest.approx(2 * formula, rel=0.05)
