"""Samples by how many Gaussians a class has, and by temperature.

    python -m studies.sampling --preset=csc_ctrl_fashion_mnist \\
        --dataset=fashion_mnist --data_dir=DATA --classifier=CLASSIFIER.keras

CLASSIFIER is what `train.py --metrics=classes` leaves in its run's folder
`classifiers/`. Densities are fitted to the features of training images. As many
samples as there are validation images, and of their classes, are compared with
them in the features of the classifier, as `evaluation.compare` does. Prints a
table; its first line has the reconstructions of the validation images.
"""

import argparse

from keras_csc import data
from keras_csc import evaluation
from keras_csc.evaluation import passes
from keras_csc.models import ClosedLoopAutoencoder

TRAINING_IMAGES = 10_000
COMPONENTS = (1, 5, 10, 20)
TEMPERATURES = (1.0, 1.2, 1.4)
HEAD = (
    "| Gaussians of a class | temperature | Fréchet | precision | recall | "
    "asked class | nearest |\n|-|-|-|-|-|-|-|"
)


def line(components, temperature, figures):
    """A line of the table, of the figures of `evaluation.sample_figures`."""
    found = figures["distribution"]
    return (
        f"| {components} | {temperature} | {found['frechet_distance']:.2f} | "
        f"{found['precision']:.2f} | {found['recall']:.2f} | "
        f"{figures['same_class']:.3f} | {figures['nearest']['samples']:.3f} |"
    )


def table(model, train, validation, judge, components, temperatures):
    """Lines of the table, as they are found.

    Args:
        model: `ClosedLoopAutoencoder`; it has the last density afterwards.
        train: pair of uint8 images `(n, height, width, channels)` and their
            labels `(n,)`.
        validation: such a pair.
        judge: `evaluation.FeatureExtractor` of a classifier.
        components: ints, each of `FeatureDensity.fit`.
        temperatures: floats, each of `FeatureDensity.sample`.
    """
    images, labels = validation

    def figures(made):
        return evaluation.sample_figures(
            made, images, labels, train[0], judge
        ).figures

    yield HEAD
    made = passes.by_batches(model.reconstruct, images)
    yield line("reconstructions", "", figures(made))
    for count in components:
        model.fit_density(*train, count)
        for temperature in temperatures:
            drawn = model.density.sample(len(labels), labels, 0, temperature)
            made = passes.decode(model, drawn)
            yield line(count, temperature, figures(made))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data_dir")
    parser.add_argument("--classifier", required=True)
    options = parser.parse_args()
    try:
        judge = evaluation.classifier_extractor(options.classifier)
        model = ClosedLoopAutoencoder.from_preset(options.preset)
        train, validation = (
            data.load_arrays(
                data.open_dataset(
                    options.dataset,
                    split,
                    model.encoder.image_shape,
                    data_dir=options.data_dir,
                ),
                TRAINING_IMAGES,
            )
            for split in ("train", "validation")
        )
    except (data.DataError, OSError, ValueError) as error:
        parser.error(str(error))
    if model.encoder.features != "vector":
        parser.error("--preset: models of maps have no density.")
    lines = table(model, train, validation, judge, COMPONENTS, TEMPERATURES)
    for each in lines:
        print(each, flush=True)


if __name__ == "__main__":
    main()
