"""The effect of tuning on a probe's items, in pairs: cured, kept, broken, still wrong.

The items are the same before and after, so they are compared item by item. McNemar's exact test asks whether as
many were cured as were broken, and the interval is that of the change in the share of right answers.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.probes import RIGHT

CONFIDENCE = 0.95
ALPHA = 0.05  # a change with p below this is significant
ALL = "all"


@dataclass(frozen=True)
class Paired:
    """The four counts of items before and after."""

    cured: int  # wrong before, right after
    kept: int  # right both times
    broken: int  # right before, wrong after
    still_wrong: int

    @property
    def items(self) -> int:
        return self.cured + self.kept + self.broken + self.still_wrong

    @property
    def before(self) -> float:
        """Share right before."""
        return (self.kept + self.broken) / self.items

    @property
    def after(self) -> float:
        """Share right after."""
        return (self.kept + self.cured) / self.items

    @property
    def p(self) -> float:
        """McNemar's exact test, two-sided: a changed item is as likely cured as broken. 1 where none changed."""
        from scipy.stats import binomtest

        changed = self.cured + self.broken
        return float(binomtest(self.cured, changed, 0.5).pvalue) if changed else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the change of the share, by Newcombe's square-and-add of Wilson's intervals (1998)."""
        return change_interval(self)

    @property
    def significant_loss(self) -> bool:
        return self.broken > self.cured and self.p < ALPHA


def pair_answers(before: Sequence[bool], after: Sequence[bool]) -> Paired:
    """The counts. Raises ValueError if there is nothing to pair."""
    if not before or len(before) != len(after):
        raise ValueError(f"{len(before)} items before and {len(after)} after cannot be paired")
    both = list(zip(before, after, strict=True))
    return Paired(
        cured=both.count((False, True)),
        kept=both.count((True, True)),
        broken=both.count((True, False)),
        still_wrong=both.count((False, False)),
    )


def share_interval(right: int, items: int) -> tuple[float, float]:
    """Wilson's interval of a share."""
    from scipy.stats import binomtest

    found = binomtest(right, items).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def change_interval(counts: Paired) -> tuple[float, float]:
    """Wilson's intervals of both shares, joined with their correlation (Newcombe 1998, without its correction)."""
    kept, broken, cured, neither = counts.kept, counts.broken, counts.cured, counts.still_wrong
    before, after, items = counts.before, counts.after, counts.items
    before_low, before_high = share_interval(kept + broken, items)
    after_low, after_high = share_interval(kept + cured, items)
    margins = (kept + broken) * (cured + neither) * (kept + cured) * (broken + neither)
    phi = (kept * neither - broken * cured) / math.sqrt(margins) if margins else 0.0
    change = after - before
    low = distance(after - after_low, before_high - before, phi)
    high = distance(after_high - after, before - before_low, phi)
    return max(-1.0, change - low), min(1.0, change + high)


def distance(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def summary_row(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
    """The counts, shares, p and interval as plain data."""
    counts = pair_answers(before, after)
    low, high = counts.interval
    return {
        **asdict(counts),
        "before": round(counts.before, 4),
        "after": round(counts.after, 4),
        "p": counts.p,
        "change_low": round(low, 4),
        "change_high": round(high, 4),
    }


def summarise(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A summary for each family × language × group of asked items, and for "all" of either.

    rows: family, language, group, before and after (outcomes), and where choices were compared
    before_margin and after_margin.
    """
    cells: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        for language in (ALL, row["language"]):
            for group in (ALL, row["group"]):
                cells.setdefault((row["family"], language, group), []).append(row)
    return [summarise_cell(*key, cell) for key, cell in cells.items()]


def summarise_cell(family: str, language: str, group: str, cell: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = {
        "family": family,
        "language": language,
        "group": group,
        **summary_row([row["before"] == RIGHT for row in cell], [row["after"] == RIGHT for row in cell]),
    }
    compared = [row for row in cell if row.get("before_margin") is not None]
    if compared:
        ours = summary_row(
            [row["before_margin"] > 0 for row in compared], [row["after_margin"] > 0 for row in compared]
        )
        found["by_margin"] = {name: ours[name] for name in ("before", "after", "p")}
    return found


def summarise_losses(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean nats a token of each family's texts, before and after, and the relative change of the loss.

    rows: family, language, group, tokens, before and after (nats, summed over the text).
    """
    cells: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault(row["family"], []).append(row)
    found = []
    for family, cell in cells.items():
        tokens = sum(row["tokens"] for row in cell)
        before, after = (sum(row[when] for row in cell) / tokens for when in ("before", "after"))
        found.append(
            {"family": family, "language": ALL, "group": ALL, "items": len(cell), "tokens": tokens,
             "before": round(before, 6), "after": round(after, 6), "change": round(after / before - 1, 6)}
        )  # fmt: skip
    return found
