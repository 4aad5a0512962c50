"""Where a run was made: its command, machine, libraries, and where weights and data come from."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.machine.environment import machine_words
from bench.records.record import Record
from bench.report.tables import Table

HEADINGS = ("what", "value")
COMMIT = 12  # digits shown


def surroundings_table(records: Sequence[Record], about: Mapping[str, Any]) -> Table:
    """A line for each fact; several values of one fact are joined. about: the run's run.json."""
    rows = [("command", shlex.join(about["command"]))] if about.get("command") else []
    rows += [("machine", one) for one in unique(machine_words(one.environment) for one in records if one.environment)]
    for name in ("python", "system", "accelerator", "driver", "cuda", "commit", "emulation"):
        values = unique(str(one.environment.get(name) or "")[: COMMIT if name == "commit" else None] for one in records)
        rows += [(name, ", ".join(values))] if values else []
    if any(one.environment.get("dirty") for one in records):
        rows.append(("checkout", "with changes that are in no commit"))
    rows += [("weights", one) for one in unique(
        f"{one.parsed_case().model}: {one.weights.get('origin')} {one.weights.get('identity', '')}"
        for one in records if one.weights)]  # fmt: skip
    rows += [("data", one) for one in unique(
        f"{one.parsed_case().task}: {one.data.get('reason') or one.data.get('origin')} {one.data.get('identity', '')}"
        for one in records if one.data)]  # fmt: skip
    if about.get("note"):
        rows.append(("note", str(about["note"])))
    return [list(HEADINGS), *map(list, rows)]


def libraries_table(records: Sequence[Record], about: Mapping[str, Any]) -> Table:
    """Every distribution that the run lists, else the libraries that its records name, with their versions."""
    listed = about.get("distributions") or {}
    names: dict[str, list[str]] = {name: [str(version)] for name, version in listed.items()}
    for record in [] if listed else records:
        for name, version in record.environment.get("libraries", {}).items():
            found = names.setdefault(name, [])
            if version and version not in found:
                found.append(str(version))
    return [["library", "version"], *([name, ", ".join(versions)] for name, versions in names.items() if versions)]


def unique(values: Iterable[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]
