"""The warnings of a case, for its record.

A library that changes an argument's name often says so in a warning and nowhere else.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

PACKAGES = ("site-packages", "dist-packages")
LONGEST_TEXT = 500  # characters


@contextlib.contextmanager
def kept_warnings() -> Iterator[list[dict[str, str]]]:
    """A list that takes each different warning shown meanwhile: category, module and text. They are shown as before."""
    kept: list[dict[str, str]] = []
    show = warnings.showwarning

    def keep(message: Any, category: type[Warning], filename: str, *rest: Any, **more: Any) -> None:
        row = {"category": category.__name__, "module": module_of(filename), "text": str(message)[:LONGEST_TEXT]}
        if row not in kept:
            kept.append(row)
        show(message, category, filename, *rest, **more)

    warnings.showwarning = keep  # type: ignore[assignment]
    try:
        yield kept
    finally:
        warnings.showwarning = show


def module_of(filename: str) -> str:
    """The file below its installation, peft/peft_model.py, so that it is the same on every machine."""
    parts = PurePath(filename).parts
    for number in range(len(parts) - 1, -1, -1):
        if parts[number] in PACKAGES:
            return "/".join(parts[number + 1 :])
    return "/".join(parts[-2:])
