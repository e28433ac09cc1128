"""Features of images without labels or gradients, and a classifier of them.

One layer of sparse codes, whose atoms are patches of the images, and a linear
classifier in closed form: both are fitted in minutes, and say why.
"""

from keras_csc.features.ridge import ridge_classifier
from keras_csc.features.sparse_features import SparseFeatures
