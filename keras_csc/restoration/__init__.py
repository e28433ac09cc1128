"""Whole photographs by solving the convex program of sparse coding.

A photograph is a smooth image and atoms, `x = l + A z`. Through a mask `M` and
a blur `H` one sees `y = M H x + noise`. Written with `keras.ops`, it runs on
every backend.
"""

from keras_csc.restoration.dictionaries import default_dictionary
from keras_csc.restoration.dictionaries import load_dictionary
from keras_csc.restoration.dictionaries import save_dictionary
from keras_csc.restoration.dictionary_learning import learn_dictionary
from keras_csc.restoration.quadratic import smooth_part
from keras_csc.restoration.settings import Settings
from keras_csc.restoration.tasks import deblur
from keras_csc.restoration.tasks import denoise
from keras_csc.restoration.tasks import enlarge
from keras_csc.restoration.tasks import inpaint
