"""CSC-CTRL's training step in PyTorch: what ours is measured against.

Written for this comparison from the published algorithms, with what a careful
user of PyTorch would do: CTRL-Binary and CTRL-Multi (Dai et al., Entropy 2022)
of the networks of `peer_torch_networks`, the encoder's step and then the
decoder's on the same batch against the new encoder.

The decoder's step moves the atoms that it shares along what it draws, with
those of the encoder that sees it held.
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
