"""Answers side by side for a page: an object whose methods are called from another process.

The caller asks for the next tokens, so nothing runs ahead of the reader: a page that is closed asks no more, and the
generation stands still.
"""

import time
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

from bench.machine.devices import DEVICES
from bench.worker.ask.model_bytes import refuse_lack_of_memory
from bench.worker.ask.side_by_side import Panel, Sampling, answers, load_panel, panel_bytes
from bench.worker.keep.loading import open_kept
from bench.worker.quiet import quiet
from bench.worker.train.trainee import Say


class Asker:
    """Loaded models that answer one question at a time."""

    def __init__(self, payload: dict[str, Any], say: Say) -> None:
        quiet()
        self._panel: Panel | None = None
        self._pieces: Generator[tuple[int, str]] | None = None

    def load(self, folders: list[str], mirror: str, device: str, free_bytes: int, with_base: bool) -> dict[str, Any]:
        """Load the kept folders and their bases; the columns' names, and how many answer in one batch.

        Raises NotKept for a folder that is none, CannotRun for models that do not fit.
        """
        tuned = [open_kept(Path(folder), Path(mirror) if mirror else None) for folder in folders]
        refuse_lack_of_memory(panel_bytes(tuned, with_base), free_bytes, device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of names that libraries change between themselves
            self._panel = load_panel(tuned, DEVICES[device].torch_name, with_base)
        batches = [len(one.columns) for one in self._panel.speakers]
        return {"names": list(self._panel.names), "batches": batches}

    def begin(self, question: str, temperature: float, new_tokens: int, seed: int) -> None:
        """Begin to answer; an answer that has not ended is given up."""
        assert self._panel is not None  # the page loads before it asks
        self.end()
        self._pieces = answers(self._panel, question, Sampling(temperature, new_tokens, seed))

    def read(self, seconds: float) -> dict[str, Any]:
        """The new text of each column: at least one token, and then what comes within these seconds.

        Raises NoRoom for a question that leaves no room for an answer.
        """
        until = time.perf_counter() + seconds
        pieces = []
        for piece in self._pieces or ():
            pieces.append(list(piece))
            if time.perf_counter() >= until:
                return {"pieces": pieces, "ended": False}
        self._pieces = None
        return {"pieces": pieces, "ended": True}

    def end(self) -> None:
        """Give up the answer that has not ended."""
        if self._pieces is not None:
            self._pieces.close()
            self._pieces = None
