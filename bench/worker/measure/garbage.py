"""Python's garbage collection, held back while it would cost time or make bytes differ from run to run."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Collect garbage now and not again inside, so that bytes repeat; loading and building are faster, too."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
