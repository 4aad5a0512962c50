"""Stored answers to probes, parsed again by today's parsers, and the record's shares recomputed from them.

An improved parser also reads old answers, so runs from before and after the improvement stay comparable. The answers
themselves, and the probabilities of the choices, stay as they were stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.probes import PROBES, RIGHT, Item
from bench.probes.scoring import summarise
from bench.records.probe_results import ProbeResults
from bench.records.record import Record

WHEN = ("before", "after")


class NotAsked(ValueError):
    """A stored answer belongs to an item that no probe asks today."""


@dataclass(frozen=True)
class Reread:
    """A record and the rows of its probes, parsed again. changes: a sentence for each share that changed."""

    record: Record
    rows: list[dict[str, Any]]
    changes: list[str]


def reread(record: Record, rows: Sequence[Mapping[str, Any]]) -> Reread:
    """The record with its probes parsed by today's parsers. Raises NotAsked for an item that no longer exists."""
    items = items_of(record, rows)
    new = [row_anew(row, items[row["key"]]) if row["key"] in items else dict(row) for row in rows]
    asked = [row for row in new if row["key"] in items]
    if not asked:
        return Reread(record, new, [])
    found = replace(record, tables={**record.tables, "probes": summarise(asked)})
    return Reread(found, new, share_changes(record, found))


def items_of(record: Record, rows: Sequence[Mapping[str, Any]]) -> dict[str, Item]:
    """Key -> item of every row that has answers; rows of texts with a measured loss have none."""
    found = {}
    for row in rows:
        if "said_before" not in row:
            continue
        family, _, name = row["key"].partition("/")
        items = {item.id: item for item in PROBES[family].items}
        if name not in items:
            raise NotAsked(f"{record.case}: {family} asks no item {name!r} today; run the case again")
        found[row["key"]] = items[name]
    return found


def row_anew(row: Mapping[str, Any], item: Item) -> dict[str, Any]:
    """The row with the outcome of its answers by today's parser."""
    family = PROBES[item.family]
    return {**row, **{when: family.outcome(row[f"said_{when}"], item, was_cut(row, when, item)) for when in WHEN}}


def was_cut(row: Mapping[str, Any], when: str, item: Item) -> bool:
    """Whether the token limit ended the answer.

    Older rows do not state it. Such an answer was cut if it was right, but would be wrong had it ended by itself.
    """
    stored = row.get(f"cut_{when}")
    if stored is not None:
        return bool(stored)
    return bool(row[when] == RIGHT != PROBES[item.family].outcome(row[f"said_{when}"], item, cut=False))


def share_changes(old: Record, new: Record) -> list[str]:
    """A sentence for each group whose count of right answers changed."""
    before, after = ProbeResults(old).groups(), ProbeResults(new).groups()
    said = []
    for key in after:
        for when, tuned in zip(WHEN, ("before tuning", "after tuning"), strict=True):
            counts = [round(getattr(one[key], when) * one[key].items) for one in (before, after) if key in one]
            if len(set(counts)) > 1:
                said.append(f"{old.case}: {key} {tuned}: {counts[0]} -> {counts[1]} of {after[key].items} right")
    return said
