"""A context without warnings and garbage collection, for loading and tracing libraries."""

import contextlib
import warnings
from collections.abc import Iterator

from bench.worker.measure.garbage import without_collection


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Within the context, libraries print nothing when loaded and traced; bitsandbytes reports what it lacks on import.

    Loading creates hundreds of thousands of permanent objects, so garbage collection is off meanwhile.
    """
    with without_collection():
        from bench.worker.quiet import quiet

        quiet()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside the libraries do not concern the prediction
            yield
