"""CSC-CTRL's networks in PyTorch, written from the published algorithms.

- `SparseCoding` is like the layer of SDNet (Dai et al., NeurIPS 2022): steps of
  ISTA unrolled with automatic differentiation, and atoms projected to norm 1.
  As in ours, the step is of a bound `L ≥ λmax(AᵀA)` in closed form, which has a
  gradient, too, and codes are `L` times as large;
- `Encoder` and `Decoder` are stacked as ours are, of non-negative codes as
  SDNet's, whose sparsity is 0.1: the decoder draws with the encoder's atoms;
- `ConvEncoder` and `ConvDecoder` are DCGAN as in the parents' code.

All are prepared, by `prepare`, once their weights have changed.
"""

import math

import torch
from torch import nn
from torch.nn import functional


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

    def __init__(self, *geometry, sparsity, iterations=2):
        super().__init__(*geometry)
        self.sparsity = sparsity
        self.iterations = iterations

    def bound(self):
        """`L = ⌈k/s⌉² tr(Gᴺ)^(1/N)`, `N = 4096`, by singular values."""
        values = torch.linalg.svdvals(self.weight.flatten(1))
        largest = values[0].detach()
        norm = largest * torch.linalg.vector_norm(values / largest, 2 * 4096)
        overlap = math.ceil(self.weight.shape[-1] / self.geometry["stride"])
        return (overlap * norm).square()

    def draw(self, codes):
        return self.synthesis(codes) / self.bound()

    def forward(self, images):
        bound = self.bound()
        codes = functional.relu(self.analysis(images) - self.sparsity)
        for _ in range(self.iterations - 1):
            residual = images - self.synthesis(codes) / bound
            codes = codes + self.analysis(residual) - self.sparsity
            codes = functional.relu(codes)
        return codes


class Normalization(nn.BatchNorm2d):
    """Batch normalisation that says with what, and its inverse map."""

    def forward(self, codes):
        """Normalised codes, and their mean and inverse deviation."""
        normal, *moments = torch.native_batch_norm(
            codes,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            True,
            self.momentum,
            self.eps,
        )
        return normal, [moment.detach() for moment in moments]

    def undo(self, signal, gain, moments):
        """`gain · (y - β) / γ · √(v + ε) + m`.

        Only `y` and `gain` have a gradient.
        """
        mean, inverse = (_of_channels(moment) for moment in moments)
        weight = _of_channels(self.weight.detach())
        bias = _of_channels(self.bias.detach())
        scale = _of_channels(gain) / (weight * inverse)
        return (signal - bias) * scale + mean


def _of_channels(values):
    return values[:, None, None]


def _to_sphere(features):
    return functional.normalize(features.flatten(1), dim=1, eps=1e-6)


class Encoder(nn.Module):
    """Sparse coding and batch normalisation, then features on the sphere."""

    def __init__(self, image_shape, filters, feature_dim, sparsity):
        super().__init__()
        size, _, channels = image_shape
        self.coding, self.normalizations = nn.ModuleList(), nn.ModuleList()
        for width in filters:
            size //= 2
            self.coding.append(
                SparseCoding(channels, width, 4, 2, sparsity=sparsity)
            )
            self.normalizations.append(Normalization(width))
            channels = width
        self.head = Dictionary(channels, feature_dim, size, 1)

    def prepare(self):
        """What is due after every update of the weights."""
        for layer in (*self.coding, self.head):
            layer.normalize()

    def forward(self, images):
        """Features, and of every stage the moments of the codes."""
        signal, moments = images, []
        for coding, normalization in zip(self.coding, self.normalizations):
            signal, own = normalization(coding(signal))
            moments.append(own)
        return _to_sphere(self.head.analysis(signal)), moments


class Decoder(nn.Module):
    """The encoder, read downwards, with a gain for what every stage draws.

    Its parameters are the gains: of the features, of the stages from the
    uppermost down, of the image.
    """

    normalizations = ()

    def __init__(self, encoder):
        super().__init__()
        self._encoder = [encoder]  # no part of it
        widths = [layer.weight.shape[0] for layer in encoder.coding]
        shapes = (), *((width,) for width in reversed(widths)), ()
        self.gains = nn.ParameterList(torch.ones(shape) for shape in shapes)

    @property
    def shared_atoms(self):
        """The encoder's parameters that it draws with, and moves."""
        (encoder,) = self._encoder
        return [layer.weight for layer in (*encoder.coding, encoder.head)]

    def prepare(self):
        """What is due after every update of the weights."""
        self._encoder[0].prepare()

    def forward(self, features, moments):
        (encoder,) = self._encoder
        of_features, *of_stages, of_image = self.gains
        signal = of_features * features[:, :, None, None]
        signal = encoder.head.synthesis(signal)
        for number, gain in zip(reversed(range(len(moments))), of_stages):
            codes = encoder.normalizations[number].undo(
                signal, gain, moments[number]
            )
            signal = encoder.coding[number].draw(torch.relu(codes))
        return torch.tanh(of_image * signal)


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
        return _to_sphere(self.head(signal)), None


class ConvDecoder(nn.Module):
    """DCGAN's generator as in the parents' code: free kernels, ReLU, tanh."""

    shared_atoms = ()

    def __init__(self, image_shape, filters, feature_dim):
        super().__init__()
        size, _, channels = image_shape
        widths = (channels, *filters)
        self.head = nn.ConvTranspose2d(
            feature_dim, widths[-1], size // 2 ** len(filters), bias=False
        )
        self.decoding, self.normalizations = nn.ModuleList(), nn.ModuleList()
        for number in range(len(filters), 0, -1):
            self.normalizations.append(nn.BatchNorm2d(widths[number]))
            self.decoding.append(
                nn.ConvTranspose2d(
                    *(widths[number], widths[number - 1], 4, 2),
                    padding=1,
                    bias=False,
                )
            )
        self.apply(_initialize_as_dcgan)

    def prepare(self):
        """Nothing is due after an update of the weights."""

    def forward(self, features, moments):
        signal = self.head(features[:, :, None, None])
        for normalization, layer in zip(self.normalizations, self.decoding):
            signal = layer(functional.relu(normalization(signal)))
        return torch.tanh(signal)


def _initialize_as_dcgan(layer):
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
