"""What a person sees while a case runs: one line that is rewritten on a terminal, a line now and then in CI."""

import os
import sys
import threading
import time
from typing import Any, TextIO

from bench.core.outside_text import for_terminal
from bench.executor import Outcome

CLEAR = "\r\x1b[K"
PLAIN_SECONDS = 30.0  # between plain lines of one case
QUICK_SECONDS = 0.2  # between rewritings


def describe(key: str, said: dict[str, Any]) -> str:
    """A progress message as a line."""
    if "line" in said:
        return for_terminal(f"{key}: {said['line']}")
    return (
        f"{key}: step {said['step']}/{said['steps']}, loss {said['loss']:.3f}, "
        f"{said['tokens_per_second']:,.0f} tokens/s, {said['seconds_left']:.0f} s left"
    )


class Progress:
    """Shows messages while `shown()`; what comes at other times would land in a test's captured output."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty() and not os.environ.get("CI")
        self._lock = threading.Lock()
        self._visible = False
        self._last: dict[str, float] = {}
        self._waiting: list[str] = []

    def start(self, stream: TextIO) -> None:
        """Begin to show; plain lines that came meanwhile first."""
        with self._lock:
            self.stream = stream
            self._visible = True
            if self._waiting:
                self._write("\n" + "\n".join(self._waiting) + "\n")
                self._waiting.clear()

    def stop(self) -> None:
        with self._lock:
            if self._visible and self.terminal:
                self._write(CLEAR)
            self._visible = False

    def report(self, key: str, said: dict[str, Any]) -> None:
        """A worker's message; most are passed over, for a case says thousands."""
        pause = QUICK_SECONDS if self.terminal else PLAIN_SECONDS
        with self._lock:
            now = time.monotonic()
            if now - self._last.setdefault(key, now if not self.terminal else 0.0) < pause:
                return
            self._last[key] = now
            if self.terminal and self._visible:
                self._write(CLEAR + describe(key, said)[: terminal_width()])
            elif not self.terminal:
                self._say(describe(key, said))

    def done(self, outcome: Outcome) -> None:
        """A case is done: its status, and why if it is not ok."""
        reason = f", {outcome.reason}" if outcome.reason else ""
        line = for_terminal(f"{outcome.key}: {outcome.status} in {outcome.seconds:.1f} s{reason}")
        with self._lock:
            if self.terminal and self._visible:
                self._write(CLEAR + line[: terminal_width()])
            elif not self.terminal:
                self._say(line)

    def _say(self, line: str) -> None:
        if self._visible:
            self._write(line + "\n")
        else:
            self._waiting.append(line)

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def terminal_width() -> int:
    try:
        return os.get_terminal_size().columns - 1
    except OSError:
        return 79
