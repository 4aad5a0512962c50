"""The log of which storages a step allocates and frees, in order. Traces write it, the allocator replays it."""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class StorageLog:
    """Which storages were made and let go, in order: a positive entry makes one of so many bytes, ~n lets go the nth's.

    Entries before `started` are there when training starts: the model. Empty where nothing was followed.
    """

    entries: tuple[int, ...] = ()
    started: int = 0
