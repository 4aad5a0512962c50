"""The page of the claims of papers: filters, verdicts, and the sentence of each verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from bench.app.served import served
from bench.app.showing import refuse, show_table, text
from bench.app.stored import StoredRun, stored_runs
from bench.judge.claims.book import read_claims
from bench.judge.claims.gathering import gather
from bench.judge.claims.verdicts import judge_all
from bench.report.claims import as_rows
from bench.report.html_page import CLAIM_KEYS, CLAIMS, claims_counts, claims_table

ALL = "all"
FILTERS = ("source", "kind", "verdict")
NOT_STORED = (
    "No session of this run has judged claims. `pytest suites/test_claims.py --resume RUN` stores their verdicts with "
    "a run, and the button judges them now."
)

Rows = Sequence[Mapping[str, Any]]


def show() -> None:
    st.title("Claims", anchor=False)
    runs = {name: run for name, run in stored_runs(served().folders).items() if run.records}
    if not runs:
        refuse("There is no stored run with a record here yet.")
        return
    with_verdicts = [name for name, run in runs.items() if run.claims]
    names = list(runs)
    run = runs[st.selectbox("Judged by run", names, index=names.index(with_verdicts[0]) if with_verdicts else 0)]
    rows = verdicts_of(run)
    if not rows:
        return
    text(claims_counts(rows))
    show_table(claims_table(filtered(rows)), len(CLAIMS), f"claims-{run.name}")


def verdicts_of(run: StoredRun) -> Rows:
    """The verdicts stored with the run, or those judged on request."""
    judged: dict[str, tuple[Any, Rows]] = st.session_state.setdefault("judged", {})
    if run.claims:
        return run.claims
    if run.name in judged and judged[run.name][0] == run.stamp:
        return judged[run.name][1]
    refuse(NOT_STORED)
    if st.button("Judge all claims by this run, in a minute or two"):
        with st.spinner("judging"):
            judged[run.name] = run.stamp, judge(run)
        st.rerun()
    return []


def judge(run: StoredRun) -> Rows:
    """Every claim's verdict by this run's records; a worker looks into models."""
    claims = read_claims()
    with served().asking.turn():
        served().asking.close()  # one worker at a time
        evidence, _ = gather(claims, [run.folder], served().entries)
    return as_rows(claims, judge_all(claims.values(), evidence))


def filtered(rows: Rows) -> Rows:
    """The rows that the person's filters leave."""
    for name, column in zip(FILTERS, st.columns(len(FILTERS)), strict=True):
        value = column.selectbox(name, [ALL, *sorted({str(row[name]) for row in rows})], key=f"claims-{name}")
        rows = [row for row in rows if value in (ALL, str(row[name]))]
    words = st.text_input("Words", help="of the claim or its verdict").casefold().split()
    return [row for row in rows if all(word in words_of(row) for word in words)]


def words_of(row: Mapping[str, Any]) -> str:
    return " ".join(str(row[key]) for key in (*CLAIM_KEYS, "says", "sentence")).casefold()
