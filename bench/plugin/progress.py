"""Progress while a case runs: one line that is rewritten on a terminal, an occasional line in CI.

pytest may have written half a line of dots on the terminal. So progress begins on a new line, and afterwards pytest
writes the file's name again before its next dot.
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.core.outside_text import for_terminal
from bench.executor import Outcome

CLEAR = "\r\x1b[K"
UP = "\x1b[A"
PLAIN_SECONDS = 30.0  # between two plain lines of one case
QUICK_SECONDS = 0.2  # between two updates of the rewritten line


def describe(key: str, said: dict[str, Any]) -> str:
    """A progress message as a line."""
    if "line" in said:
        return for_terminal(f"{key}: {said['line']}")
    return (
        f"{key}: step {said['step']}/{said['steps']}, loss {said['loss']:.3f}, "
        f"{said['tokens_per_second']:,.0f} tokens/s, {said['seconds_left']:.0f} s left"
    )


def write_to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class Progress:
    """Shows messages between start() and stop(); at other times they would end up in a test's captured output."""

    def __init__(self, write: Callable[[str], Any] = write_to_stdout, terminal: bool = False) -> None:
        self.write = write
        self.terminal = terminal
        self._lock = threading.Lock()
        self._visible = False
        self._written = False  # since start()
        self._last: dict[str, float] = {}
        self._waiting: list[str] = []

    def start(self, write: Callable[[str], Any], terminal: bool) -> None:
        """Show messages from now on, first plain lines that are waiting. terminal: whether a line can be rewritten."""
        with self._lock:
            self.write, self.terminal = write, terminal and not os.environ.get("CI")
            self._visible, self._written = True, False
            for line in self._waiting:
                self._write_line(line)
            self._waiting.clear()

    def stop(self) -> bool:
        """Stop showing messages. Returns whether anything was written: then the cursor is no longer behind the dots."""
        with self._lock:
            if self._written and self.terminal:
                self.write(CLEAR + UP)  # pytest's next line replaces this one
            self._visible = False
            return self._written

    def report(self, key: str, said: dict[str, Any]) -> None:
        """Take a worker's message; most are dropped, because a case sends thousands."""
        pause = QUICK_SECONDS if self.terminal else PLAIN_SECONDS
        with self._lock:
            now = time.monotonic()
            if now - self._last.setdefault(key, now if not self.terminal else 0.0) < pause:
                return
            self._last[key] = now
            self._show(describe(key, said))

    def show_outcome(self, outcome: Outcome) -> None:
        """Show that a case is done: its status, and the reason if it is not ok."""
        reason = f", {outcome.reason}" if outcome.reason else ""
        with self._lock:
            self._show(for_terminal(f"{outcome.key}: {outcome.status} in {outcome.seconds:.1f} s{reason}"))

    def _show(self, line: str) -> None:
        if self._visible:
            self._write_line(line)
        elif not self.terminal:
            self._waiting.append(line)

    def _write_line(self, line: str) -> None:
        """Write the text on its own line; on a terminal it replaces the last one."""
        begin = "" if self._written else "\n"
        self.write(begin + (CLEAR + line[: terminal_width()] if self.terminal else f"{line}\n"))
        self._written = True


def terminal_width() -> int:
    """The number of columns that a line may have without wrapping."""
    return shutil.get_terminal_size().columns - 1
