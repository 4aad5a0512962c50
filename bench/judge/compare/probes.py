"""A comparison of answers to probes, item by item. The items are the population, so McNemar's exact test decides.

Losses of texts (forgetting) are compared in margins of a loss. Like quality, they vary with the seed of training, so
they count as worse only if the losses of training are equal.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bench.judge.compare.finding import BETTER, CHANGED, INCONCLUSIVE, MISSING, PROBES, WORSE, Finding
from bench.judge.compare.margins import LOSS, read_gate
from bench.judge.compare.quality import LEAST_LOSS, WHOLE
from bench.judge.statistics import ALPHA, holm
from bench.probes import RIGHT
from bench.probes.scoring import ALL
from bench.records.probe_results import ProbeResults
from bench.records.record import Record
from bench.records.stored import Stored


@dataclass(frozen=True)
class Items:
    """How a family's items changed from the first run to the second."""

    family: str
    items: int
    cured: int
    broken: int
    reworded: int  # another answer, still right or still wrong

    @property
    def p(self) -> float:
        return mcnemar(self.cured, self.broken)


def mcnemar(cured: int, broken: int) -> float:
    """Two-sided exact p-value against "a changed item is as likely cured as broken"; 1 if none changed."""
    changed = cured + broken
    tail = sum(math.comb(changed, count) for count in range(min(cured, broken) + 1))
    return min(1.0, 2 * tail / 2**changed)


def compare_probes(before: Stored, after: Stored) -> Iterator[Finding]:
    """A finding for each family in which an answer changed, or which the second run did not ask."""
    case = before.record.case
    old, new = ({row["key"]: row for row in side.probe_answers} for side in (before, after))
    yield from missing_items(case, old, new)
    yield from compare_losses(before.record, after.record)
    found = [one for one in by_family(old, new) if one.cured or one.broken or one.reworded]
    for one, p in zip(found, holm([one.p for one in found]), strict=True):
        state = CHANGED if p >= ALPHA else WORSE if one.broken > one.cured else BETTER
        says = f"{one.cured} cured, {one.broken} broken and {one.reworded} reworded of {one.items} items, p = {p:.2g}"
        yield Finding(case, PROBES, state, one.family, says)


def missing_items(case: str, old: dict[str, dict], new: dict[str, dict]) -> Iterator[Finding]:
    """A finding for each family in which the second run lacks an answer."""
    families = Counter(row["family"] for row in old.values())
    gone = Counter(row["family"] for key, row in old.items() if key not in new)
    for family, count in sorted(gone.items()):
        items = families[family]
        says = "the second run did not ask it" if count == items else f"{count} of {items} items were not answered"
        yield Finding(case, PROBES, MISSING, family, says)


def compare_losses(before: Record, after: Record) -> Iterator[Finding]:
    """A finding for each group of texts whose loss after training differs, or which the second record lacks."""
    old, new = ({name_of(row): row["after"] for row in ProbeResults(side).losses} for side in (before, after))
    noisy = before.losses != after.losses
    for name, loss in old.items():
        if name not in new:
            yield Finding(before.case, PROBES, MISSING, name, "the second run did not measure it", f"{loss:.4f}", "–")
        elif new[name] != loss:
            margin = read_gate().margins[LOSS]
            lost = (new[name] - loss) / (margin * loss)
            state, says = of_loss(lost, noisy)
            yield Finding(before.case, PROBES, state, name, says, f"{loss:.4f}", f"{new[name]:.4f}")


def of_loss(lost: float, noisy: bool) -> tuple[str, str]:
    """The state of a loss that grew by `lost` margins, and a sentence. noisy: whether training differs."""
    if not noisy:
        state = WORSE if lost > LEAST_LOSS else BETTER if lost < -LEAST_LOSS else CHANGED
        return state, "the losses of all steps are equal, so no noise of training is in it"
    if lost > WHOLE:
        return INCONCLUSIVE, "worse by more than the margin, and training parted: other seeds may differ as much"
    return CHANGED, "training parted, and it is not worse by more than the margin"


def name_of(row: dict) -> str:
    """The figure of a row of losses: forgetting, or forgetting/general in en."""
    group = "" if row["group"] == ALL else f"/{row['group']}"
    return f"{row['family']}{group}" + ("" if row["language"] == ALL else f" in {row['language']}")


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
