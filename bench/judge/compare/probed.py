"""Answers to probes compared, item by item: the items are the population, so McNemar's exact test over them decides."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bench.judge.compare.finding import BETTER, CHANGED, MISSING, PROBES, WORSE, Finding
from bench.judge.statistics import ALPHA, holm
from bench.probes import RIGHT
from bench.records.stored import Stored


@dataclass(frozen=True)
class Items:
    """What became of a family's items from the first run to the second."""

    family: str
    items: int
    cured: int
    broken: int
    reworded: int  # another answer, and as right or wrong as before

    @property
    def p(self) -> float:
        return mcnemar(self.cured, self.broken)


def mcnemar(cured: int, broken: int) -> float:
    """Two-sided exact p-value against "an item that changed is as likely cured as broken"; 1 where none changed."""
    changed = cured + broken
    tail = sum(math.comb(changed, count) for count in range(min(cured, broken) + 1))
    return min(1.0, 2 * tail / 2**changed)


def compare_probes(before: Stored, after: Stored) -> Iterator[Finding]:
    """A finding for each family in which an answer changed, or that the second run did not ask."""
    case = before.record.case
    old, new = ({row["key"]: row for row in side.probed} for side in (before, after))
    for family in sorted({row["family"] for row in old.values()} - {row["family"] for row in new.values()}):
        yield Finding(case, PROBES, MISSING, family, "the second run did not ask it")
    found = [one for one in by_family(old, new) if one.cured or one.broken or one.reworded]
    for one, p in zip(found, holm([one.p for one in found]), strict=True):
        state = CHANGED if p >= ALPHA else WORSE if one.broken > one.cured else BETTER
        says = f"{one.cured} cured, {one.broken} broken and {one.reworded} reworded of {one.items} items, p = {p:.2g}"
        yield Finding(case, PROBES, state, one.family, says)


def by_family(old: dict[str, dict], new: dict[str, dict]) -> list[Items]:
    families: dict[str, list[tuple[dict, dict]]] = {}
    for key in old.keys() & new.keys():
        if "after" in old[key] and "after" in new[key] and "said_after" in old[key]:
            families.setdefault(old[key]["family"], []).append((old[key], new[key]))
    return [counts(family, pairs) for family, pairs in sorted(families.items())]


def counts(family: str, pairs: list[tuple[dict, dict]]) -> Items:
    right = [(one["after"] == RIGHT, other["after"] == RIGHT) for one, other in pairs]
    said = sum(one["said_after"] != other.get("said_after") for one, other in pairs)
    cured, broken = right.count((False, True)), right.count((True, False))
    return Items(family, len(pairs), cured, broken, max(0, said - cured - broken))
