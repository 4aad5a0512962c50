"""Whether a card can hold a training: by what its allocator would reserve, or by a share set aside for that."""

from dataclasses import dataclass
from functools import lru_cache

from bench.cards import GIB, CardKind
from bench.predict.replay import StorageLog, runs_within, smallest_limit, unhindered
from bench.predict.terms import Peaks


@dataclass(frozen=True)
class Fit:
    """A card's verdict. left_bytes: beyond what is reserved, or beyond the least where not all that is kept fits."""

    left_bytes: int
    tight: bool = False

    @property
    def fits(self) -> bool:
        return self.left_bytes >= 0

    @property
    def says(self) -> str:
        if not self.fits:
            return f"lacks {-self.left_bytes / GIB:.1f} GiB"
        if self.tight:
            return f"fits, {self.left_bytes / GIB:.1f} GiB free once the allocator gives back its cache"
        return f"fits, {self.left_bytes / GIB:.1f} GiB free"


@lru_cache(maxsize=8)
def least(log: StorageLog, blas_bytes: int) -> int:
    """The least that it runs within, as smallest_limit finds it."""
    return smallest_limit(log, blas_bytes)


def fit(peaks: Peaks, card: CardKind) -> Fit:
    """Of a trace by its storages, of a closed form by its bytes and the share that is set aside."""
    if not peaks.log.entries:
        return Fit(card.room_bytes - peaks.peak_bytes)
    of_log = peaks.log, card.workspace_bytes
    usable = card.usable_bytes
    if (reserved := unhindered(*of_log).reserved_bytes) <= usable:
        return Fit(usable - reserved)
    if runs_within(*of_log, usable):
        return Fit(max(0, usable - least(*of_log)), tight=True)
    if least(*of_log) > usable:
        return Fit(usable - least(*of_log))
    return Fit(usable - smallest_limit(*of_log, above=usable))
