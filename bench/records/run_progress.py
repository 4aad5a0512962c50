"""The progress of a session as JSON lines in its run's folder, `progress.jsonl`, so that a page can follow the run.

The session holds a lock on the file while it runs, and the kernel releases the lock however the session ends. So a
reader knows whether a run is alive without a process id, which means nothing on another machine. The file is about a
session, not a result: nothing compares it, and it is not committed.
"""

import fcntl
import json
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

FILE = "progress.jsonl"
PAUSE_SECONDS = 1.0  # between two lines of one case, which sends thousands of messages
LOCK_TRIES, LOCK_PAUSE_SECONDS = 10, 0.02  # a reader that looks whether the file is locked holds it for an instant
WAITING, RUNNING = "waiting", "running"  # before a case has a record's status
NUMBERS = ("step", "steps", "tokens_per_second", "seconds_left")


@dataclass(frozen=True)
class CaseProgress:
    """What is known of a case of a session. losses: (optimizer step, loss) of the steps that were written down."""

    case: str
    state: str = WAITING
    step: float = 0
    steps: float = 0
    tokens_per_second: float = 0
    seconds_left: float = 0
    losses: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class RunProgress:
    """The cases of a run's last session, in their order. alive: whether that session still runs."""

    alive: bool = False
    cases: tuple[CaseProgress, ...] = ()


class ProgressFile:
    """Writes the progress of one session. A disk that fails ends no case, so the lines are then missing."""

    def __init__(self) -> None:
        self._turn = threading.Lock()  # the executor's threads write
        self._file = -1  # its descriptor
        self._last: dict[str, float] = {}

    def begin(self, folder: Path, cases: Iterable[str]) -> None:
        """Open the file in the run's folder and list the cases that this session runs."""
        with suppress(OSError):
            if self._file < 0:
                self._file = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                lock(self._file)
        self._write({"begin": list(cases)})

    def add(self, case: str, said: Mapping[str, Any]) -> None:
        """Write a worker's message about an optimizer step; most are dropped."""
        now = time.monotonic()
        if "step" in said and now - self._last.get(case, -PAUSE_SECONDS) >= PAUSE_SECONDS:
            self._last[case] = now
            numbers = {name: said[name] for name in (*NUMBERS, "loss") if is_finite(said.get(name))}
            self._write({"case": case, **numbers})

    def end(self, case: str, status: str) -> None:
        """Write how the case ended."""
        self._write({"case": case, "status": status})

    def close(self) -> None:
        """Release the lock; idempotent."""
        with self._turn:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _write(self, values: Mapping[str, Any]) -> None:
        with self._turn, suppress(OSError, TypeError, ValueError):
            if self._file >= 0:
                os.write(self._file, json.dumps(values, allow_nan=False).encode() + b"\n")


def lock(file: int) -> None:
    """Lock the file for its session. Raises OSError if another session in this folder keeps its lock."""
    for left in reversed(range(LOCK_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not left:
                raise
            time.sleep(LOCK_PAUSE_SECONDS)


def is_finite(value: Any) -> bool:
    """Whether it is a number that JSON can hold; the loss of a run that diverges is none."""
    return isinstance(value, int | float) and math.isfinite(value)


def read_progress(folder: Path) -> RunProgress:
    """The progress of the run's last session; lines that cannot be read are passed over."""
    found: dict[str, CaseProgress] = {}
    try:
        with (folder / FILE).open("rb") as file:
            alive = is_locked(file)
            lines = file.read().splitlines()
    except OSError:
        return RunProgress()
    for line in lines:
        try:
            values = json.loads(line)
            if "begin" in values:
                found = {str(case): CaseProgress(str(case)) for case in values["begin"]}
            else:
                case = str(values["case"])
                found[case] = after(found.get(case, CaseProgress(case)), values)
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return RunProgress(alive, tuple(found.values()))


def is_locked(file: BinaryIO) -> bool:
    """Whether a session holds the file."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def after(one: CaseProgress, values: Mapping[str, Any]) -> CaseProgress:
    """What is known of the case after this line. Raises ValueError or TypeError for a line with other types."""
    if "status" in values:
        return replace(one, state=str(values["status"]))
    numbers: dict[str, Any] = {name: float(values[name]) for name in NUMBERS if name in values}
    if "loss" in values:
        one.losses.append((float(values["step"]), float(values["loss"])))
    return replace(one, state=RUNNING, **numbers)
