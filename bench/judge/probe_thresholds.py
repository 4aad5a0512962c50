"""Bands of probes: the range, from measured seeds, in which a case must lie before and after tuning.

`python -m bench probes --thresholds RUN...` writes `fixtures/probe_thresholds.toml`. For each case (without its seed)
and each group of a family it holds the range over seeds of the share of right answers, before and after tuning, and
the range of the growth of a loss. Each range is widened by three standard deviations over the seeds or by one item,
whichever is more.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.files import read_toml
from bench.core.paths import FIXTURES
from bench.judge.thresholds import BASIS, DEVIATIONS, OPTIONAL, Band, basis_of_entry, common_basis, enough_seeds
from bench.records.basis import QUALITY, basis_differences, basis_of, group_of
from bench.records.probe_results import ProbeResults
from bench.records.record import Record

FILE = FIXTURES / "probe_thresholds.toml"
SHARE = (0.0, 1.0)
ANY = (-math.inf, math.inf)
PARTS = ("before", "after", "losses")  # keys of an entry
LEAST_LOSS_MARGIN = 0.002  # of a relative change of loss: processors round differently
ROUNDING = 1e-9  # floating-point error, not part of a share


@dataclass(frozen=True)
class ProbeBands:
    """Where a case must lie: the shares right by family/group, and the relative change of loss by family."""

    before: Mapping[str, Band]
    after: Mapping[str, Band]
    losses: Mapping[str, Band]

    def outside(self, results: ProbeResults) -> list[str]:
        """A sentence for each figure outside its band."""
        shares = results.groups()
        figures = [(f"{key} before tuning", shares[key].before, band) for key, band in self.before.items()]
        figures += [(f"{key} after tuning", shares[key].after, band) for key, band in self.after.items()]
        changes = {row["family"]: row["change"] for row in results.losses}
        figures += [(f"{key}: change of loss", changes[key], band) for key, band in self.losses.items()]
        return [
            f"{name} is {value:.4f}, unexpected beside {band}" for name, value, band in figures if not band.holds(value)
        ]


def read_bands(record: Record, path: Path = FILE) -> ProbeBands | None:
    """The measured bands for this record; None if there are none for its recipe, weights and data."""
    entry = read_toml(path).get(group_of(record)) if path.exists() else None
    if entry is None or band_differences(record, path):
        return None
    return ProbeBands(**{part: {key: Band(*ends) for key, ends in entry.get(part, {}).items()} for part in PARTS})


def band_differences(record: Record, path: Path = FILE) -> dict[str, str] | None:
    """How the record differs from the basis of its case's bands; None if the case has no bands."""
    entry = read_toml(path).get(group_of(record)) if path.exists() else None
    return None if entry is None else basis_differences(basis_of_entry(entry), basis_of(record), QUALITY)


def measure_bands(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Bands from records of several seeds. Raises ValueError for too few seeds, or if the seeds' bases differ."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.ok and record.quality_judged and (ProbeResults(record).rows or ProbeResults(record).losses):
            groups.setdefault(group_of(record), []).append(record)
    return {name: bands_of(name, group) for name, group in groups.items()}


def bands_of(name: str, group: Sequence[Record]) -> dict[str, Any]:
    """One entry from one case's seeds."""
    basis = common_basis(name, group)
    enough_seeds(name, group)
    results = [ProbeResults(record) for record in group]
    if len({one.questions_asked() for one in results}) != 1:
        raise ValueError(f"{name}: the seeds were asked different probes; ask all seeds alike, as with --probes all")
    found: dict[str, dict[str, list[float]]] = {part: {} for part in PARTS}
    for key, counts in results[0].groups().items():
        for when in ("before", "after"):
            ends = ends_of([getattr(one.groups()[key], when) for one in results], 1 / counts.items, SHARE)
            if tuple(ends) != SHARE:  # nothing can lie outside this range
                found[when][key] = ends
    for row in results[0].losses:
        changes = [other["change"] for one in results for other in one.losses if other["family"] == row["family"]]
        found["losses"][row["family"]] = ends_of(changes, LEAST_LOSS_MARGIN, ANY)
    return {**basis, "seeds": len(group), **found}


def ends_of(values: Sequence[float], least: float, limits: tuple[float, float]) -> list[float]:
    """[lowest, highest] to four decimals, rounded outwards so that a value on the limit is not refused."""
    margin = max(DEVIATIONS * statistics.stdev(values), least)
    lowest, highest = max(limits[0], min(values) - margin), min(limits[1], max(values) + margin)
    return [math.floor(1e4 * (lowest + ROUNDING)) / 1e4, math.ceil(1e4 * (highest - ROUNDING)) / 1e4]


def bands_toml(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text."""
    lines = [
        "# Written by `python -m bench probes --thresholds RUN...` from measured seeds; see bench/report/probes.py.",
        "",
    ]
    for name, entry in sorted(entries.items()):
        lines += [f"[{name}]", *(f'{key} = "{entry[key]}"' for key in (*BASIS, *OPTIONAL) if key in entry),
                  f"seeds = {entry['seeds']}"]  # fmt: skip
        for part in PARTS:
            lines += ["", f"[{name}.{part}]", *(f'"{key}" = {value}' for key, value in entry[part].items())]
        lines.append("")
    return "\n".join(lines)
