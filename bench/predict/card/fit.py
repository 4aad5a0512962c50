"""A card's fit for a training step, by what its allocator would reserve or by a share set aside for that."""

from dataclasses import dataclass
from functools import lru_cache

from bench.machine.cards import GIB, CardKind, with_lost_share
from bench.predict.card.replay import reserve_without_limit, runs_within, smallest_limit
from bench.predict.storage_log import StorageLog
from bench.predict.terms import Peaks


@dataclass(frozen=True)
class Fit:
    """Whether a card fits. left_bytes: beyond what is reserved, or beyond the smallest limit if the cache does not fit.

    tight: judged by the smallest limit, so if it fits, the allocator has to give back its cache.
    """

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
    """The smallest limit that the log runs within, as smallest_limit finds it."""
    return smallest_limit(log, blas_bytes)


def least_bytes(peaks: Peaks, card: CardKind) -> int:
    """The bytes that torch's allocator must be able to reserve: at most the card's usable_bytes if they are enough.

    For a trace, from its storages; for a closed form, from its bytes, the workspaces and the share that is set aside.
    """
    of_log, usable = (peaks.log, card.workspace_bytes), card.usable_bytes
    if not peaks.log.entries:
        return with_lost_share(peaks.peak_bytes + card.workspace_bytes)
    if runs_within(*of_log, usable):
        return min(usable, least(*of_log))
    return least(*of_log) if least(*of_log) > usable else smallest_limit(*of_log, above=usable)


def fit(peaks: Peaks, card: CardKind) -> Fit:
    usable = card.usable_bytes
    if not peaks.log.entries:
        return Fit(usable - least_bytes(peaks, card))
    reserved = reserve_without_limit(peaks.log, card.workspace_bytes).reserved_bytes
    if reserved <= usable:
        return Fit(usable - reserved)
    return Fit(usable - least_bytes(peaks, card), tight=True)
