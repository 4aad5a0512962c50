"""Silence and no garbage collection while libraries are loaded and traced."""

import contextlib
import warnings
from collections.abc import Iterator

from bench.worker.measure.garbage import collected


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Within, libraries that are loaded and traced say nothing; bitsandbytes says on loading what it lacks.

    Loading makes hundreds of thousands of objects that stay, so garbage is not looked for meanwhile.
    """
    with collected():
        from bench.worker.quiet import quiet

        quiet()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the libraries deprecate is no part of the answer
            yield
