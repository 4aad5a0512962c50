"""Predictions beside published figures, and beside another estimator's: how far off, and why.

fixtures/published.toml has the figures with source and settings; traces of them are kept in results/baselines,
for each takes seconds. Published figures are of other programs: of older libraries, other losses and kernels,
and of what an allocator reserved, where a prediction is of what tensors hold.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from statistics import median
from typing import Any

from bench.cards import GIB, MIB
from bench.places import FIXTURES, RESULTS
from bench.predict import measured
from bench.predict.alarm import versions
from bench.predict.closed_form import closed_form
from bench.predict.question import Question, ask
from bench.predict.ways import trace_of
from bench.recipe import BadFile, read_toml
from bench.record import write_atomically
from bench.tables import markdown_lines

FILE = FIXTURES / "published.toml"
TRACES = RESULTS / "baselines" / "published.json"
PAGE = RESULTS / "PREDICTIONS.md"
AGREES = 0.10  # what reserving and printing in whole gigabytes may differ by
COMMAND = "python -m bench predict --published --markdown"
UNITS = {"GB": 10**9, "GiB": GIB}


@dataclass(frozen=True)
class Published:
    """One published figure with the settings that its source states."""

    id: str
    source: str
    url: str
    says: str
    figure: float
    unit: str
    kind: str
    model: str
    method: str
    storage: str
    double_quantisation: bool
    batch: int
    length: int
    rank: int
    gradient_checkpointing: bool
    chunk_tokens: int
    trace: bool
    why: str
    fitcheck_mib: float
    fitcheck_command: str

    @property
    def published_bytes(self) -> float:
        return self.figure * UNITS[self.unit]

    def question(self) -> Question:
        asked = ask(
            self.model, self.method, batch_size=self.batch, max_length=self.length, rank=self.rank,
            gradient_checkpointing=self.gradient_checkpointing,
        )  # fmt: skip
        return replace(asked, method=replace(asked.method, storage=self.storage))

    def closed_bytes(self) -> int:
        return closed_form(self.question(), self.chunk_tokens, self.double_quantisation).peak_bytes


@dataclass(frozen=True)
class Compared:
    """A published figure, and what was predicted of it; traced_bytes is None where there is no trace."""

    published: Published
    closed_bytes: int
    traced_bytes: int | None

    def error(self, predicted: float) -> float:
        return predicted / self.published.published_bytes - 1

    @property
    def judgement(self) -> str:
        off = self.error(self.traced_bytes or self.closed_bytes)
        if abs(off) <= AGREES:
            return "agrees"
        return self.published.why or "**unexplained**"


def read_published() -> list[Published]:
    """The figures of the file. Raises BadFile for a row with a wrong or missing field."""
    names = {item.name for item in fields(Published)}
    rows = read_toml(FILE).get("published", [])
    for row in rows:
        if wrong := names ^ row.keys():
            raise BadFile(
                f"{FILE.name}: {row.get('id', 'a row without id')}: wrong or missing {', '.join(sorted(wrong))}"
            )
        if row["unit"] not in UNITS:
            raise BadFile(f"{FILE.name}: {row['id']}: unit {row['unit']!r} must be one of {', '.join(UNITS)}")
    return [Published(**row) for row in rows]


def read_traces() -> dict[str, Any]:
    return dict(json.loads(TRACES.read_text(encoding="utf-8"))) if TRACES.exists() else {"traced": {}, "versions": {}}


def read_cases() -> list[Compared]:
    """Every figure with the closed form's prediction of today and the trace that is kept."""
    traced = read_traces()["traced"]
    return [Compared(one, one.closed_bytes(), traced.get(one.id)) for one in read_published()]


def measure() -> list[Compared]:
    """Trace the figures' settings that these libraries have not traced yet, and keep each trace as it is done."""
    kept = read_traces()
    traced: dict[str, int] = dict(kept["traced"]) if kept["versions"] == versions() else {}
    for one in read_published():
        if one.trace and one.id not in traced:
            traced[one.id] = trace_of(one.question()).peak_bytes
            write_atomically(TRACES, json.dumps({"versions": versions(), "traced": traced}, indent=1) + "\n")
    return read_cases()


HEADS = ("case", "published", "what", "closed form", "error", "trace", "error", "fitcheck-llm", "error", "verdict")
NAMES = 3  # of the headings; numbers follow


def cells(case: Compared) -> list[str]:
    """One row: gigabytes of 10^9 bytes, and errors in percent of the published figure."""
    one = case.published
    predicted: list[float | None] = [case.closed_bytes, case.traced_bytes, one.fitcheck_mib * MIB]
    figures = []
    for amount in predicted:
        figures += ["–", "–"] if amount is None else [f"{amount / 1e9:.2f}", f"{case.error(amount):+.0%}"]
    return [one.id, f"{one.published_bytes / 1e9:.2f}", one.kind, *figures, case.judgement]


def table(cases: Iterable[Compared]) -> list[list[str]]:
    """The headings, and a line for each."""
    return [list(HEADS), *map(cells, cases)]


def page(cases: Iterable[Compared]) -> list[str]:
    """results/PREDICTIONS.md."""
    found = list(cases)
    used = ", ".join(f"{name} {version}" for name, version in read_traces()["versions"].items())
    return [
        "# Predicted memory beside published figures",
        "",
        f"Written by `{COMMAND}`. GB are 10^9 bytes. The figures, their sources and settings stand in",
        "`fixtures/published.toml`; traces are of " + (used or "no run yet") + ". Predictions are of what tensors",
        "hold at a step's peak in this project's own training step, a full batch of the stated length; published are",
        "other programs' figures, of whatever each measured. What this project measured is in the last table.",
        "",
        *markdown_lines(table(found), NAMES),
        "",
        *summary(found),
        "",
        "## Sources",
        "",
        *(f"- `{one.id}`: {one.source} ({one.url}). {one.says}." for one in (case.published for case in found)),
        "",
        *measured.markdown(),
    ]  # fmt: skip


def summary(found: list[Compared]) -> list[str]:
    """How many agree, and the median of the absolute errors of each predictor."""
    agree = sum(case.judgement == "agrees" for case in found)
    unexplained = sum(case.judgement == "**unexplained**" for case in found)
    ours = median(abs(case.error(case.traced_bytes or case.closed_bytes)) for case in found)
    theirs = median(abs(case.error(case.published.fitcheck_mib * MIB)) for case in found)
    return [
        f"{agree} of {len(found)} agree within {AGREES:.0%}, {unexplained} are unexplained. The median of the absolute "
        f"errors is {ours:.0%} here and {theirs:.0%} by fitcheck-llm.",
    ]
