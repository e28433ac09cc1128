"""The operations as TensorFlow computes them fastest.

The functions are those of `ops.portable`, and have its results. `choose` says
which path is taken when. Nothing in this package imports what imports it.
"""

from keras_csc.ops.tensorflow.choose import analysis
from keras_csc.ops.tensorflow.choose import cholesky
from keras_csc.ops.tensorflow.choose import filter_gradient
from keras_csc.ops.tensorflow.choose import fusable
from keras_csc.ops.tensorflow.choose import fusion
from keras_csc.ops.tensorflow.choose import solving
from keras_csc.ops.tensorflow.choose import synthesis
from keras_csc.ops.tensorflow.choose import trains
