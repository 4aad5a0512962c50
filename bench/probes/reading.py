"""Handwritten items: JSON lines with exactly an item's fields, in fixtures/probes/FAMILY.jsonl."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bench.core.files import BadFile
from bench.core.paths import FIXTURES
from bench.probes import Item

FOLDER = FIXTURES / "probes"
FIELDS = tuple(field.name for field in fields(Item))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The file's objects, one per line; empty lines are skipped. Raises BadFile with the line's number."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise BadFile(f"{path}:{number}: no JSON ({error})") from None
        if not isinstance(values, dict):
            raise BadFile(f"{path}:{number}: expected an object, saw {type(values).__name__}")
        found.append(values)
    return found


def read_items(path: Path) -> list[Item]:
    """A file's items. Raises BadFile for a line that lacks a field, has one too many, or has a wrong value."""
    items = []
    for number, values in enumerate(read_lines(path), 1):
        where = f"{path}, item {number} ({values.get('id', 'without an id')})"
        if missing := [name for name in FIELDS if name not in values]:
            raise BadFile(f"{where}: missing {', '.join(missing)}")
        if extra := [name for name in values if name not in FIELDS]:
            raise BadFile(f"{where}: unknown fields {', '.join(extra)}; fields are {', '.join(FIELDS)}")
        choices = values["choices"]
        item = Item(**{**values, "choices": tuple(choices) if isinstance(choices, list) else choices})
        if complaint := item.complaint():
            raise BadFile(f"{where}: {complaint}")
        items.append(item)
    return items


def thin_out(items: Sequence[Item], step: int, together: int = 1) -> list[Item]:
    """Every step-th item of each language, always with the first; together=2 keeps pairs together.

    Asking takes time before and after training, so a file may hold more items than a run asks.
    """
    languages: dict[str, list[Item]] = {}
    for item in items:
        languages.setdefault(item.language, []).append(item)
    return [item for own in languages.values() for place, item in enumerate(own) if place // together % step == 0]
