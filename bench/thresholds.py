"""Thresholds of quality: measured on several seeds, never guessed, and good for one recipe only.

`fixtures/thresholds.toml` is written by `python -m bench thresholds RUN...`, an entry for each case (without
its seed) and size of data. The threshold is the worst seed less a margin: three standard deviations over
the seeds, or a tenth of what training gained or left to gain, whichever of the two is larger. The gain
over the untrained adapter must be at least half of the mean gain.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.case import parse_case
from bench.places import FIXTURES
from bench.recipe import BadFile, read_toml
from bench.record import Record
from bench.tasks import TASKS

FILE = FIXTURES / "thresholds.toml"
DEVIATIONS = 3.0
MARGIN = 0.1  # of the mean gain, or of what is left to the ideal: for other processors' and libraries' rounding
IDEAL = {True: 1.0, False: 0.0}  # of a metric whose greater values are better, and of a loss
LEAST_GAIN = 0.5  # of the mean gain
FIELDS = {"metric": str, "recipe": str, "weights": str, "data": str, "quality": float, "gain": float, "seeds": int}


def group_of(record: Record) -> str:
    """The case's id without its seed, and the size of its data: pos-minilm_l6-lora-cpu-sample."""
    return f"{record.case.rsplit('-', 1)[0]}-{record.recipe['data']}"


def basis_of(record: Record) -> dict[str, str]:
    """What a threshold holds for: no record of another recipe, of other weights or data is judged by it."""
    return {
        "recipe": record.recipe_digest,
        "weights": record.weights.get("identity", ""),
        "data": record.data.get("identity", ""),
    }


def differing_basis(entry: Mapping[str, Any], record: Record) -> list[str]:
    """What of the record's basis a threshold was not measured with: its names."""
    return [name for name, value in basis_of(record).items() if entry.get(name) != value]


def common_basis(name: str, group: Sequence[Record]) -> dict[str, str]:
    """What all of a case's seeds were measured with. Raises ValueError where they differ, or one is given twice."""
    if len({record.case for record in group}) < len(group):
        raise ValueError(f"{name}: one seed is given twice, which tells nothing of its noise; name each run once")
    first, *others = (basis_of(record) for record in group)
    if other := [key for key in first if any(basis[key] != first[key] for basis in others)]:
        raise ValueError(f"{name}: the records differ in {' and '.join(other)}; measure all seeds alike")
    return first


@dataclass(frozen=True)
class Thresholds:
    """Entries by case without seed; each holds for its recipe, weights and data alone."""

    entries: Mapping[str, Mapping[str, Any]]

    def entry_of(self, record: Record) -> Mapping[str, Any] | None:
        """The entry that speaks of this record; None if none does."""
        return None if self.mismatch(record) else self.entries[group_of(record)]

    def mismatch(self, record: Record) -> str:
        """Why no threshold speaks of this record; empty if one does."""
        entry = self.entries.get(group_of(record))
        if entry is None:
            return f"no threshold was measured for {group_of(record)}"
        other = differing_basis(entry, record)
        return f"the threshold was measured with other {' and '.join(other)}" if other else ""

    def quality_of(self, record: Record) -> float | None:
        entry = self.entry_of(record)
        return entry["quality"] if entry else None


def read_thresholds(path: Path = FILE) -> Thresholds:
    """Raises BadFile naming file, case and key for a wrong field or type."""
    entries = read_toml(path) if path.exists() else {}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != FIELDS.keys():
            raise BadFile(f"{path} [{name}]: must have exactly the keys {', '.join(FIELDS)}")
        for key, kind in FIELDS.items():
            if type(entry[key]) is not kind:
                raise BadFile(f"{path} [{name}]: {key} = {entry[key]!r} must be {kind.__name__}")
            if kind is float and not math.isfinite(entry[key]):
                raise BadFile(f"{path} [{name}]: {key} = {entry[key]!r} must be a finite number")
    return Thresholds(entries)


def measure(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Thresholds from records of several seeds. Raises ValueError where seeds differ in recipe, weights or data."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.ok and record.quality_judged:
            groups.setdefault(group_of(record), []).append(record)
    return {name: threshold(name, group) for name, group in groups.items()}


def threshold(name: str, group: list[Record]) -> dict[str, Any]:
    """One entry from one case's seeds."""
    task = TASKS[parse_case(group[0].case).task]
    basis = common_basis(name, group)
    after = [record.quality[task.metric] for record in group]
    gains = [task.improvement(r.quality_before[task.metric], r.quality[task.metric]) for r in group]
    gain = statistics.mean(gains)
    if min(gains) <= 0:
        raise ValueError(f"{name}: a seed gained nothing ({min(gains):.4f}); mend the recipe before a threshold is set")
    worst = min(after) if task.greater_is_better else max(after)
    spread = DEVIATIONS * statistics.stdev(after) if len(after) > 1 else 0.0
    left = abs(IDEAL[task.greater_is_better] - statistics.mean(after))
    margin = max(spread, MARGIN * min(gain, left))
    allowed = worst - margin if task.greater_is_better else worst + margin
    return {
        "metric": task.metric,
        **basis,
        "quality": round(allowed, 4),
        "gain": round(LEAST_GAIN * gain, 4),
        "seeds": len(group),
    }


def as_toml(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text."""
    lines = ["# Written by `python -m bench thresholds RUN...` from measured seeds; see bench/thresholds.py.", ""]
    for name, entry in sorted(entries.items()):
        lines.append(f"[{name}]")
        lines += [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in entry.items()
        ]
        lines.append("")
    return "\n".join(lines)
