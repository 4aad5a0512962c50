"""What a person reads when weights or data cannot be had: one sentence with what was seen and what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SourceError(RuntimeError):
    """A source that cannot give what was asked of it; the message is one sentence for a person."""


class Unusable(SourceError):
    """A source that a person put there and that cannot be used; none other takes its place."""


FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the file system refuses below the cache at path into a SourceError that says what to do."""
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
    """The exception's kind and the first line of what it says."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
