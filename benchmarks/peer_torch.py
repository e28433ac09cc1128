"""CSC-CTRL's training step in PyTorch: what ours is measured against.

Written for this comparison from the published algorithms, with what a careful
user of PyTorch would do:

- `SparseCoding` is the layer of SDNet (Dai et al., NeurIPS 2022): steps of ISTA
  unrolled with automatic differentiation, atoms projected to norm 1, and a
  step of 0.9/λmax by a warm-started power iteration of at most 50 steps;
- `Encoder` and `Decoder` are stacked as ours are, with our preset's sparsity
  and codes of both signs (SDNet's are 0.1 and `z ≥ 0`);
- `Game` is CTRL-Binary with Adam (Dai et al., Entropy 2022): the encoder's
  step, then the decoder's on the same batch against the new encoder.

`published=True` does what the parents' code does and needs not: it prepares
the dictionaries before every forward pass though no weight has changed, and
back-propagates the decoder's loss into the encoder too, whose gradient nobody
uses. `update="simultaneous"` is not published; it is our single pass.
"""

import torch
from torch import nn
from torch.nn import functional

POWER_ITERATIONS, POWER_TOLERANCE = 50, 1e-5


class Dictionary(nn.Module):
    """Atoms `(filters, channels, k, k)` and their two operators.

    Kernels of 4, stride 2 and padding 1 halve a size and double it; a kernel
    of the size of the image has stride 1 and no padding.
    """

    def __init__(self, channels, filters, kernel_size, strides):
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(filters, channels, kernel_size, kernel_size)
        )
        nn.init.kaiming_uniform_(self.weight)
        self.geometry = {
            "stride": strides,
            "padding": (kernel_size - strides) // 2 if strides > 1 else 0,
        }
        self.normalize()

    def analysis(self, images):
        return functional.conv2d(images, self.weight, **self.geometry)

    def synthesis(self, codes):
        return functional.conv_transpose2d(codes, self.weight, **self.geometry)

    @torch.no_grad()
    def normalize(self):
        """Projects the atoms to norm 1, as Keras's `UnitNorm` does."""
        norm = self.weight.flatten(1).norm(dim=1) + 1e-7
        # Not an update that autograd must know of: passes that it recorded
        # before were made with the same, normalised, atoms.
        self.weight.data.div_(norm[:, None, None, None])


class SparseCoding(Dictionary):
    """Unrolled ISTA from 0; for two steps that is SDNet's FISTA too."""

    def __init__(self, *geometry, code_size, sparsity, iterations=2):
        super().__init__(*geometry)
        self.sparsity = sparsity
        self.iterations = iterations
        shape = (1, self.weight.shape[0], code_size, code_size)
        vector = torch.randn(shape)
        self.register_buffer("vector", vector / vector.norm())
        self.register_buffer("step_size", torch.tensor(0.1))

    @torch.no_grad()
    def update_step_size(self):
        vector = self.vector
        for _ in range(POWER_ITERATIONS):
            last, vector = vector, self.analysis(self.synthesis(vector))
            eigenvalue = vector.norm()
            vector = vector / eigenvalue
            if (vector - last).square().sum() < POWER_TOLERANCE:
                break
        self.vector, self.step_size = vector, 0.9 / eigenvalue

    def forward(self, images):
        step, threshold = self.step_size, self.step_size * self.sparsity
        codes = _shrink(step * self.analysis(images), threshold)
        for _ in range(self.iterations - 1):
            residual = images - self.synthesis(codes)
            codes = _shrink(codes + step * self.analysis(residual), threshold)
        return codes


def _shrink(values, threshold):
    threshold = threshold.to(values.dtype)
    return values - values.clamp(-threshold, threshold)


def _precise(values):
    return values.float() if values.dtype == torch.bfloat16 else values


class Encoder(nn.Module):
    """Sparse coding and batch normalisation, then features on the sphere."""

    def __init__(self, image_shape, filters, feature_dim, sparsity):
        super().__init__()
        size, _, channels = image_shape
        self.coding, self.normalizations = nn.ModuleList(), nn.ModuleList()
        for width in filters:
            size //= 2
            self.coding.append(
                SparseCoding(
                    channels, width, 4, 2, code_size=size, sparsity=sparsity
                )
            )
            self.normalizations.append(nn.BatchNorm2d(width))
            channels = width
        self.head = SparseCoding(
            channels, feature_dim, size, 1, code_size=1, sparsity=0.0
        )

    def prepare(self):
        """What is due after every update of the weights."""
        for layer in (*self.coding, self.head):
            # In this order: SDNet's step is of the atoms before projection.
            layer.update_step_size()
            layer.normalize()

    def forward(self, images):
        signal = images
        for coding, normalization in zip(self.coding, self.normalizations):
            signal = normalization(coding(signal))
        features = _precise(self.head(signal).flatten(1))
        return functional.normalize(features, dim=1, eps=1e-6)


class Decoder(nn.Module):
    """The mirror of `Encoder`, of sparse decoding layers, ReLU and tanh."""

    def __init__(self, image_shape, filters, feature_dim):
        super().__init__()
        size, _, channels = image_shape
        widths = (channels, *filters)
        self.head = Dictionary(
            widths[-1], feature_dim, size // 2 ** len(filters), 1
        )
        self.decoding, self.normalizations = nn.ModuleList(), nn.ModuleList()
        for number in range(len(filters), 0, -1):
            self.normalizations.append(nn.BatchNorm2d(widths[number]))
            self.decoding.append(
                Dictionary(widths[number - 1], widths[number], 4, 2)
            )
        nn.init.constant_(self.normalizations[-1].weight, 0.2)

    def prepare(self):
        """What is due after every update of the weights."""
        for layer in (self.head, *self.decoding):
            layer.normalize()

    def forward(self, features):
        signal = self.head.synthesis(features[:, :, None, None])
        for normalization, layer in zip(self.normalizations, self.decoding):
            signal = layer.synthesis(functional.relu(normalization(signal)))
        return torch.tanh(_precise(signal))


def coding_rate(features, epsilon=0.5):
    """`½ logdet(I + d/(n ε) ZᵀZ)` of rows."""
    count, dimension = features.shape
    moment = dimension / (count * epsilon) * features.T @ features
    identity = torch.eye(dimension, dtype=features.dtype)
    return 0.5 * torch.logdet(identity + moment)


def rate_distance(features, others):
    """`ΔR(Z, Ẑ) = R([Z; Ẑ]) - ½R(Z) - ½R(Ẑ)`."""
    return (
        coding_rate(torch.cat([features, others]))
        - 0.5 * coding_rate(features)
        - 0.5 * coding_rate(others)
    )


class Game:
    """The step of CTRL-Binary: the encoder ascends, the decoder descends.

    Args:
        encoder, decoder: the players.
        optimizer: function of parameters, makes a player's optimizer.
        update: `"alternating"` or `"simultaneous"`.
        published: bool, whether to do the needless work of the published code.
        bfloat16: bool, whether convolutions are computed in bfloat16.
        channels_last: bool, the memory format.
        compiled: bool, whether the players are compiled.
    """

    def __init__(
        self,
        encoder,
        decoder,
        optimizer,
        update="alternating",
        published=False,
        bfloat16=False,
        channels_last=False,
        compiled=False,
    ):
        self.format = (
            torch.channels_last if channels_last else torch.contiguous_format
        )
        self.encoder = encoder.to(memory_format=self.format)
        self.decoder = decoder.to(memory_format=self.format)
        self.encoder_optimizer = optimizer(encoder.parameters())
        self.decoder_optimizer = optimizer(decoder.parameters())
        self.update = update
        self.published = published
        self.bfloat16 = bfloat16
        self._f = torch.compile(encoder) if compiled else encoder
        self._g = torch.compile(decoder) if compiled else decoder
        self._prepare()

    def step(self, images):
        images = images.contiguous(memory_format=self.format)
        if self.update == "simultaneous":
            return self._simultaneous_step(images)
        self._encoder_step(images)
        return self._decoder_step(images)

    def encode(self, images):
        return self._run(self.encoder, self._f, images)

    def decode(self, features):
        return self._run(self.decoder, self._g, features)

    def _run(self, player, function, inputs):
        if self.published:
            player.prepare()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            return function(inputs)

    def _prepare(self):
        self.encoder.prepare()
        self.decoder.prepare()

    def _encoder_step(self, images):
        self.encoder.requires_grad_(True)
        features = self.encode(images)
        with torch.set_grad_enabled(self.published):
            regenerated = self.decode(features)
        again = self.encode(regenerated.detach())
        self.encoder_optimizer.zero_grad()
        distance = rate_distance(features, again)
        (-distance).backward()
        self.encoder_optimizer.step()
        self.encoder.prepare()

    def _decoder_step(self, images):
        self.encoder.requires_grad_(self.published)
        features = self.encode(images)
        again = self.encode(self.decode(features))
        self.decoder_optimizer.zero_grad()
        distance = rate_distance(features, again)
        distance.backward()
        self.decoder_optimizer.step()
        self.decoder.prepare()
        return distance.detach()

    def _simultaneous_step(self, images):
        """One pass: `∂T/∂X̂`, from the encoder's, is the decoder's too."""
        features = self.encode(images)
        regenerated = self.decode(features.detach())
        seen = regenerated.detach().requires_grad_()
        again = self.encode(seen)
        self.encoder_optimizer.zero_grad()
        self.decoder_optimizer.zero_grad()
        distance = rate_distance(features, again)
        (-distance).backward()
        regenerated.backward(-seen.grad)
        self.encoder_optimizer.step()
        self.decoder_optimizer.step()
        self._prepare()
        return distance.detach()
