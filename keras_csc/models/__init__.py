"""Encoder, decoder, and the autoencoder that trains them in a closed loop."""

from keras_csc.models.closed_loop_autoencoder import ClosedLoopAutoencoder
from keras_csc.models.decoder import Decoder
from keras_csc.models.encoder import Encoder
from keras_csc.models.first_atoms import initialize_from
from keras_csc.models.first_atoms import initialize_from_patches
from keras_csc.models.player import EncoderOutput
from keras_csc.models.tiles import Tiles
