"""The extent of a batch: rows, length and labels, on which memory and FLOPs depend. It is plain data, so that
predictions need no torch.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """The size of a batch: rows x length tokens. `scored` counts the tokens that have a label.

    whole: no token is padding and no row holds several examples, so attention needs no mask.
    """

    rows: int
    length: int
    scored: int
    whole: bool

    @property
    def positions(self) -> int:
        return self.rows * self.length
