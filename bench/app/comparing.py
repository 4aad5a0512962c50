"""What the gate says of two runs, as a part of a page, in the words of the report."""

import streamlit as st

from bench.app.showing import escape_markdown, refuse, show_table, text
from bench.judge.compare.finding import nothing_compared
from bench.judge.compare.runs import Comparison
from bench.report.html_page import comparison_values

NOTHING = "Nothing could be compared: no case of the first run ended well in both on one basis."
NAMES = 6  # of the headings; none is a number


def show_comparison(comparison: Comparison, key: str) -> None:
    """Counts, versions, and a row for each figure that is not the same."""
    found = comparison_values(comparison)
    if nothing_compared(comparison.findings):
        refuse(NOTHING)
    st.subheader(escape_markdown(found["names"]), anchor=False)
    text(found["counts"])
    if found["versions"]:
        text("Versions that differ: " + ", ".join(found["versions"]))
    for note in found["notes"]:
        text(note)
    if found["table"][1:]:
        show_table(found["table"], NAMES, key)
    if found["repeats"]:
        st.caption("These commands run what is worse again:")
        st.code("\n".join(found["repeats"]), language=None)
    if found["same"]:
        st.caption(escape_markdown(f"The same: {found['same']}"))
