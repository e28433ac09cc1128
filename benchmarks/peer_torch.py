"""CSC-CTRL's training step in PyTorch: what ours is measured against.

Written for this comparison from the published algorithms, with what a careful
user of PyTorch would do: CTRL-Binary and CTRL-Multi (Dai et al., Entropy 2022),
the encoder's step and then the decoder's on the same batch against the new
encoder. The decoder's step moves the atoms that it shares along what it draws,
with the atoms of the encoder that judges it held.

`SparseCoding` is like the layer of SDNet (Dai et al., NeurIPS 2022): steps of
ISTA unrolled with automatic differentiation, and atoms projected to norm 1. As
in ours, the step is of a bound `L ≥ λmax(AᵀA)` in closed form, which has a
gradient, too, and codes are `L` times as large. `Encoder` and `Decoder` are
stacked as ours are, of non-negative codes as SDNet's.

All are prepared, by `prepare`, once their weights have changed.
"""

import math

import torch
from torch import nn
from torch.nn import functional

# === The game ===


def coding_rates(sets, epsilon=0.5):
    """`½ logdet(I + d/(n ε) ZᵀZ)` of every set of rows; 0 of an empty one."""
    dimension = sets[0].shape[1]
    scales = [dimension / (max(len(rows), 1) * epsilon) for rows in sets]
    moments = torch.stack([s * rows.T @ rows for s, rows in zip(scales, sets)])
    identity = torch.eye(dimension, dtype=moments.dtype)
    return 0.5 * torch.logdet(identity + moments)


def rate_distances(sets, others):
    """`Σ_j ΔR(Z_j, Ẑ_j)` and the rates `R(Z_j)`, `R(Ẑ_j)`.

    `ΔR(Z, Ẑ) = R([Z; Ẑ]) - ½R(Z) - ½R(Ẑ)`.
    """
    both = [torch.cat(pair) for pair in zip(sets, others)]
    both, real, again = coding_rates([*both, *sets, *others]).chunk(3)
    return (both - 0.5 * real - 0.5 * again).sum(), real, again


def binary(features, others, labels=None):
    """CTRL-Binary, `T = ΔR(Z, Ẑ)`."""
    return rate_distances([features], [others])[0]


def multi(features, others, labels, classes=10):
    """CTRL-Multi, `T = ΔR(Z|y) + ΔR(Ẑ|y) + Σ_j ΔR(Z_j, Ẑ_j)`.

    `ΔR(Z|y) = R(Z) - Σ_j n_j/n R(Z_j)`. With every rate computed once, as in
    the parents' `fast` form.
    """
    order = labels.argsort()
    counts = labels.bincount(minlength=classes)
    sets, again = (z[order].split(counts.tolist()) for z in (features, others))
    distances, *rates = rate_distances(sets, again)
    shares = counts.to(features.dtype) / len(labels)
    whole = coding_rates([features, others])
    return distances + whole.sum() - (shares * sum(rates)).sum()


class Game:
    """The step of CTRL: the encoder ascends `T`, the decoder descends it.

    Args:
        encoder, decoder: the players.
        optimizer: function of parameters, makes a player's optimizer.
        objective: `binary` or `multi`, `T` of two sets of features and labels.
    """

    def __init__(self, encoder, decoder, optimizer, objective=binary):
        self.encoder, self.decoder = encoder, decoder
        self.encoder_optimizer = optimizer(list(encoder.parameters()))
        self.decoder_optimizer = optimizer(
            [*decoder.parameters(), *decoder.shared_atoms]
        )
        self.objective = objective
        self.encoder.prepare()
        self.decoder.prepare()

    def step(self, images, labels=None):
        """Takes a step; returns `T` as the decoder met it."""
        self.encoder_step(images, labels)
        return self.decoder_step(images, labels)

    def encoder_step(self, images, labels=None):
        features, moments = self.encoder(images)
        with torch.no_grad():
            regenerated = self.decoder(features, moments)
        again, _ = self.encoder(regenerated)
        self.encoder_optimizer.zero_grad()
        objective = self.objective(features, again, labels)
        (-objective).backward()
        self.encoder_optimizer.step()
        self.encoder.prepare()
        return objective.detach()

    def decoder_step(self, images, labels=None):
        with torch.no_grad():
            features, moments = self.encoder(images)
        regenerated = self.decoder(features, moments)
        seen = regenerated.detach().requires_grad_()
        self.encoder.requires_grad_(False)
        again, _ = self.encoder(seen)
        self.encoder.requires_grad_(True)
        objective = self.objective(features, again, labels)
        (at_images,) = torch.autograd.grad(objective, seen)
        self.decoder_optimizer.zero_grad()
        regenerated.backward(at_images)
        self.decoder_optimizer.step()
        self.decoder.prepare()
        return objective.detach()


# === The networks ===


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
