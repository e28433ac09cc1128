"""Features of images without labels or gradients, and a classifier of them.

One layer of sparse codes has patches of the images as atoms. A linear
classifier is in closed form. Both are fitted in minutes, and say why.
"""

from keras_csc.features.ridge import ridge_classifier
from keras_csc.features.sparse_features import SparseFeatures
