"""The five dimensions, where a record has them, and the weights a person sets."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.core.registry import unknown
from bench.records.record import Record
from bench.tasks import TASKS

UNTRUE_FAMILIES = ("guardrails",)  # of probes: declining well is no knowledge


def peak_bytes(record: Record) -> float | None:
    return record.peak_bytes


def adapter_bytes(record: Record) -> float | None:
    return record.exact.get("adapter_bytes")


def training_seconds(record: Record) -> float | None:
    return record.times.get("seconds", {}).get("train")


def quality(record: Record) -> float | None:
    return record.quality.get(TASKS[record.parsed_case().task].metric) if record.quality_judged else None


def right_share(record: Record) -> float | None:
    """Share of the probes' items that the tuned model answers right, all families and languages together."""
    rows = asked_families(record)
    asked = sum(items for items, _ in rows.values())
    return sum(right for _, right in rows.values()) / asked if asked else None


def asked_families(record: Record) -> dict[str, tuple[int, int]]:
    """Family -> (items, right after tuning), of what the record's probes asked."""
    return {
        row["family"]: (
            sum(row[name] for name in ("cured", "kept", "broken", "still_wrong")),
            row["cured"] + row["kept"],
        )
        for row in record.tables.get("probes", [])
        if row["language"] == row["group"] == "all" and row["family"] not in UNTRUE_FAMILIES
    }


@dataclass(frozen=True)
class Dimension:
    """One of the five. read(record) -> its figure, or None where the record has none."""

    name: str
    says: str
    read: Callable[[Record], float | None]
    weight: float = 1.0
    repeats: bool = False  # on every machine; else it is compared on one machine alone


DIMENSIONS = {
    one.name: one
    for one in (
        Dimension("memory", "peak bytes of the case", peak_bytes),
        Dimension("disk", "bytes of the adapter", adapter_bytes, repeats=True),
        Dimension("time", "seconds of training", training_seconds),
        Dimension("quality", "the task's metric on held-out examples", quality, weight=2.0, repeats=True),
        Dimension("truth", "share of the probes' items answered right", right_share, repeats=True),
    )
}
WEIGHTS = {name: dimension.weight for name, dimension in DIMENSIONS.items()}


def parse_weights(text: str) -> dict[str, float]:
    """memory=1,quality=2 as weights; what is not named weighs nothing. Raises ValueError in one sentence."""
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
