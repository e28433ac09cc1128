from keras_csc.data.embedded import open_digits
from keras_csc.data.embedded import open_photographs
from keras_csc.data.folders import open_folder
from keras_csc.data.sources import DataError
from keras_csc.data.tfds import open_tfds
from keras_csc.validation import check_choice
from keras_csc.validation import check_integers
from keras_csc.validation import check_number

SPLITS = ("train", "validation", "test")


def open_dataset(
    name,
    split,
    image_shape,
    data_dir=None,
    validation_fraction=0.05,
    download=False,
    random_crop=False,
    resize=True,
):
    """Opens one split of a data set of images.

    Images come as uint8 of `image_shape`: those of another size are resized to
    cover it and cropped, or padded with black if at most 4 pixels smaller, as
    `keras_csc.data.images.fit` does. Validation examples are the last
    `validation_fraction` of the training examples, which no longer hold them.

    - A TFDS name (`cifar10`, `lsun/bedroom`, `mnist:3.0.1`): prepared below
      `data_dir`. `imagenet2012` is tested on its validation images and `stl10`
      is trained on its unlabelled ones.
    - `image_folder`: `data_dir/{train,test}/CLASS/*.jpg`,
      `data_dir/CLASS/*.jpg` or, unlabelled, `data_dir/*.jpg`. Without a folder
      `train`, 10% of the files, chosen by a hash of their path, are for tests.
      A folder `validation` (or `val`) beside both `train` and `test` is the
      "validation" split, and then nothing of `train` is; without `test` it is
      the "test" split.
      JPEG, PNG, GIF (first frame), BMP, WebP and TIFF files are read, of up to
      67,108,864 pixels. Links within the folder are not followed.
    - `digits` and `photographs`: inside scikit-learn and scikit-image.

    Args:
        name: name of the data set.
        split: "train", "validation" or "test".
        image_shape: (height, width, channels) that the model wants, with 1 or
            3 channels.
        data_dir: folder of the data; for TFDS the default is TFDS's own.
        validation_fraction: float in [0, 1).
        download: whether TFDS may download and prepare a set that is not
            there. Nothing else touches the network.
        random_crop: whether the "train" split crops images at random positions
            where their aspect leaves a choice. All else takes the centre.
        resize: whether images are resized to cover `image_shape`. If not, an
            `image_folder` is cut into crops of that size, as many as fit, at
            random places with `random_crop`; `photographs` always are.

    Returns:
        A source, for `batches`, `evaluation_batches`, `load_arrays`, `cached`.
        It has `name`, `split`, `size`, `image_shape`, `num_classes` and
        `class_names` (both `None` if unlabelled) and `epoch()`.

    Raises:
        ValueError: if an argument is wrong.
        DataError: a `ValueError`, if the data are missing, damaged or not for
            such images.
    """
    check_choice(SPLITS, split=split)
    check_integers(1, length=3, image_shape=image_shape)
    check_number("[0, 1)", validation_fraction=validation_fraction)
    image_shape = tuple(image_shape)
    if image_shape[-1] not in (1, 3):
        raise DataError(
            f"image_shape must have 1 or 3 channels; received {image_shape}."
        )
    random_crop = random_crop and split == "train"
    if not resize and name not in ("image_folder", "photographs"):
        raise DataError(
            "resize=False is for image_folder, whose images are then cut into "
            f"crops, and for photographs; received it for {name}."
        )
    if name == "digits":
        return open_digits(split, image_shape, validation_fraction)
    if name == "photographs":
        return open_photographs(split, image_shape, validation_fraction)
    if name == "image_folder":
        return open_folder(
            split,
            image_shape,
            data_dir,
            validation_fraction,
            random_crop,
            resize,
        )
    return open_tfds(
        name,
        split,
        image_shape,
        data_dir,
        validation_fraction,
        download,
        random_crop,
    )
