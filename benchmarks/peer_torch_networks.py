"""CSC-CTRL's networks in PyTorch, written from the published algorithms.

- `SparseCoding` is the layer of SDNet (Dai et al., NeurIPS 2022): steps of ISTA
  unrolled with automatic differentiation, atoms projected to norm 1, and a
  step of 0.9/λmax by a warm-started power iteration of at most 50 steps;
- `Encoder` and `Decoder` are stacked as ours are; SDNet's sparsity is 0.1, its
  codes are non-negative;
- `ConvEncoder` and `ConvDecoder` are DCGAN as in the parents' code.

All are prepared, by `prepare`, once their weights have changed.
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

    def __init__(
        self, *geometry, code_size, sparsity, nonnegative=False, iterations=2
    ):
        super().__init__(*geometry)
        self.sparsity = sparsity
        self.shrink = _shrink_nonnegative if nonnegative else _shrink
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
        codes = self.shrink(step * self.analysis(images), threshold)
        for _ in range(self.iterations - 1):
            residual = images - self.synthesis(codes)
            codes = codes + step * self.analysis(residual)
            codes = self.shrink(codes, threshold)
        return codes


def _shrink(values, threshold):
    threshold = threshold.to(values.dtype)
    return values - values.clamp(-threshold, threshold)


def _shrink_nonnegative(values, threshold):
    return functional.relu(values - threshold.to(values.dtype))


def _precise(values):
    return values.float() if values.dtype == torch.bfloat16 else values


def _to_sphere(features):
    return functional.normalize(_precise(features.flatten(1)), dim=1, eps=1e-6)


class Encoder(nn.Module):
    """Sparse coding and batch normalisation, then features on the sphere."""

    def __init__(
        self, image_shape, filters, feature_dim, sparsity, nonnegative=False
    ):
        super().__init__()
        size, _, channels = image_shape
        self.coding, self.normalizations = nn.ModuleList(), nn.ModuleList()
        for width in filters:
            size //= 2
            self.coding.append(
                SparseCoding(
                    channels,
                    width,
                    4,
                    2,
                    code_size=size,
                    sparsity=sparsity,
                    nonnegative=nonnegative,
                )
            )
            self.normalizations.append(nn.BatchNorm2d(width))
            channels = width
        self.head = Dictionary(channels, feature_dim, size, 1)

    def prepare(self):
        """What is due after every update of the weights."""
        for layer in self.coding:
            # In this order: SDNet's step is of the atoms before projection.
            layer.update_step_size()
            layer.normalize()
        self.head.normalize()

    def forward(self, images):
        signal = images
        for coding, normalization in zip(self.coding, self.normalizations):
            signal = normalization(coding(signal))
        return _to_sphere(self.head.analysis(signal))


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
        # As ours: pixels that `tanh` does not saturate.
        scale = (2 * channels / filters[0]) ** 0.5
        nn.init.constant_(self.normalizations[-1].weight, scale)

    def prepare(self):
        """What is due after every update of the weights."""
        for layer in (self.head, *self.decoding):
            layer.normalize()

    def forward(self, features):
        signal = self.head.synthesis(features[:, :, None, None])
        for normalization, layer in zip(self.normalizations, self.decoding):
            signal = layer.synthesis(functional.relu(normalization(signal)))
        return torch.tanh(_precise(signal))


class ConvEncoder(nn.Module):
    """DCGAN's discriminator as in the parents' code, features on the sphere.

    Free kernels, no biases, no batch normalisation in the first stage.
    """

    slope = 0.2

    def __init__(self, image_shape, filters, feature_dim):
        super().__init__()
        size, _, channels = image_shape
        self.coding, self.normalizations = nn.ModuleList(), nn.ModuleList()
        for width in filters:
            first = not self.coding
            self.coding.append(
                nn.Conv2d(channels, width, 4, 2, padding=1, bias=False)
            )
            self.normalizations.append(
                nn.Identity() if first else nn.BatchNorm2d(width)
            )
            channels = width
        self.head = nn.Conv2d(
            channels, feature_dim, size // 2 ** len(filters), bias=False
        )
        self.apply(_initialize_as_dcgan)

    def prepare(self):
        """Nothing is due after an update of the weights."""

    def forward(self, images):
        signal = images
        for coding, normalization in zip(self.coding, self.normalizations):
            signal = normalization(coding(signal))
            signal = functional.leaky_relu(signal, self.slope)
        return _to_sphere(self.head(signal))


class ConvDecoder(Decoder):
    """DCGAN's generator as in the parents' code: `Decoder`, of free kernels."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.apply(_initialize_as_dcgan)

    def prepare(self):
        """Nothing is due after an update of the weights."""


def _initialize_as_dcgan(layer):
    if isinstance(layer, (nn.Conv2d, Dictionary)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
