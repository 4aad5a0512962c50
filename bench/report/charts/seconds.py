"""Seconds of a training step: the median of each case, and the interquartile range of its steps."""

from collections.abc import Sequence

from bench.records.figures import FIGURES
from bench.records.record import Record
from bench.report.cases import EMPTY
from bench.report.charts.chart import Chart, axis, logarithmic_axis, round_value, rows_axis, rows_height
from bench.report.charts.labels import short_names, without_seed
from bench.report.charts.marks import COLOURS

WIDE = 20  # of the slowest over the fastest: from here on the axis is logarithmic
SAYS = (
    "Median seconds of an optimizer step after warm-up. The bar is the interquartile range of the steps. "
    "An open mark is a case that ran beside others, which slowed it down."
)
AXIS = "seconds a step"
HEADINGS = ("case", "s/step", "interquartile range", "steps timed", "tokens/s", "ran")


def seconds_chart(records: Sequence[Record]) -> list[Chart]:
    """The chart of all cases that were timed; [] if none was."""
    timed = [one for one in records if FIGURES["seconds_per_step"].value_in(one)]
    if not timed:
        return []
    labels = short_names(dict.fromkeys(without_seed(record.case) for record in timed))
    rows = list(labels)
    seconds = [FIGURES["seconds_per_step"].required_value(record) for record in timed]
    logarithmic = max(seconds) > WIDE * min(seconds)
    trace = {
        "type": "scatter", "mode": "markers", "showlegend": False, "hoverinfo": "x+text",
        "x": [round_value(one) for one in seconds], "y": [rows.index(without_seed(record.case)) for record in timed],
        "hovertext": [record.case for record in timed],
        "error_x": {"type": "data", "array": [round_value(spread_of(one) / 2) for one in timed], "thickness": 2},
        "marker": {"size": 11, "color": COLOURS[0],
                   "symbol": ["circle-open" if record.noisy.get("ran_beside") else "circle" for record in timed]},
    }  # fmt: skip
    return [
        Chart(
            name="seconds",
            title="Seconds of a training step",
            says=SAYS + (" The axis is logarithmic." if logarithmic else ""),
            traces=[trace],
            layout={
                "xaxis": logarithmic_axis(AXIS, seconds) if logarithmic else axis(AXIS, rangemode="tozero"),
                "yaxis": rows_axis(list(labels.values())),
                "height": rows_height(len(labels)) - 30,
            },
            table=[list(HEADINGS), *(row_of(record) for record in timed)],
            names=1,
        )
    ]


def spread_of(record: Record) -> float:
    """The interquartile range of the case's steps; 0 if the record has none."""
    return float(record.noisy.get("seconds_per_step_iqr") or 0.0)


def row_of(record: Record) -> list[str]:
    tokens = FIGURES["tokens_per_second"].value_in(record)
    return [
        record.case,
        f"{FIGURES['seconds_per_step'].required_value(record):.4g}",
        f"{spread_of(record):.2g}",
        str(record.noisy.get("steps_timed", EMPTY)),
        EMPTY if tokens is None else f"{tokens:,.0f}",
        "beside others" if record.noisy.get("ran_beside") else "alone",
    ]
