"""Tables of probes: each record's shares before and after training, and means over seeds."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.judge.thresholds import entry_basis
from bench.probes.scoring import ALL
from bench.records.basis import group_of
from bench.records.probe_results import ProbeResults
from bench.records.record import Record

HEADINGS = ("case", "probe", "group", "items", "before", "after", "change", "95 %", "cured", "broken", "p")
SHARES = ("before", "after", "lowest", "highest", "likelier before", "likelier after")
NAMES = 3  # of the headings; numbers follow


def belongs_in_table(row: Mapping[str, Any], by_language: bool) -> bool:
    """Whether a summary cell belongs in the table: groups over all languages, or languages over all groups."""
    if by_language:
        return row["group"] == ALL and row["language"] != ALL
    return row["language"] == ALL


def cells(record: Record, by_language: bool = False) -> list[list[str]]:
    """The table's lines for one record; random weights know nothing to show."""
    lines: list[list[str]] = []
    if not record.quality_judged:
        return lines
    for row in ProbeResults(record).rows:
        if belongs_in_table(row, by_language):
            change = row["after"] - row["before"]
            lines.append(
                [record.case, row["family"], row["language" if by_language else "group"],
                 str(row["cured"] + row["kept"] + row["broken"] + row["still_wrong"]),
                 f"{row['before']:.1%}", f"{row['after']:.1%}", f"{100 * change:+.1f}",
                 f"{100 * row['change_low']:+.1f} … {100 * row['change_high']:+.1f}",
                 str(row["cured"]), str(row["broken"]), f"{row['p']:.2g}"]
            )  # fmt: skip
    for row in [] if by_language else ProbeResults(record).losses:
        lines.append([record.case, row["family"], "nats a token", str(row["items"]), f"{row['before']:.4f}",
                      f"{row['after']:.4f}", f"{row['change']:+.2%}", *["–"] * 4])  # fmt: skip
    return lines


def probes_table(records: Iterable[Record], by_language: bool = False) -> list[list[str]]:
    """The headings and every record's lines."""
    headings = ["language" if by_language and name == "group" else name for name in HEADINGS]
    return [headings, *(line for record in records for line in cells(record, by_language))]


def seeds_table(records: Iterable[Record], by_language: bool = False) -> list[list[str]]:
    """The headings, and a line for each cell of a case without its seed: shares right, after tuning over the seeds.

    Shares by answers, then, last, by log-probabilities: the share of items whose right choice is the likeliest.
    """
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    part = "language" if by_language else "group"
    for record in records:
        for row in ProbeResults(record).rows if record.quality_judged else []:
            if belongs_in_table(row, by_language):
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
