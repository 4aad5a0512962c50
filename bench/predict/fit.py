"""Whether a card can hold a training: by what its allocator would reserve, or by a share set aside for that."""

from dataclasses import dataclass
from functools import cache

from bench.cards import GIB, CardKind
from bench.predict.replay import StorageLog, replay, smallest_limit
from bench.predict.terms import Peaks


@dataclass(frozen=True)
class Need:
    """Bytes: what the allocator hands out in blocks, what it would reserve unhindered, the least it can do with."""

    allocated_bytes: int
    reserved_bytes: int
    least_bytes: int


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


@cache
def need(log: StorageLog, blas_bytes: int = 0) -> Need:
    """What the storages need of the allocator, beside so many bytes of workspaces."""
    free = replay(log, blas_bytes)
    return Need(free.allocated_bytes, free.reserved_bytes, smallest_limit(log, blas_bytes))


def fit(peaks: Peaks, card: CardKind) -> Fit:
    """Of a trace by its storages, of a closed form by its bytes and the share that is set aside."""
    if peaks.log is None:
        return Fit(card.room_bytes - peaks.peak_bytes)
    needed = need(peaks.log, card.workspace_bytes)
    if needed.reserved_bytes <= card.usable_bytes:
        return Fit(card.usable_bytes - needed.reserved_bytes)
    return Fit(card.usable_bytes - needed.least_bytes, tight=True)
