"""Photographs: denoised, filled in, deblurred and enlarged.

A photograph `x` is seen through a mask `M` and a blur `H`, as
`y = M H x + noise`. Unrolled convolutional sparse coding, which learned from
photographs, removes the noise, and is the prior of the other tasks. It is
written with `keras.ops` and runs on every backend.
"""

from keras_csc.restoration.noise import estimate_noise
from keras_csc.restoration.sparse_denoiser import SparseDenoiser
from keras_csc.restoration.tasks import deblur
from keras_csc.restoration.tasks import denoise
from keras_csc.restoration.tasks import enlarge
from keras_csc.restoration.tasks import inpaint
