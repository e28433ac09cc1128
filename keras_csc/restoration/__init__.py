"""Photographs: denoised, filled in, deblurred and enlarged.

Through a mask `M` and a blur `H` one sees `y = M H x + noise` of a photograph
`x`. Unrolled convolutional sparse coding, which learned from photographs,
removes the noise, and is the prior of the other tasks. Written with
`keras.ops`, it runs on every backend.
"""

from keras_csc.restoration.noise import estimate_noise
from keras_csc.restoration.sparse_denoiser import SparseDenoiser
from keras_csc.restoration.tasks import deblur
from keras_csc.restoration.tasks import denoise
from keras_csc.restoration.tasks import enlarge
from keras_csc.restoration.tasks import inpaint
