"""Errors for weights or data that are not available: one sentence with what was seen and what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SourceError(RuntimeError):
    """The source cannot provide what was requested; the message is one sentence for the user."""


class Unusable(SourceError):
    """A source that the user supplied cannot be used; no other source replaces it."""


FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explaining_file_errors(path: Path) -> Iterator[None]:
    """Turn file system errors below the cache at path into a SourceError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise SourceError(
                f"no space left on the disk of the cache {path}; free some, or set LORABENCH_CACHE to another disk"
            ) from error
        raise SourceError(
            f"the cache {path} cannot be used ({error.strerror or error}); "
            "set LORABENCH_CACHE to a folder that can be written"
        ) from error


def first_line(error: BaseException) -> str:
    """The exception's type and the first line of its message."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
