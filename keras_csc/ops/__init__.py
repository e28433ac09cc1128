"""Pure functions of tensors: the mathematics of the suite.

Written with `keras.ops`, so that they run on every Keras backend. Some have
faster forms on TensorFlow, in `ops.tensorflow`.
"""

from keras_csc.ops.coding_rate import class_moments
from keras_csc.ops.coding_rate import coding_rate
from keras_csc.ops.coding_rate import moment_coding_rate
from keras_csc.ops.coding_rate import rate_distance
from keras_csc.ops.coding_rate import rate_reduction
from keras_csc.ops.coding_rate import second_moment
from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import frame_bound
from keras_csc.ops.convolution import synthesis
from keras_csc.ops.lapped import postfilter
from keras_csc.ops.lapped import prefilter
from keras_csc.ops.program import SparseCodingProgram
from keras_csc.ops.proximal_gradient import solve_sparse_code
from keras_csc.ops.sizes import analysis_size
from keras_csc.ops.sizes import synthesis_size
from keras_csc.ops.sparse_coding import sparse_code
