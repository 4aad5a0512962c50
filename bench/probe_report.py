"""Probes of records as tables, before and after; and the least that measured seeds say a case must reach.

`fixtures/probe_thresholds.toml` is written by `python -m bench probes --thresholds RUN...`: for each case
(without its seed) and each group of a family the worst seed's share right, less three standard deviations over
the seeds or one item, whichever is more, where that is above 0; and the worst seed's growth of a loss, plus three
deviations or LEAST_LOSS_MARGIN.
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
from bench.thresholds import BASIS, DEVIATIONS, OPTIONAL, basis_of_entry, common_basis, entry_basis, group_of

FILE = FIXTURES / "probe_thresholds.toml"
HEADINGS = ("case", "probe", "group", "items", "before", "after", "change", "95 %", "cured", "broken", "p")
SHARES = ("before", "after", "lowest", "highest", "likelier before", "likelier after")
NAMES = 3  # of the headings; numbers follow
LEAST_SEEDS = 2  # one value has no spread
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
class Least:
    """What a case must reach, by family/group; losses: the most that a family's loss may grow, relative."""

    shares: Mapping[str, float]
    losses: Mapping[str, float]


def read_least(record: Record, path: Path = FILE) -> Least | None:
    """The measured thresholds that speak of this record; None where there are none of its recipe, weights and data."""
    entry = read_toml(path).get(group_of(record)) if path.exists() else None
    if entry is None or least_differences(record, path):
        return None
    return Least(entry.get("shares", {}), entry.get("losses", {}))


def least_differences(record: Record, path: Path = FILE) -> dict[str, str] | None:
    """In what the record differs from what its case's thresholds were measured with; None where there are none."""
    entry = read_toml(path).get(group_of(record)) if path.exists() else None
    return None if entry is None else basis_differences(basis_of_entry(entry), basis_of(record), QUALITY)


def measure_least(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Thresholds from records of several seeds. Raises ValueError for one seed, and where seeds differ."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.ok and record.quality_judged and (Probed(record).rows or Probed(record).losses):
            groups.setdefault(group_of(record), []).append(record)
    return {name: least_of(name, group) for name, group in groups.items()}


def least_of(name: str, group: Sequence[Record]) -> dict[str, Any]:
    basis = common_basis(name, group)
    if len(group) < LEAST_SEEDS:
        raise ValueError(f"{name}: one seed tells nothing of its noise; give the runs of at least {LEAST_SEEDS} seeds")
    probed = [Probed(record) for record in group]
    if len({one.asked() for one in probed}) != 1:
        raise ValueError(f"{name}: the seeds were asked different probes; ask all seeds alike, as with --probes all")
    shares = {}
    for key, counts in probed[0].groups().items():
        after = [one.groups()[key].after for one in probed]
        share = rounded_down(min(after) - max(spread(after), 1 / counts.items))
        if share > 0:  # nothing can fall below 0
            shares[key] = share
    losses = {}
    for row in probed[0].losses:
        change = [found["change"] for one in probed for found in one.losses if found["family"] == row["family"]]
        losses[row["family"]] = -rounded_down(-max(change) - max(spread(change), LEAST_LOSS_MARGIN))
    return {**basis, "seeds": len(group), "shares": shares, "losses": losses}


def rounded_down(share: float) -> float:
    """To four decimals, so that what is just allowed is not refused."""
    return math.floor(1e4 * (share + ROUNDING)) / 1e4


def spread(values: Sequence[float]) -> float:
    return DEVIATIONS * statistics.stdev(values)


def least_toml(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text."""
    lines = [
        "# Written by `python -m bench probes --thresholds RUN...` from measured seeds; see bench/probe_report.py.",
        "",
    ]
    for name, entry in sorted(entries.items()):
        lines += [f"[{name}]", *(f'{key} = "{entry[key]}"' for key in (*BASIS, *OPTIONAL) if key in entry),
                  f"seeds = {entry['seeds']}"]  # fmt: skip
        for part in ("shares", "losses"):
            lines += ["", f"[{name}.{part}]", *(f'"{key}" = {value}' for key, value in entry[part].items())]
        lines.append("")
    return "\n".join(lines)
