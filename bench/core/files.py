"""Reading and writing files: TOML with its mistakes named, and text that is written whole or not at all."""

import os
import secrets
import tomllib
from pathlib import Path
from typing import Any


class BadFile(ValueError):
    """A file that a person wrote has a wrong field or type; the message names file, key and remedy."""


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables. Raises BadFile with the line if it is not TOML or not UTF-8."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {error}") from None


def write_atomically(path: Path, text: str) -> None:
    """The file holds all of text, or what it held before. Raises OSError where the disk is full or read-only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
