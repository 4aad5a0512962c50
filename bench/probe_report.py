"""Probes of records as tables, before and after; and the bands in which measured seeds say a case must lie.

`fixtures/probe_thresholds.toml` is written by `python -m bench probes --thresholds RUN...`, with bands [lowest,
highest] for each case without its seed: of the share right in each group of a family, after tuning and before it, and
of the relative change of each loss. As in bench/thresholds.py, a band reaches from the lowest seed less a margin to
the highest plus it, and outside is unexpected on either side. The margin is three standard deviations over the seeds
or one item, of a change of loss LEAST_LOSS_MARGIN, whichever is more. A band of all shares is left out.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.basis import QUALITY, basis_differences, basis_of
from bench.places import FIXTURES
from bench.probes.scoring import ALL, Paired
from bench.recipe import read_toml
from bench.record import Record
from bench.thresholds import (
    BASIS,
    DEVIATIONS,
    OPTIONAL,
    Band,
    basis_of_entry,
    common_basis,
    enough_seeds,
    entry_basis,
    group_of,
)

FILE = FIXTURES / "probe_thresholds.toml"
HEADINGS = ("case", "probe", "group", "items", "before", "after", "change", "95 %", "cured", "broken", "p")
SHARES = ("before", "after", "lowest", "highest", "likelier before", "likelier after")
NAMES = 3  # of the headings; numbers follow
SHARE = (0.0, 1.0)
ANY = (-math.inf, math.inf)
PARTS = ("before", "after", "losses")  # of an entry
LEAST_LOSS_MARGIN = 0.002  # of a relative change of loss: other processors round otherwise
ROUNDING = 1e-9  # of floating point, which is no part of a share


@dataclass(frozen=True)
class Probed:
    """A record's probes."""

    record: Record

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.record.tables.get("probes", [])

    @property
    def losses(self) -> list[dict[str, Any]]:
        return self.record.tables.get("probe_losses", [])

    def counts(self, family: str, group: str = ALL, language: str = ALL) -> Paired:
        """Raises KeyError where that was not asked."""
        row = self.row(family, group, language)
        return Paired(row["cured"], row["kept"], row["broken"], row["still_wrong"])

    def by_margin(self, family: str, group: str = ALL) -> Mapping[str, float] | None:
        """Shares whose right choice is the likeliest, before and after, and McNemar's p; None where none is compared.

        Raises KeyError as counts.
        """
        return self.row(family, group).get("by_margin")

    def row(self, family: str, group: str = ALL, language: str = ALL) -> dict[str, Any]:
        for row in self.rows:
            if (row["family"], row["group"], row["language"]) == (family, group, language):
                return row
        raise KeyError(f"{self.record.case} was not asked {family}, group {group}, language {language}")

    def asked(self) -> frozenset[tuple[Any, ...]]:
        """Every group and family of texts that was asked, with its items."""
        counts = {(*key.split("/", 1), found.items) for key, found in self.groups().items()}
        return frozenset(counts | {(row["family"], ALL, row["items"]) for row in self.losses})

    def groups(self) -> dict[str, Paired]:
        """family/group -> counts over all languages."""
        return {
            f"{row['family']}/{row['group']}": self.counts(row["family"], row["group"])
            for row in self.rows
            if row["language"] == ALL and row["group"] != ALL
        }


def wanted(row: Mapping[str, Any], by_language: bool) -> bool:
    """Of the summary's cells, those of a table: groups over all languages, or languages over all groups."""
    if by_language:
        return row["group"] == ALL and row["language"] != ALL
    return row["language"] == ALL


def cells(record: Record, by_language: bool = False) -> list[list[str]]:
    """Lines of the table of one record; random weights know nothing that could be shown."""
    lines: list[list[str]] = []
    if not record.quality_judged:
        return lines
    for row in Probed(record).rows:
        if wanted(row, by_language):
            change = row["after"] - row["before"]
            lines.append(
                [record.case, row["family"], row["language" if by_language else "group"],
                 str(row["cured"] + row["kept"] + row["broken"] + row["still_wrong"]),
                 f"{row['before']:.1%}", f"{row['after']:.1%}", f"{100 * change:+.1f}",
                 f"{100 * row['change_low']:+.1f} … {100 * row['change_high']:+.1f}",
                 str(row["cured"]), str(row["broken"]), f"{row['p']:.2g}"]
            )  # fmt: skip
    for row in [] if by_language else Probed(record).losses:
        lines.append([record.case, row["family"], "nats a token", str(row["items"]), f"{row['before']:.4f}",
                      f"{row['after']:.4f}", f"{row['change']:+.2%}", *["–"] * 4])  # fmt: skip
    return lines


def probes_table(records: Iterable[Record], by_language: bool = False) -> list[list[str]]:
    """The headings and every record's lines."""
    headings = ["language" if by_language and name == "group" else name for name in HEADINGS]
    return [headings, *(line for record in records for line in cells(record, by_language))]


def seeds_table(records: Iterable[Record], by_language: bool = False) -> list[list[str]]:
    """The headings, and a line for each cell of a case without its seed: shares right, after tuning over the seeds.

    By answers, and last by log-probabilities: the share of items whose right choice is the likeliest.
    """
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    part = "language" if by_language else "group"
    for record in records:
        for row in Probed(record).rows if record.quality_judged else []:
            if wanted(row, by_language):
                items = row["cured"] + row["kept"] + row["broken"] + row["still_wrong"]
                key = (group_of(record), *entry_basis([record]).values(), row["family"], row[part], str(items))
                found.setdefault(key, []).append(row)
    lines = [["case", "probe", part, "items", "seeds", *SHARES]]
    lines += [[key[0], *key[-NAMES:], str(len(rows)), *shares_of(rows)] for key, rows in found.items()]
    return lines


def shares_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The cells under SHARES: means over the seeds' rows, and the extremes after tuning."""
    before, after = ([row[when] for row in rows] for when in ("before", "after"))
    figures = [statistics.fmean(before), statistics.fmean(after), min(after), max(after)]
    if "by_margin" in rows[0]:
        figures += [statistics.fmean(row["by_margin"][when] for row in rows) for when in ("before", "after")]
    return [f"{share:.1%}" for share in figures] + ["–"] * (len(SHARES) - len(figures))


@dataclass(frozen=True)
class ProbeBands:
    """Where a case must lie: the shares right by family/group, and the relative change of loss by family."""

    before: Mapping[str, Band]
    after: Mapping[str, Band]
    losses: Mapping[str, Band]

    def outside(self, probed: Probed) -> list[str]:
        """A sentence for each figure outside its band."""
        shares = probed.groups()
        figures = [(f"{key} before tuning", shares[key].before, band) for key, band in self.before.items()]
        figures += [(f"{key} after tuning", shares[key].after, band) for key, band in self.after.items()]
        changes = {row["family"]: row["change"] for row in probed.losses}
        figures += [(f"{key}: change of loss", changes[key], band) for key, band in self.losses.items()]
        return [
            f"{name} is {value:.4f}, unexpected beside {band}" for name, value, band in figures if not band.holds(value)
        ]


def read_bands(record: Record, path: Path = FILE) -> ProbeBands | None:
    """The measured bands that speak of this record; None where there are none of its recipe, weights and data."""
    entry = read_toml(path).get(group_of(record)) if path.exists() else None
    if entry is None or band_differences(record, path):
        return None
    return ProbeBands(**{part: {key: Band(*ends) for key, ends in entry.get(part, {}).items()} for part in PARTS})


def band_differences(record: Record, path: Path = FILE) -> dict[str, str] | None:
    """In what the record differs from what its case's bands were measured with; None where there are none."""
    entry = read_toml(path).get(group_of(record)) if path.exists() else None
    return None if entry is None else basis_differences(basis_of_entry(entry), basis_of(record), QUALITY)


def measure_bands(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Bands from records of several seeds. Raises ValueError for too few seeds, and where seeds differ."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.ok and record.quality_judged and (Probed(record).rows or Probed(record).losses):
            groups.setdefault(group_of(record), []).append(record)
    return {name: bands_of(name, group) for name, group in groups.items()}


def bands_of(name: str, group: Sequence[Record]) -> dict[str, Any]:
    """One entry from one case's seeds."""
    basis = common_basis(name, group)
    enough_seeds(name, group)
    probed = [Probed(record) for record in group]
    if len({one.asked() for one in probed}) != 1:
        raise ValueError(f"{name}: the seeds were asked different probes; ask all seeds alike, as with --probes all")
    found: dict[str, dict[str, list[float]]] = {part: {} for part in PARTS}
    for key, counts in probed[0].groups().items():
        for when in ("before", "after"):
            ends = ends_of([getattr(one.groups()[key], when) for one in probed], 1 / counts.items, SHARE)
            if tuple(ends) != SHARE:  # nothing can lie outside that
                found[when][key] = ends
    for row in probed[0].losses:
        changes = [other["change"] for one in probed for other in one.losses if other["family"] == row["family"]]
        found["losses"][row["family"]] = ends_of(changes, LEAST_LOSS_MARGIN, ANY)
    return {**basis, "seeds": len(group), **found}


def ends_of(values: Sequence[float], least: float, limits: tuple[float, float]) -> list[float]:
    """[lowest, highest]; to four decimals, rounded outwards, so that what is just allowed is not refused."""
    margin = max(DEVIATIONS * statistics.stdev(values), least)
    lowest, highest = max(limits[0], min(values) - margin), min(limits[1], max(values) + margin)
    return [math.floor(1e4 * (lowest + ROUNDING)) / 1e4, math.ceil(1e4 * (highest - ROUNDING)) / 1e4]


def bands_toml(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text."""
    lines = [
        "# Written by `python -m bench probes --thresholds RUN...` from measured seeds; see bench/probe_report.py.",
        "",
    ]
    for name, entry in sorted(entries.items()):
        lines += [f"[{name}]", *(f'{key} = "{entry[key]}"' for key in (*BASIS, *OPTIONAL) if key in entry),
                  f"seeds = {entry['seeds']}"]  # fmt: skip
        for part in PARTS:
            lines += ["", f"[{name}.{part}]", *(f'"{key}" = {value}' for key, value in entry[part].items())]
        lines.append("")
    return "\n".join(lines)
