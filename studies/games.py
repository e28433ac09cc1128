"""Games of the studies' own, for `--game_class`."""

import keras

from keras_csc.losses import TranscriptionGame
from keras_csc.losses import transcription as terms

PARTS = ("real", "regenerated", "distances")


@keras.saving.register_keras_serializable(package="studies")
class PartsOfMulti(TranscriptionGame):
    """`TranscriptionGame` with some of the three parts of CTRL-Multi alone.

    Args:
        parts: some of `"real"`, `ΔR(Z|y)`; `"regenerated"`, `ΔR(Ẑ|y)`; and
            `"distances"`, `Σ_j ΔR(Z_j, Ẑ_j)`. `""` for no rate reduction.
        objective: `"multi"`.
        **kwargs: other arguments of `TranscriptionGame`.
    """

    def __init__(self, parts=PARTS, objective="multi", **kwargs):
        super().__init__(objective, **kwargs)
        parts = (parts,) if isinstance(parts, str) else tuple(parts)
        self.parts = tuple(filter(None, parts))
        if objective != "multi" or not set(self.parts) <= set(PARTS):
            raise ValueError(
                "`objective` must be 'multi', and `parts` some of "
                f"{', '.join(PARTS)}. Received: {objective!r}, {parts}"
            )

    def terms(self):
        first, *others = super().terms()
        return [first._replace(measure=self._some), *others]

    def _some(self, loop):
        whole, *rates = terms.multi(loop, self.num_classes, self.epsilon)
        values = dict(zip(PARTS, rates[-len(PARTS) :]))
        return sum((values[part] for part in self.parts), 0.0 * whole), *rates
