"""Whole photographs by solving the convex program of sparse coding.

`x = l + A z`: a smooth image `l` and atoms `A z`, of which a mask `M` and a
blur `H` let something be seen, `y = M H x + noise`. Written with `keras.ops`,
it runs on every backend.
"""

from keras_csc.restoration.dictionaries import default_dictionary
from keras_csc.restoration.dictionaries import load_dictionary
from keras_csc.restoration.dictionaries import save_dictionary
from keras_csc.restoration.dictionary_learning import learn_dictionary
from keras_csc.restoration.quadratic import smooth_part
from keras_csc.restoration.restoring import Settings
from keras_csc.restoration.tasks import deblur
from keras_csc.restoration.tasks import denoise
from keras_csc.restoration.tasks import enlarge
from keras_csc.restoration.tasks import inpaint
