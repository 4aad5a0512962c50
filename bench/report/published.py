"""The page results/PREDICTIONS.md: predictions next to published figures and another estimator's."""

from collections.abc import Iterable
from statistics import median

from bench.judge.predictions.published import AGREES, Compared, read_traces
from bench.machine.cards import MIB
from bench.report.on_cards import markdown
from bench.report.tables import markdown_lines

COMMAND = "python -m bench predict --published --markdown"
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
        *markdown(),
    ]  # fmt: skip


def summary(found: list[Compared]) -> list[str]:
    """How many agree, and the median of the absolute errors of each predictor."""
    agree = sum(case.judgement == "agrees" for case in found)
    unexplained = sum(case.judgement == "unexplained" for case in found)
    ours = median(abs(case.error(case.traced_bytes or case.closed_bytes)) for case in found)
    theirs = median(abs(case.error(case.published.fitcheck_mib * MIB)) for case in found)
    return [
        f"{agree} of {len(found)} agree within {AGREES:.0%}, {unexplained} are unexplained. The median of the absolute "
        f"errors is {ours:.0%} here and {theirs:.0%} by fitcheck-llm.",
    ]
