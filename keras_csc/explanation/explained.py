"""What an explanation holds: programs and their solutions, atom by atom."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from keras_csc import ops
from keras_csc.validation import check_integer
from keras_csc.validation import shown


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class StageExplanation:
    """What one stage made of its input, atom by atom.

    The stage codes its input `x` by few atoms, `x = D z + r`, with `D = A / L`
    as in `ConvSparseCoding2D`. `D z` is the sum of the contributions
    `c_j = D z_j` of its atoms, with `z_j` the codes of atom `j` alone. All of
    these are exact to float32. Above the first stage of a model in half
    precision, they are exact to that.

    The input of the first stage is the image. A model of maps continues it by
    reflection to whole places, and a lapped encoder applies `ops.prefilter`.
    The input of a stage above is the normalised codes of the stage below.
    Normalisations and dictionaries below are affine, so that contributions have
    a picture in pixels. With `P` the linear map `to_pixels`,

    `image = offset + Σ_j P c_j + P r + P' r' + ...`,

    where `r', ...` are what the stages below left over. This is exact, too. The
    picture says what the codes mean to the stages below. It is neither what the
    decoder draws nor what these stages would code: no image has all such codes.

    Arrays are of float32 where nothing else is said.

    Fields:
        signal: `(height, width, channels)`, the input `x`.
        codes: `(code_height, code_width, atoms)`, `z`.
        kernel: `(k, k, channels, atoms)`, the dictionary `D`.
        bound: float, `L`.
        strides, padding: int and str, of the layer.
        sparsity, nonnegative: float `λ` and bool, of the program.
        image_size: `(height, width)` of the image.
        block: int, side of the blocks of a lapped first stage, or 0.
        below: `StageExplanation` of the stage below, `None` for the first.
        scale, shift: `(channels,)`, of the normalisation of the codes below:
            `x = scale · parts + shift`.
        names: dict of str by atom, as `model.name_atom` gave them.
        drawn: the same stage with the codes `ẑ` that the decoder draws with, in
            the place of `z`.
    """

    signal: np.ndarray
    codes: np.ndarray
    kernel: np.ndarray
    bound: float
    strides: int
    padding: str
    sparsity: float
    nonnegative: bool
    image_size: tuple
    block: int
    below: "StageExplanation"
    scale: np.ndarray
    shift: np.ndarray
    names: dict
    drawn: "StageExplanation" = None

    def label(self, atom):
        """`atom 17`, and after a comma its name, if it has one."""
        name = self.names.get(atom)
        return f"atom {atom}, {name}" if name else f"atom {atom}"

    @property
    def zeros(self):
        """Share of the codes that are 0."""
        return float(np.mean(self.codes == 0))

    @property
    def objective(self):
        """`(λ/L)‖z‖₁ + ½‖x - D z‖₂²`, which the stage minimises.

        It is computed, with the gap, when first asked for.
        """
        return self._measures[0]

    @property
    def gap(self):
        """The duality gap: the minimum is at most so far below `objective`."""
        return self._measures[1]

    @functools.cached_property
    def _measures(self):
        program = ops.SparseCodingProgram(
            tf.constant(self.signal[None]),
            tf.constant(self.kernel),
            self.sparsity / self.bound,
            self.nonnegative,
            self.strides,
            self.padding,
        )
        codes = tf.constant(self.codes[None])
        rest = program.residual(codes)
        gap = program.gap(codes, rest, program.analysis(rest))
        return float(program.value(codes, rest)[0]), float(gap[0])

    @functools.cached_property
    def energies(self):
        """`‖c_j‖²` of every atom, `(atoms,)`; computed when first asked for."""
        codes, kernel = self.codes, self.kernel
        parts = (
            self._synthesis(codes[..., atom, None], kernel[..., atom, None])
            for atom in range(codes.shape[-1])
        )
        return np.array([np.vdot(part, part) for part in parts])

    @property
    def shares(self):
        """`‖c_j‖² / Σ_i ‖c_i‖²` of every atom, `(atoms,)`; all 0 without codes.

        They are shares of the sum of the energies. As atoms overlap, this is
        not the energy of the sum of contributions.
        """
        return self.energies / (self.energies.sum() or 1)

    @property
    def order(self):
        """Atoms by falling energy, ints `(atoms,)`; equal ones as they come."""
        return np.argsort(-self.energies, kind="stable")

    def strongest(self, most):
        """The first atoms of `order` that have energy, at most `most`."""
        return self.order[: min(most, np.count_nonzero(self.energies))]

    @functools.cached_property
    def synthesis(self):
        """`D z`, of the shape of the signal."""
        return self._synthesis(self.codes, self.kernel)

    @property
    def residual(self):
        """`r = x - D z`, of the shape of the signal."""
        return self.signal - self.synthesis

    def contribution(self, atoms):
        """`c_j = D z_j` of an atom, or the sum of several; like the signal.

        It is computed anew in every call, with the memory of one contribution.

        Args:
            atoms: int or ints, their numbers in the dictionary.
        """
        atoms = np.atleast_1d(atoms).astype(int)  # also of none
        return self._synthesis(self.codes[..., atoms], self.kernel[..., atoms])

    def drawn_error(self, atoms=slice(None)):
        """`Σ(ẑ - z)² / Σz²`, how far what is drawn is from what was found.

        Args:
            atoms: int or ints, the atoms to compare; by default all.
        """
        found, drawn = self.codes[..., atoms], self.drawn.codes[..., atoms]
        energy = np.sum(np.square(found))
        return float(np.sum(np.square(drawn - found)) / (energy or 1))

    def picture_of(self, atoms):
        """The contributions of some atoms in pixels, `P Σ_j c_j`."""
        return self.to_pixels(self.contribution(atoms))

    def partial_sums(self, counts=None):
        """Sums of the strongest atoms, one after another.

        Args:
            counts: ints, rising, how many atoms to sum; by default
                `default_counts()`.

        Yields:
            `(count, sum)`, with the sum of the shape of the signal. The sum
            of all atoms is `synthesis`, but for rounding.
        """
        counts = self.default_counts() if counts is None else list(counts)
        bounds = [0, *counts, self.codes.shape[-1] + 1]
        if any(b <= a for a, b in zip(bounds, bounds[1:])):
            raise ValueError(
                f"`counts` must rise, from 1 on, to {bounds[-1] - 1} at most. "
                f"Received: {shown(counts)}"
            )
        total, order = 0, self.order
        for start, end in zip(bounds, counts):
            total = total + self.contribution(order[start:end])
            yield end, total

    def default_counts(self):
        """1, 2, 5, 10, 20, 50, ... up to all atoms."""
        most = self.codes.shape[-1]
        scales = 10 ** np.arange(len(str(most)))
        counts = np.outer(scales, (1, 2, 5)).ravel()
        return [*counts[counts < most].tolist(), most]

    def at(self, row, column):
        """The codes at a pixel of the image.

        Args:
            row, column: ints, of the pixel.

        Returns:
            `(place, shares)`. `place` is ints `(i, j)`: the codes `z[i, j]`
            stand for the pixel and its neighbours. `shares` `(atoms,)` are
            `‖d_j‖² z_j² / Σ_k ‖d_k‖² z_k²` of these codes, 0 if none is active.
        """
        stride, stage = 1, self
        while stage is not None:
            stride, stage = stride * stage.strides, stage.below
        height, width = self.image_size
        check_integer(0, height - 1, row=row)
        check_integer(0, width - 1, column=column)
        place = row // stride, column // stride
        norms = np.sum(np.square(self.kernel), axis=(0, 1, 2))
        energies = norms * np.square(self.codes[place])
        return place, energies / (energies.sum() or 1)

    @property
    def picture(self):
        """All atoms in pixels on the `offset`: what the codes say."""
        return self.offset + self.to_pixels(self.synthesis)

    @functools.cached_property
    def kernel_below(self):
        """The dictionary that makes pictures of the stage's input."""
        kernel = self.below.kernel
        if len(self.scale) == 2 * kernel.shape[-1]:  # Parts of either sign.
            kernel = np.concatenate([kernel, -kernel], axis=-1)
        return kernel

    def to_pixels(self, signal):
        """`P`: an array like the stage's input, in pixels.

        `P` is linear. It leads through the inverse of the normalisation,
        without its shift, and the dictionary of every stage below. In the first
        stage it takes the image's part of the signal, in a lapped one after
        `ops.postfilter`.

        Args:
            signal: array of the shape of `signal`.

        Returns:
            Array `(*image_size, image channels)`.
        """
        if self.below is None:
            height, width = self.image_size
            if self.block:
                signal = ops.postfilter(signal[None], self.block)[0].numpy()
            return signal[:height, :width]
        made = self.below._synthesis(signal, self.kernel_below / self.scale)
        return self.below.to_pixels(made)

    @functools.cached_property
    def offset(self):
        """The picture of no codes at all: `(*image_size, image channels)`.

        The shifts of the normalisations below make it, in the first stage 0.
        """
        if self.below is None:
            return np.zeros_like(self.to_pixels(self.signal))
        shifts = np.broadcast_to(-self.shift, self.signal.shape)
        return self.below.offset + self.to_pixels(shifts)

    def _synthesis(self, codes, kernel):
        made = ops.synthesis(
            tf.constant(codes[None]),
            kernel,
            self.signal.shape[:2],
            self.strides,
            self.padding,
        )
        return made[0].numpy()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What an autoencoder's encoder sees in one image.

    Fields:
        image: float32 array `(height, width, channels)` in [-1, 1].
        features: float32 array `(feature_dim,)`, or for a model of maps
            `(map_height, map_width, feature_dim)`; of norm 1.
        stages: tuple of `StageExplanation`, from the image upwards.
    """

    image: np.ndarray
    features: np.ndarray
    stages: tuple
