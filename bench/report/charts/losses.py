"""Training losses of each task and model, in bins: the range of each bin, and a running median.

Thousands of raw losses drawn over each other are a blot. If losses fall far, the axis is logarithmic, because the end
of training is a small part of a linear one.
"""

import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

from bench.records.record import Record
from bench.report.charts.chart import Chart, Trace, axis, logarithmic_axis, round_value, safe
from bench.report.charts.marks import colour_of, dash_of, symbol_of

BINS = 240
FEW = 60  # losses that are drawn one by one
WIDE = 5  # of the highest loss over the lowest: from here on the axis is logarithmic
MARKS = 8  # on a line of many steps, to tell methods apart without colour
FEW_TICKS = 10  # steps that each have a tick
WINDOW = 25  # a running median is over this share of the steps: one in 25
SAYS = (
    "Loss of each optimizer step, in nats. "
    "A line is the running median over a 25th of the steps, and the band behind it the lowest and highest loss. "
    f"Up to {FEW} losses are drawn one by one. Seeds of a method look alike."
)
HEADINGS = ("case", "steps", "first loss", "median of the first tenth", "median of the last tenth", "lowest")


def loss_charts(records: Iterable[Record]) -> list[Chart]:
    """A chart for each task, model and device whose cases have losses."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        case = record.parsed_case()
        if record.losses:
            groups.setdefault((case.task, case.model, case.device), []).append(record)
    return [chart_of(key, found) for key, found in groups.items()]


def chart_of(key: tuple[str, str, str], records: Sequence[Record]) -> Chart:
    losses = [loss for record in records for loss in record.losses if loss > 0]
    logarithmic = bool(losses) and max(losses) > WIDE * min(losses)
    steps = max(len(record.losses) for record in records)
    named: set[str] = set()
    traces: list[Trace] = []
    for record in records:
        method = record.parsed_case().method
        traces += traces_of(record, shown=method not in named)
        named.add(method)
    return Chart(
        name=f"losses-{'-'.join(key)}",
        title=f"Training loss: {' × '.join(key)}",
        says=SAYS + (" The axis is logarithmic." if logarithmic else ""),
        traces=traces,
        layout={
            "xaxis": axis("optimizer step", **({"dtick": 1} if steps <= FEW_TICKS else {})),
            "yaxis": logarithmic_axis("loss, nats", losses) if logarithmic else axis("loss, nats"),
            "height": 430 if len(named) > 1 else 320,
        },
        table=[list(HEADINGS), *(row_of(record) for record in records)],
        names=1,
    )


def traces_of(record: Record, shown: bool) -> list[Trace]:
    """The band and the line of a case; shown: whether the legend names its method."""
    method = record.parsed_case().method
    line: Trace = {
        "type": "scatter", "name": safe(method), "legendgroup": method, "showlegend": shown,
        "mode": "lines+markers", "line": {"color": colour_of(method), "dash": dash_of(method), "width": 2},
        "hovertext": safe(record.case), "hoverinfo": "x+y+text",
    }  # fmt: skip
    marker = {"symbol": symbol_of(method), "color": colour_of(method), "size": 6}
    losses = record.losses
    if len(losses) <= FEW:
        return [{**line, "marker": marker, "x": list(range(1, len(losses) + 1)), "y": drawable_losses(losses)}]
    ends = [at * len(losses) // min(BINS, len(losses)) for at in range(min(BINS, len(losses)) + 1)]
    bins = [losses[start:end] for start, end in pairwise(ends)]
    middles = [(start + end + 1) // 2 for start, end in pairwise(ends)]
    low, high = drawable_losses([min(one) for one in bins]), drawable_losses([max(one) for one in bins])
    band: Trace = {
        "type": "scatter", "mode": "lines", "legendgroup": method, "showlegend": False, "hoverinfo": "skip",
        "x": [*middles, *reversed(middles)], "y": [*high, *reversed(low)], "fill": "toself",
        "fillcolor": colour_of(method), "opacity": 0.15, "line": {"width": 0},
    }  # fmt: skip
    few = {**marker, "size": 8, "maxdisplayed": MARKS}
    return [band, {**line, "marker": few, "x": middles, "y": drawable_losses(running_median(losses, middles))}]


def running_median(losses: Sequence[float], middles: Sequence[int]) -> list[float]:
    """The median of the losses around each middle, over a WINDOW-th of all."""
    half = max(2, len(losses) // WINDOW // 2)
    return [statistics.median(losses[max(0, middle - 1 - half) : middle + half]) for middle in middles]


def drawable_losses(losses: Sequence[float]) -> list[float | None]:
    """The losses as a logarithmic axis can show them; there is no place for 0 on one."""
    return [round_value(loss) if loss > 0 else None for loss in losses]


def row_of(record: Record) -> list[str]:
    losses = record.losses
    tenth = max(1, len(losses) // 10)
    figures = [losses[0], statistics.median(losses[:tenth]), statistics.median(losses[-tenth:]), min(losses)]
    return [record.case, f"{len(losses):,}", *(f"{one:.4g}" for one in figures)]
