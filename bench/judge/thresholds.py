"""Bands of quality: measured on several seeds, never guessed, and valid for one recipe, weights and data only.

`python -m bench thresholds RUN...` writes `fixtures/thresholds.toml`, with an entry for each case (without its seed)
and size of data. An entry holds two bands, [lowest, highest]: one for the quality after training, one for the quality
before. A band reaches from the worst seed minus a margin to the best seed plus the margin. The margin is the largest of

    three standard deviations over the seeds
    a tenth of a reference. For `quality` it is the gain from training, or the distance left to the ideal if that is
        less. For `before` it is the gain: a base that starts a tenth of it better or worse is a different base
    one held-out example, for a metric between 0 and 1: the figure moves by that much if one answer changes

The margin allows for the measured seeds on other processors and with other libraries, which round differently; on one
machine float32 repeats to the bit. A seed that was not measured may fall outside: at least three seeds are measured,
and three say little about their spread. Simulated with the spread of each committed case
(tests/judge/test_thresholds.py), this happens to fewer than 1 in 100 new seeds on average, and to about 8 in 100 for
the noisiest case.

A figure outside its band is unexpected even if it is better: a base that was tampered with, or a metric that no longer
detects a mistake, often looks like progress. The gain over the untrained adapter must be at least half of the mean
gain.
"""

import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.case import parse_case
from bench.core.files import BadFile, read_toml
from bench.core.paths import FIXTURES
from bench.core.registry import nearest
from bench.records.basis import QUALITY, Basis, basis_differences, basis_of, group_of
from bench.records.record import Record
from bench.tasks import TASKS

FILE = FIXTURES / "thresholds.toml"
OWN_FILE = "lorabench-thresholds.toml"  # a user's own thresholds, in the current folder
OWN_VARIABLE = "LORABENCH_THRESHOLDS"
DEVIATIONS = 3.0
MARGIN = 0.1  # of the reference
IDEAL = {True: 1.0, False: 0.0}  # greater_is_better -> the ideal value: of a metric, of a loss
LIMITS = {True: (0.0, 1.0), False: (0.0, math.inf)}  # the range of such metrics
LEAST_GAIN = 0.5  # of the mean gain
LEAST_SEEDS = 3  # fewer say nothing about their spread
DECIMALS = 4
BASIS = ("recipe", "weights", "origin", "data")
FIELDS = {"metric": str, **dict.fromkeys(BASIS, str), "quality": list, "before": list, "gain": float, "seeds": int}
OPTIONAL = {"files": str}  # older records do not state it


def basis_of_entry(entry: Mapping[str, Any]) -> Basis:
    """The basis that a threshold was measured with."""
    return Basis(**{name: entry[name] for name in (*BASIS, *OPTIONAL) if name in entry})


def entry_basis(records: Sequence[Record]) -> dict[str, str]:
    """The fields of an entry's basis; `files` only if every record states them."""
    first = basis_of(records[0])
    found = {name: getattr(first, name) for name in BASIS}
    return found | ({"files": first.files} if all(basis_of(record).files for record in records) else {})


def common_basis(name: str, group: Sequence[Record]) -> dict[str, str]:
    """The basis shared by all of a case's seeds. Raises ValueError if they differ, or a seed is given twice."""
    if len({record.case for record in group}) < len(group):
        raise ValueError(f"{name}: one seed is given twice, which tells nothing of its noise; name each run once")
    first = basis_of(group[0])
    parts = {part for record in group[1:] for part in basis_differences(first, basis_of(record), QUALITY)}
    if parts:
        other = " and ".join(part for part in QUALITY if part in parts)
        raise ValueError(f"{name}: the records differ in {other}; measure all seeds alike")
    return entry_basis(group)


@dataclass(frozen=True)
class Band:
    """The range in which a figure is expected."""

    lowest: float
    highest: float

    def holds(self, value: float) -> bool:
        return self.lowest <= value <= self.highest

    def __str__(self) -> str:
        return f"{self.lowest:.{DECIMALS}f}–{self.highest:.{DECIMALS}f}"


@dataclass(frozen=True)
class Thresholds:
    """Entries by case without seed; each is valid for its recipe, weights and data only."""

    entries: Mapping[str, Mapping[str, Any]]

    def entry_of(self, record: Record) -> Mapping[str, Any] | None:
        """The entry for this record; None if there is none."""
        return None if self.mismatch(record) else self.entries[group_of(record)]

    def differences(self, record: Record) -> dict[str, str] | None:
        """How the record differs from the basis of its case's entry; None if the case has no entry."""
        entry = self.entries.get(group_of(record))
        if entry is None:
            return None
        found = basis_differences(basis_of_entry(entry), basis_of(record), QUALITY)
        metric = TASKS[record.parsed_case().task].metric
        return found | ({"metric": f"{entry['metric']}, now {metric}"} if entry["metric"] != metric else {})

    def mismatch(self, record: Record) -> str:
        """Why no threshold applies to this record; empty if one does."""
        other = self.differences(record)
        if other is None:
            return f"no threshold was measured for {group_of(record)}"
        return f"the threshold was measured with other {' and '.join(other)}" if other else ""

    def quality_of(self, record: Record) -> Band | None:
        entry = self.entry_of(record)
        return Band(*entry["quality"]) if entry else None


def read_thresholds(path: Path = FILE) -> Thresholds:
    """The thresholds of a file. Raises BadFile naming file, case and key for a wrong field or type."""
    entries = read_toml(path) if path.exists() else {}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() - OPTIONAL.keys() != FIELDS.keys():
            raise BadFile(f"{path} [{name}]: must have exactly the keys {', '.join(FIELDS)}; "
                          f"{', '.join(OPTIONAL)} too{wrong_keys(entry)}")  # fmt: skip
        for key, value in entry.items():
            check_field(f"{path} [{name}]", key, value)
    return Thresholds(entries)


def wrong_keys(entry: Any) -> str:
    """The first key that an entry cannot have, and similar valid keys, as the end of a sentence."""
    odd = [key for key in entry if key not in {**FIELDS, **OPTIONAL}] if isinstance(entry, dict) else []
    return f"; it has {odd[0]!r}, did you mean {', '.join(nearest(odd[0], list(FIELDS)) or FIELDS)}?" if odd else ""


def own_thresholds(named: str = "") -> Path | None:
    """The file of a user's own thresholds: the one named, the one in OWN_VARIABLE, or OWN_FILE if it exists."""
    if chosen := named or os.environ.get(OWN_VARIABLE, ""):
        return Path(chosen).expanduser()
    return Path(OWN_FILE) if Path(OWN_FILE).is_file() else None


def read_with_own(own: Path | None) -> Thresholds:
    """The project's thresholds and a user's own, which take precedence. Raises BadFile."""
    entries = read_thresholds().entries
    if own is None:
        return Thresholds(entries)
    if not own.is_file():
        raise BadFile(f"{own}: there is no such file; `python -m bench thresholds RUN... --output {own}` writes it")
    return Thresholds({**entries, **read_thresholds(own).entries})


def check_field(where: str, key: str, value: Any) -> None:
    """Raise BadFile for a value that the key cannot have; a band is two finite numbers, the lower first."""
    kind: Any = {**FIELDS, **OPTIONAL}[key]
    if type(value) is not kind:
        raise BadFile(f"{where}: {key} = {value!r} must be {kind.__name__}")
    numbers = value if kind is list else [value] if kind is float else []
    if any(type(number) is not float or not math.isfinite(number) for number in numbers):
        raise BadFile(f"{where}: {key} = {value!r} must be of finite numbers with decimals")
    if kind is list and (len(value) != 2 or value[0] > value[1]):
        raise BadFile(f"{where}: {key} = {value!r} must be [lowest, highest]")


def measure(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Thresholds from records of several seeds. Raises ValueError if seeds differ in recipe, weights or data."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.ok and record.quality_judged:
            groups.setdefault(group_of(record), []).append(record)
    return {name: threshold(name, group) for name, group in groups.items()}


def enough_seeds(name: str, group: Sequence[Record]) -> None:
    """Raise ValueError for fewer seeds than a band needs."""
    if len(group) < LEAST_SEEDS:
        names = ", ".join(record.case for record in group)
        raise ValueError(f"{name}: {len(group)} seeds ({names}) say too little of their noise; run {LEAST_SEEDS}")


def threshold(name: str, group: list[Record]) -> dict[str, Any]:
    """One entry from one case's seeds."""
    task = TASKS[parse_case(group[0].case).task]
    basis = common_basis(name, group)
    if any(task.metric not in quality for record in group for quality in (record.quality, record.quality_before)):
        raise ValueError(f"{name}: a record has no {task.metric}, which {task.name} is judged by; run its case again")
    enough_seeds(name, group)
    before = [record.quality_before[task.metric] for record in group]
    after = [record.quality[task.metric] for record in group]
    gains = [task.improvement(*pair) for pair in zip(before, after, strict=True)]
    gain = statistics.mean(gains)
    if min(gains) <= 0:
        raise ValueError(f"{name}: a seed gained nothing ({min(gains):.4f}); mend the recipe before a threshold is set")
    left = abs(IDEAL[task.greater_is_better] - statistics.mean(after))
    limits = LIMITS[task.greater_is_better]
    item = one_item(group) if limits[1] == 1 else 0.0
    return {
        "metric": task.metric,
        **basis,
        "quality": band(after, min(gain, left), limits, item),
        "before": band(before, gain, limits, item),
        "gain": round(LEAST_GAIN * gain, DECIMALS),
        "seeds": len(group),
    }


def one_item(group: Sequence[Record]) -> float:
    """One held-out example as a share of all; 0 if a record does not state how many there are."""
    counts = [record.data.get("held_out_examples", 0) for record in group]
    return 1 / min(counts) if all(counts) else 0.0


def band(values: Sequence[float], reference: float, limits: tuple[float, float], least: float = 0.0) -> list[float]:
    """[lowest, highest]: the seeds' extremes with a margin beyond each, clipped to the metric's range.

    least: the smallest margin.
    """
    margin = max(DEVIATIONS * statistics.stdev(values), MARGIN * reference, least)
    lowest, highest = max(limits[0], min(values) - margin), min(limits[1], max(values) + margin)
    return [round(lowest, DECIMALS), round(highest, DECIMALS)]


def wider_than_gain(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """Entries whose quality band is wider than the gain from training, with both widths: they judge next to nothing."""
    sizes = {
        name: (entry["quality"][1] - entry["quality"][0], entry["gain"] / LEAST_GAIN) for name, entry in entries.items()
    }
    return {name: (width, gain) for name, (width, gain) in sizes.items() if width > gain}


def as_toml(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text."""
    lines = ["# Written by `python -m bench thresholds RUN...` from measured seeds; see bench/judge/thresholds.py.", ""]
    for name, entry in sorted(entries.items()):
        lines.append(f"[{name}]")
        lines += [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in entry.items()
        ]
        lines.append("")
    return "\n".join(lines)
