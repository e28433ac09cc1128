"""Whole photographs by solving convex programs of sparse coding.

A patch of a photograph is its mean and few atoms. Through a mask `M` and a
blur `H` one sees `y = M H x + noise`. Written with `keras.ops`, it runs on
every backend.
"""

from keras_csc.restoration.tasks import deblur
from keras_csc.restoration.tasks import denoise
from keras_csc.restoration.tasks import enlarge
from keras_csc.restoration.tasks import inpaint
