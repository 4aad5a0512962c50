"""A chart: its title, how to read it, what plotly draws, and its table, which is its text alternative."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.outside_text import for_terminal
from bench.report.tables import Table

Trace = dict[str, Any]
ROW_PIXELS = 34  # height of a row of a chart with a case in each row
AROUND_PIXELS = 130  # title of the axis, its ticks and the legend
FEW_POWERS = 2  # of ten: over more of them only powers of ten are ticks
DIGITS = 5  # significant digits of a drawn value


@dataclass(frozen=True)
class Chart:
    """One chart. name: its id on a page; says: how to read it; names: how many columns of the table are names.

    narrow: changes to the layout on a narrow screen.
    """

    name: str
    title: str
    says: str
    traces: Sequence[Trace]
    layout: dict[str, Any]
    table: Table
    names: int
    narrow: dict[str, Any] | None = None

    @property
    def figure(self) -> dict[str, Any]:
        """What plotly draws: {"data": traces, "layout": layout}. Its colours suit a light and a dark page."""
        return {"data": list(self.traces), "layout": {**LAYOUT, **self.layout}}


LAYOUT: dict[str, Any] = {
    "autosize": True,
    "paper_bgcolor": "rgba(0,0,0,0)",  # of the page, light or dark
    "plot_bgcolor": "rgba(0,0,0,0)",
    "margin": {"l": 8, "r": 12, "t": 34, "b": 8},  # buttons appear above the plot
    "legend": {"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0},
    "hovermode": "closest",
    "dragmode": False,  # a finger scrolls the page
    "font": {"size": 13},
    "modebar": {"bgcolor": "rgba(0,0,0,0)"},
}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a title; `more` are plotly's own settings of an axis."""
    return {"title": {"text": safe(title)}, "automargin": True, "zeroline": False, **more}


def logarithmic_axis(title: str, values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis whose ticks are numbers in full: 1, 2 and 5 of each power of ten, or powers of ten alone."""
    low, high = math.log10(min(values)), math.log10(max(values))
    powers = range(math.floor(low), math.ceil(high) + 1)
    digits = (1, 2, 5) if high - low < FEW_POWERS else (1,)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
    texts = [f"{tick:g}" for tick in ticks]
    return axis(title, type="log", tickmode="array", tickvals=ticks, ticktext=texts)


def rows_axis(labels: Sequence[str]) -> dict[str, Any]:
    """A vertical axis with a labelled row for each whole number from 0, the first row on top."""
    return {
        "tickmode": "array", "tickvals": list(range(len(labels))), "ticktext": [safe(one) for one in labels],
        "range": [len(labels) - 0.5, -0.5], "automargin": True, "zeroline": False, "showgrid": False,
    }  # fmt: skip


def rows_height(rows: int, pixels: int = ROW_PIXELS) -> int:
    """The height of a chart with so many rows."""
    return AROUND_PIXELS + rows * pixels


def safe(text: str) -> str:
    """Text for plotly, which reads tags and entities in every label; a line end stays one."""
    return "<br>".join(html.escape(for_terminal(line), quote=False) for line in text.split("\n"))


def round_value(value: float) -> float:
    """The value with as many digits as can be seen, which keeps a page small."""
    return float(f"{value:.{DIGITS}g}")
