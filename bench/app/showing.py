"""Tables, charts and texts as parts of a page.

What models, data and records say is untrusted. Streamlit reads Markdown in most of its texts, so text from outside is
shown by st.text, in a table's cells or as a choice, which it shows as they are; hidden characters are spelled out.
"""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from bench.core.outside_text import for_terminal, lines_for_terminal
from bench.report.cases import EMPTY
from bench.report.charts.chart import Chart
from bench.report.tables import Table

NUMBER = re.compile(r"(-?\d[\d,]*(?:\.(\d+))?)(?: ?(%|[A-Za-z]+))?")
MARKUP = re.compile(r"([!-/:-@\[-`{-~])")  # ASCII punctuation, which Markdown lets one escape
CHART_SETTINGS = {"displaylogo": False, "responsive": True}


def text(said: object) -> None:
    """Text from outside, as it is."""
    st.text(lines_for_terminal(str(said)))


def escape_markdown(said: str) -> str:
    """Text on one line for a place where Streamlit reads Markdown, so that nothing in it is markup."""
    return MARKUP.sub(r"\\\1", for_terminal(said))


def refuse(says: str, reason: object = "") -> None:
    """Why something cannot be shown. says: the app's own words; reason: text that may be from outside."""
    st.error(says)
    if reason:
        text(reason)


def show_table(table: Table, names: int, key: str) -> None:
    """A table that can be sorted and searched. A row that is chosen is shown in full below it."""
    headings, *rows = table
    if not rows:
        text("nothing")
        return
    columns = {for_terminal(heading): [row[at] for row in rows] for at, heading in enumerate(headings)}
    numbers = {name: found for name, cells in list(columns.items())[names:] if (found := numbers_in(cells))}
    frame = pd.DataFrame({
        name: numbers[name][0] if name in numbers else [for_terminal(cell) for cell in cells]
        for name, cells in columns.items()
    })  # fmt: skip
    settings = {name: st.column_config.NumberColumn(format=form) for name, (_, form) in numbers.items()}
    event: Any = st.dataframe(
        frame, hide_index=True, width="stretch", column_config=settings, key=key, on_select="rerun",
        selection_mode="single-row", placeholder=EMPTY,
    )  # fmt: skip
    for chosen in event.selection.rows:
        with st.container(border=True):
            for heading, cell in zip(headings, rows[chosen], strict=True):
                if cell:
                    st.caption(escape_markdown(heading))
                    text(cell)


def numbers_in(cells: Sequence[str]) -> tuple[list[float | None], str] | None:
    """The cells as numbers, which are sorted by size, and their format; None unless all have one unit."""
    found = [NUMBER.fullmatch(cell) for cell in cells if cell not in ("", EMPTY)]
    matches = [one for one in found if one]
    units = {one[3] or "" for one in matches}
    if not matches or len(matches) < len(found) or len(units) > 1:
        return None
    digits = max(len(one[2] or "") for one in matches)
    unit = units.pop().replace("%", "%%")
    values = [None if cell in ("", EMPTY) else float(NUMBER.fullmatch(cell)[1].replace(",", "")) for cell in cells]  # type: ignore[index]
    return values, f"%.{digits}f {unit}".rstrip()


def show_chart(chart: Chart, key: str) -> None:
    """A chart of a report, with its table, which is its text alternative."""
    st.subheader(escape_markdown(chart.title), anchor=False)
    figure = chart.figure
    layout = {**figure["layout"], **(chart.narrow or {})}  # Streamlit's pages do not say how wide they are
    st.plotly_chart(
        {"data": figure["data"], "layout": layout}, key=key, config=CHART_SETTINGS,
        alt=f"{for_terminal(chart.title)}; the table below it has the same figures",
    )  # fmt: skip
    st.caption(escape_markdown(chart.says))
    with st.expander("The same as a table"):
        show_table(chart.table, chart.names, f"{key}-table")
