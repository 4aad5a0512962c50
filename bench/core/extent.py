"""The extent of a batch: rows, length and labels, all that memory and FLOPs depend on. Plain data, so that predictions
need no torch.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """What of a batch decides the bytes that its step holds: rows x length tokens, of which scored have a label.

    whole: neither a token is padding nor a row holds several examples, and attention needs no mask.
    """

    rows: int
    length: int
    scored: int
    whole: bool

    @property
    def positions(self) -> int:
        return self.rows * self.length
