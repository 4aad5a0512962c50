"""What this process serves: the folders of runs that its pages may show, and the worker that answers questions."""

from dataclasses import dataclass
from pathlib import Path

from bench.app.asking import Asking


@dataclass(frozen=True)
class Served:
    """folders: those with runs; a page shows no file outside of them. entries: the user's own, which workers load."""

    folders: tuple[Path, ...]
    asking: Asking
    entries: tuple[str, ...] = ()


_served: list[Served] = []


def serve_these(served: Served) -> None:
    """Set what the pages show; done once, before the first page is opened."""
    _served[:] = [served]


def served() -> Served:
    return _served[0]
