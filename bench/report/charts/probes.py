"""Probes by language: the share of right answers before and after training."""

import statistics
from collections.abc import Iterable, Sequence

from bench.core.case import parse_case
from bench.probes.scoring import ALL
from bench.records.probe_results import ProbeResults
from bench.records.record import Record
from bench.report.charts.chart import Chart, axis, round_value, rows_axis, rows_height
from bench.report.charts.labels import without_seed
from bench.report.charts.marks import COLOURS
from bench.report.probes import NAMES, probes_table

SAYS = (
    "Share of items answered right: an open circle before training, a filled diamond after it, the mean over seeds. "
    "The table has each seed's change with its 95 % interval, and how many answers were cured and broken."
)
Cell = tuple[str, str]  # family, language


def probe_charts(records: Iterable[Record]) -> list[Chart]:
    """A chart for each case with probes by language; its seeds are averaged."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.quality_judged and ProbeResults(record).rows:
            groups.setdefault(without_seed(record.case), []).append(record)
    return [chart for name, found in groups.items() if (chart := chart_of(name, found))]


def chart_of(group: str, records: Sequence[Record]) -> Chart | None:
    shares: dict[Cell, list[tuple[float, float]]] = {}
    for record in records:
        for row in ProbeResults(record).rows:
            if row["language"] != ALL and row["group"] == ALL:
                shares.setdefault((row["family"], row["language"]), []).append((row["before"], row["after"]))
    if not shares:
        return None
    cells = sorted(shares)
    before, after = (
        [round_value(100 * statistics.fmean(pair[at] for pair in shares[cell])) for cell in cells] for at in (0, 1)
    )
    rows = list(range(len(cells)))
    joined = [value for pair in zip(before, after, strict=True) for value in (*pair, None)]
    lines = [value for row in rows for value in (row, row, None)]
    marks = {"type": "scatter", "mode": "markers", "y": rows, "hoverinfo": "x+name"}
    case = parse_case(records[0].case)
    return Chart(
        name=f"probes-{group}",
        title=f"Probes by language: {case.task} × {case.model} × {case.method}",
        says=SAYS,
        traces=[
            {"type": "scatter", "mode": "lines", "x": joined, "y": lines, "hoverinfo": "skip", "showlegend": False,
             "line": {"color": COLOURS[-1], "width": 2}},
            {**marks, "name": "before", "x": before,
             "marker": {"symbol": "circle-open", "size": 11, "color": COLOURS[1], "line": {"width": 2}}},
            {**marks, "name": "after", "x": after, "marker": {"symbol": "diamond", "size": 11, "color": COLOURS[0]}},
        ],
        layout={
            "xaxis": axis("answered right, %", range=[-3, 103]),
            "yaxis": rows_axis([f"{family} {language}" for family, language in cells]),
            "height": rows_height(len(cells), 26),
        },
        table=probes_table(records, by_language=True),
        names=NAMES,
    )  # fmt: skip
