"""How many multiply-adds a training step takes, by formula.

A convolution of layer `l` takes `c_l = h_l w_l k² channels filters`
multiply-adds an image, with codes of `h_l × w_l`; analysis, synthesis and the
filter gradient take as many each. With `N_l = 2T - 1` for a sparse coding layer
of `T` iterations and 1 for a convolution, a head or a decoding layer,

- a forward pass takes `Σ N_l c_l`,
- the gradient of the weights `Σ N_l c_l` more,
- that of what a layer was given another `Σ N_l c_l`, less `c_1` where the
  input of the first layer needs none.

Step sizes, normalisations, the stages' own errors, the rate reduction (matrices
of `feature_dim`) and the optimizer are left out.
"""


class Step:
    """Multiply-adds of the passes of a closed-loop autoencoder.

    Args:
        config: dict with `image_shape`, `filters`, `feature_dim`,
            `kernel_size`, `nonnegative`, `iterations`, `frozen_stages` and
            `network`, as of `keras_csc.models.presets.config`.
        batch: int, images of a step.
    """

    def __init__(self, config, batch):
        self.batch = batch
        self.layers = _convolutions(config)
        csc = config["network"] == "csc"
        self.repeats = 2 * config["iterations"] - 1 if csc else 1
        first = config["frozen_stages"]
        self.first = self.layers[first]
        self.decoder = sum(self.layers)
        self.encoder = self._encoder(self.layers)
        self.trained = self._encoder(self.layers[first:])

    def one_pass(self, opposed=False):
        """One pass through the loop for both players.

        The way back from the decoder goes on to the features.

        Args:
            opposed: bool, whether the players' losses are each other's
                negative, and one backward pass through the encoder of
                regenerated images serves both.
        """
        regenerated = self._weights_of_encoder() + self.encoder
        if opposed:
            regenerated = self.trained + self.encoder
        return self.batch * (
            self._loop()
            + self._weights_of_encoder()
            + regenerated
            + 2 * self.decoder
        )

    def alternating(self):
        """The encoder's step, then the decoder's."""
        step = 2 * self._loop() + 2 * self._weights_of_encoder()
        return self.batch * (step + self.encoder + self._weights_of_decoder())

    def _encoder(self, layers):
        """A pass through stages and the head, which is one analysis."""
        return self.repeats * sum(layers[:-1]) + layers[-1]

    def _loop(self):
        return 2 * self.encoder + self.decoder

    def _weights_of_encoder(self):
        """Backward for a pass over given images."""
        return 2 * self.trained - self.first

    def _weights_of_decoder(self):
        """Backward for a pass over given features."""
        return 2 * self.decoder - self.layers[-1]


def _convolutions(config):
    """`c_l` of the stages and the head."""
    size, _, channels = config["image_shape"]
    window = config["kernel_size"] ** 2
    signed = config["network"] == "csc" and not config["nonnegative"]
    parts = 2 if signed else 1
    layers = []
    for width in config["filters"]:
        size //= 2
        layers.append(size**2 * window * channels * width)
        channels = parts * width
    return [*layers, size**2 * channels * config["feature_dim"]]
