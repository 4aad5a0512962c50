"""The five dimensions of a score, each a figure of the record, and the weights a person sets."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.core.registry import unknown
from bench.probes import PROBES
from bench.probes.scoring import ALL
from bench.records.figures import FIGURES, LESS, MORE, QUALITY, Figure, calculation, quality
from bench.records.record import Record
from bench.tasks import TASKS


def metric_of(record: Record) -> Figure:
    """The metric of the record's task; models with random weights have none."""
    task = TASKS[record.parsed_case().task]
    better = MORE if task.greater_is_better else LESS
    return quality(task.metric, better=better, comparable=lambda record: record.quality_judged)


def right_share(record: Record) -> float | None:
    """Share of the probes' items that the tuned model answers right, all families and languages together."""
    rows = asked_families(record)
    asked = sum(items for items, _ in rows.values())
    return sum(right for _, right in rows.values()) / asked if asked else None


def is_about_truth(family: str) -> bool:
    """Whether a right answer to these probes is a true one; assumed for a family that is not registered."""
    return family not in PROBES or PROBES[family].about_truth


def asked_families(record: Record) -> dict[str, tuple[int, int]]:
    """Family -> (items, right after tuning), for the families that the record's probes asked."""
    return {
        row["family"]: (
            sum(row[name] for name in ("cured", "kept", "broken", "still_wrong")),
            row["cured"] + row["kept"],
        )
        for row in record.tables.get("probes", [])
        if row["language"] == row["group"] == ALL and is_about_truth(row["family"])
    }


@dataclass(frozen=True)
class Dimension:
    """One of the five dimensions. figure(record) is the record's figure for it."""

    name: str
    figure: Callable[[Record], Figure]
    weight: float = 1.0

    def figure_of(self, record: Record) -> float | None:
        """The record's figure, or None if it has none that can be compared."""
        return self.figure(record).value(record)


RIGHT_SHARE = calculation("right_share", "share of the probes' items answered right", right_share, "fraction", QUALITY,
                         MORE)  # fmt: skip
DIMENSIONS = {
    one.name: one
    for one in (
        Dimension("memory", lambda record: FIGURES["peak_bytes"]),
        Dimension("disk", lambda record: FIGURES["adapter_bytes"]),
        Dimension("time", lambda record: FIGURES["training_seconds"]),
        Dimension("quality", metric_of, weight=2.0),
        Dimension("truth", lambda record: RIGHT_SHARE),
    )
}
WEIGHTS = {name: dimension.weight for name, dimension in DIMENSIONS.items()}


def parse_weights(text: str) -> dict[str, float]:
    """Parse memory=1,quality=2; a dimension that is not named has weight 0. Raises ValueError in one sentence."""
    weights = dict.fromkeys(DIMENSIONS, 0.0)
    seen = set()
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise ValueError(f"--weights: {part.strip()!r} must be NAME=NUMBER, as memory=1,quality=2")
        if name not in weights:
            raise ValueError(f"--weights: {unknown('dimension', name, list(weights))}")
        if name in seen:
            raise ValueError(f"--weights: {name} is given twice; give it one weight")
        try:
            weights[name] = float(value)
        except ValueError:
            raise ValueError(f"--weights: {name}={value!r} must be a number, as {name}=2") from None
        if not math.isfinite(weights[name]) or weights[name] < 0:
            raise ValueError(f"--weights: {name}={value} must be a finite number that is not negative")
        seen.add(name)
    if not any(weights.values()):
        raise ValueError("--weights: every weight is 0; at least one must be above it")
    return weights
