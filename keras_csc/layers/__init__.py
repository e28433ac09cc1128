"""Keras layers of convolutional sparse coding."""

from keras_csc.layers.conv_sparse_coding import ConvSparseCoding2D
from keras_csc.layers.conv_sparse_decoding import ConvSparseDecoding2D
from keras_csc.layers.shared_batch_normalization import SharedBatchNormalization
