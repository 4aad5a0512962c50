"""The page results/PREDICTIONS.md: predictions beside published figures and other estimators', by halves."""

from collections.abc import Iterable
from statistics import median

from bench.judge.predictions.published import OPEN, Compared
from bench.report.on_cards import markdown
from bench.report.tables import Table, markdown_lines

COMMAND = "python -m bench predict --published --markdown"
NAMES = 4  # of the headings; numbers follow


def heads(found: list[Compared]) -> list[str]:
    predictors = found[0].predictions if found else {}
    return ["row", "program", "year", "kind", "published", *(head for name in predictors for head in (name, "error"))]


def cells(case: Compared) -> list[str]:
    """One row: gigabytes of 10^9 bytes, and errors in percent of the published figure."""
    one = case.published
    figures = []
    for amount in case.predictions.values():
        figures += ["–", "–"] if amount is None else [f"{amount / 1e9:.2f}", f"{case.error(amount):+.0%}"]
    return [one.id, one.program, str(one.year), one.kind, f"{one.published_bytes / 1e9:.2f}", *figures]


def table(cases: Iterable[Compared]) -> Table:
    """The headings, and a line for each."""
    found = list(cases)
    return [heads(found), *map(cells, found)]


def of_half(cases: list[Compared], half: str) -> list[Compared]:
    return [case for case in cases if case.published.half == half]


def page(cases: Iterable[Compared]) -> list[str]:
    """results/PREDICTIONS.md."""
    found = list(cases)
    return [
        "# Predicted memory beside published figures",
        "",
        f"Written by `{COMMAND}`. GB are 10^9 bytes. The figures, their sources and settings stand in",
        "`fixtures/published.toml`.",
        "",
        "## The open half",
        "",
        *markdown_lines(table(of_half(found, OPEN)), NAMES),
        "",
        *sources(found),
        "",
        *markdown(),
    ]  # fmt: skip


def sources(found: list[Compared]) -> list[str]:
    """Each source once, with its rows."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for one in (case.published for case in found):
        rows.setdefault((one.source, one.url, one.says), []).append(one.id + (f" ({one.note})" if one.note else ""))
    lines = [f"- {source} ({url}). {says}. Rows: {', '.join(ids)}." for (source, url, says), ids in rows.items()]
    return ["## Sources", "", *lines]


def median_error(cases: list[Compared], predictor: str, kinds: tuple[str, ...] = ()) -> float | None:
    """The median of a predictor's absolute errors, of all kinds or of these; None where it has none."""
    errors = [
        abs(case.error(amount)) for case in cases
        if (amount := case.predictions[predictor]) is not None and (not kinds or case.published.kind in kinds)
    ]  # fmt: skip
    return median(errors) if errors else None
