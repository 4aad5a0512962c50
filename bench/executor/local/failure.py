"""The meaning of a worker's exception for its case.

Exceptions are recognised by their class names, so that neither torch nor the module that defines one has to be
imported.
"""

import errno

from bench.records.record import FAILED, NOT_RUN, OUT_OF_MEMORY

PERSONS_MISTAKES = ("SourceError", "BadFile", "BadData", "UnknownName", "Unsupported", "NotKept", "NoRoom")
CANNOT_RUN = "CannotRun"
OUT_OF_MEMORY_CLASSES = ("MemoryError", "OutOfMemoryError")
OUT_OF_MEMORY_TEXTS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "HIP out of memory",
    "MPS backend out of memory",
    "std::bad_alloc",
)
REASON_CHARACTERS = 1000


def one_line(text: str) -> str:
    """The text on one line, cut where it becomes too long for a reason."""
    line = " ".join(text.split())
    return line if len(line) <= REASON_CHARACTERS else line[: REASON_CHARACTERS - 1] + "…"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error, or the one it was raised from, says that memory ran out."""
    classes = {kind.__name__ for kind in type(error).__mro__}
    if classes & set(OUT_OF_MEMORY_CLASSES):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


def describe(error: BaseException) -> tuple[str, str, bool]:
    """The status, the reason, and whether the traceback says more than the reason does."""
    classes = {kind.__name__ for kind in type(error).__mro__}
    message = one_line(str(error))
    if CANNOT_RUN in classes:
        return NOT_RUN, message, False
    if classes & set(PERSONS_MISTAKES):
        return FAILED, message, False
    named = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return (OUT_OF_MEMORY if is_out_of_memory(error) else FAILED), named, True
