"""Readers of a worker's pipes: whole lines of answers, and the end of its output."""

import re

from bench.core.outside_text import for_terminal

BYTES_KEPT = 64 * 1024
LINES_KEPT = 30
LINE_CHARACTERS = 400
TERMINAL_CODES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")


class Lines:
    """Splits a stream into lines; an incomplete line waits for the rest."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes."""
        head, newline, rest = chunk.rpartition(b"\n")
        if not newline:
            self._parts.append(chunk)
            return []
        lines = b"".join([*self._parts, head]).split(b"\n")
        self._parts = [rest]
        return lines


class Tail:
    """The last bytes of a stream: bounded memory, safe to show."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, chunk: bytes) -> None:
        self._bytes += chunk
        if len(self._bytes) > BYTES_KEPT:
            del self._bytes[:-BYTES_KEPT]

    def lines(self) -> list[str]:
        """The last non-empty lines, without terminal codes; a progress bar counts as its last state."""
        text = TERMINAL_CODES.sub("", self._bytes.decode("utf-8", "replace"))
        shown = []
        for line in text.split("\n"):
            last_state = line.rstrip("\r").rpartition("\r")[2].expandtabs().rstrip()
            if last_state:
                shown.append(for_terminal(last_state)[:LINE_CHARACTERS])
        return shown[-LINES_KEPT:]
