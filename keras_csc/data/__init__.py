"""The input side: sources of images, and batches that resume exactly."""

from keras_csc.data.pipeline import batches
from keras_csc.data.pipeline import cached
from keras_csc.data.pipeline import check_readable
from keras_csc.data.pipeline import evaluation_batches
from keras_csc.data.pipeline import load_arrays
from keras_csc.data.pipeline import open_dataset
from keras_csc.data.sources import DataError
