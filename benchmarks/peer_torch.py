"""CSC-CTRL's training step in PyTorch: what ours is measured against.

Written for this comparison from the published algorithms, with what a careful
user of PyTorch would do: CTRL-Binary and CTRL-Multi (Dai et al., Entropy 2022)
of the networks of `peer_torch_networks`, the encoder's step and then the
decoder's on the same batch against the new encoder.

The decoder's step moves the atoms that it shares along what it draws, with
those of the encoder that sees it held. `one_pass=True` is not published; it is
our one pass.
"""

import torch


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
        one_pass: bool, whether steps are of one pass, not alternating.
        bfloat16: bool, whether convolutions are computed in bfloat16.
        channels_last: bool, the memory format.
        compiled: bool, whether the players are compiled.
    """

    def __init__(
        self,
        encoder,
        decoder,
        optimizer,
        objective=binary,
        one_pass=False,
        bfloat16=False,
        channels_last=False,
        compiled=False,
    ):
        self.format = (
            torch.channels_last if channels_last else torch.contiguous_format
        )
        self.encoder = encoder.to(memory_format=self.format)
        self.decoder = decoder.to(memory_format=self.format)
        own = list(encoder.parameters()), list(decoder.parameters())
        if one_pass:
            self.optimizer = optimizer(own[0] + own[1])
        else:
            self.encoder_optimizer = optimizer(own[0])
            self.decoder_optimizer = optimizer([*own[1], *decoder.shared_atoms])
        self.objective = objective
        self.one_pass = one_pass
        self.bfloat16 = bfloat16
        self._f = torch.compile(encoder) if compiled else encoder
        self._g = torch.compile(decoder) if compiled else decoder
        self.encoder.prepare()
        self.decoder.prepare()

    def step(self, images, labels=None):
        """Takes a step; returns `T` as the decoder met it."""
        images = images.contiguous(memory_format=self.format)
        if self.one_pass:
            return self._one_pass_step(images, labels)
        self.encoder_step(images, labels)
        return self.decoder_step(images, labels)

    def encode(self, images):
        """Features, and the moments of the codes."""
        return self._run(self._f, images)

    def _run(self, function, *inputs):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            return function(*inputs)

    def encoder_step(self, images, labels=None):
        features, moments = self.encode(images)
        with torch.no_grad():
            regenerated = self._run(self._g, features, moments)
        again, _ = self.encode(regenerated)
        self.encoder_optimizer.zero_grad()
        objective = self.objective(features, again, labels)
        (-objective).backward()
        self.encoder_optimizer.step()
        self.encoder.prepare()
        return objective.detach()

    def decoder_step(self, images, labels=None):
        with torch.no_grad():
            features, moments = self.encode(images)
        regenerated = self._run(self._g, features, moments)
        seen = regenerated.detach().requires_grad_()
        self.encoder.requires_grad_(False)
        again, _ = self.encode(seen)
        self.encoder.requires_grad_(True)
        objective = self.objective(features, again, labels)
        (at_images,) = torch.autograd.grad(objective, seen)
        self.decoder_optimizer.zero_grad()
        regenerated.backward(at_images)
        self.decoder_optimizer.step()
        self.decoder.prepare()
        return objective.detach()

    def _one_pass_step(self, images, labels):
        """One pass: `∂T/∂X̂`, from the encoder's, is the decoder's too.

        What the decoder descends has a gradient in the encoder, by `held`.
        """
        features, moments = self.encode(images)
        held = features.detach().requires_grad_()
        regenerated = self._run(self._g, held, moments)
        seen = regenerated.detach().requires_grad_()
        again, _ = self.encode(seen)
        self.optimizer.zero_grad()
        objective = self.objective(held, again, labels)
        (-objective).backward()
        regenerated.backward(-seen.grad)
        features.backward(held.grad)
        self.optimizer.step()
        self.decoder.prepare()
        return objective.detach()
