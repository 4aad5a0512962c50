"""The log of which storages a step allocates and frees, in order. Traces write it, the allocator replays it."""

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class StorageLog:
    """Allocations and frees in order: a positive entry allocates that many bytes, ~n frees the storage of entry n.

    Entries before `started` belong to the model, which is there when training starts. Empty if nothing was traced.
    """

    entries: tuple[int, ...] = ()
    started: int = 0
