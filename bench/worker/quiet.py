"""Quiet libraries: a worker's last lines are kept for what went wrong."""

import logging as stdlib_logging


def quiet() -> None:
    """No progress bars and tables of transformers: a worker's last lines are kept for what went wrong."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    stdlib_logging.getLogger("bitsandbytes").setLevel(stdlib_logging.ERROR)  # it says at every product that it casts
