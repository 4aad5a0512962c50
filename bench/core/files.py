"""Functions that read and write files: TOML whose mistakes are named, and text that is written whole or not at all."""

import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.case import PART
from bench.core.registry import nearest


class BadFile(ValueError):
    """A file that a person wrote has a wrong field or type; the message names file, key and remedy."""


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables. Raises BadFile with the line if it is not TOML or not UTF-8."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {error}") from None


def check_texts(table: Mapping[str, Any], keys: Mapping[str, str], where: str) -> None:
    """Raises BadFile for a key that is not in keys (name -> what it means), or whose value is not text."""
    for key, value in table.items():
        if key not in keys:
            near = nearest(key, list(keys))
            hint = f"did you mean {near[0]}?" if near else f"keys are {', '.join(keys)}"
            raise BadFile(f"{where}: no key {key!r}; {hint}")
        if not isinstance(value, str) or not value.strip():
            raise BadFile(f"{where}: {key} = {value!r} must be text: {keys[key]}")


def check_name(name: str, where: str) -> None:
    """Raises BadFile for a name that cannot be a part of a case id."""
    if not PART.fullmatch(name):
        raise BadFile(f"{where}: the name {name!r} must be lower-case words joined by '_', for it is part of case ids")


def write_atomically(path: Path, text: str) -> None:
    """Write all of text, or leave the file as it was. Raises OSError if the disk is full or read-only."""
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
