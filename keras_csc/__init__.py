"""CSC-CTRL: image autoencoders of convolutional sparse coding layers."""
