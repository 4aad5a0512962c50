"""The page results/PREDICTIONS.md: predictions next to published figures and other estimators', by halves."""

from collections.abc import Iterable
from statistics import median

from bench.judge.predictions.published import (
    AGREES,
    ALLOCATED,
    BY_TRAINER,
    GOAL_ALL,
    GOAL_ALLOCATED,
    OPEN,
    OWN,
    SEALED,
    SEALED_FROM,
    Compared,
)
from bench.report.on_cards import markdown
from bench.report.tables import Table, markdown_lines

COMMAND = "python -m bench predict --published --markdown"
NAMES = 4  # of the headings; numbers follow
RULE = (
    f"A row is **sealed** if the SHA-256 of its id begins with a hexadecimal digit of at least {SEALED_FROM} and it",
    "was not compared before the rows were split; else it is **open**. Rows and rule were committed before any profile",
    "of a trainer was written. Profiles (`fixtures/trainers`) hold facts of the programs' code; they were checked",
    "against the open half, and the sealed half was scored once they were done. Its published figures were in view",
    "while the rows were collected, no prediction of them was. Whoever changes a profile now has seen both halves: new",
    "rows are needed to score that.",
    "",
    f"`{BY_TRAINER}` predicts the measured program by its profile, `{OWN}` this project's own training step. A figure",
    "of what was reserved is compared with tensors and workspaces over 97 %, a driver's and a card's size with CUDA's",
    "context besides (bench/machine/cards.py); an unstated one is taken for allocated. Other estimators' figures are",
    "compared as they are.",
)


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
        f"`fixtures/published.toml`: {len(found)} rows of {len({one.published.program for one in found})} programs.",
        "",
        *RULE,
        "",
        *markdown_lines(summary(found), 1),
        "",
        *verdict(found),
        "",
        "## The sealed half",
        "",
        *markdown_lines(table(of_half(found, SEALED)), NAMES),
        "",
        "## The open half",
        "",
        *markdown_lines(table(of_half(found, OPEN)), NAMES),
        "",
        *sources(found),
        "",
        *markdown(),
    ]  # fmt: skip


def summary(found: list[Compared]) -> Table:
    """For each predictor the median of its absolute errors, by half and kind of figure, with the number of rows."""
    kinds = {"allocated": (ALLOCATED,), "all": ()}
    columns = [f"{half}, {name}" for half in (SEALED, OPEN) for name in kinds]
    lines = [["median absolute error", *columns, f"{SEALED} within {AGREES:.0%}"]]
    for predictor in found[0].predictions if found else ():
        cells = [errors_text(of_half(found, half), predictor, of) for half in (SEALED, OPEN) for of in kinds.values()]
        lines.append([predictor, *cells, within(of_half(found, SEALED), predictor)])
    return lines


def errors(cases: list[Compared], predictor: str, kinds: tuple[str, ...] = ()) -> list[float]:
    """A predictor's absolute errors for all kinds of figures or only these, wherever it has a prediction."""
    return [
        abs(case.error(amount)) for case in cases
        if (amount := case.predictions[predictor]) is not None and (not kinds or case.published.kind in kinds)
    ]  # fmt: skip


def errors_text(cases: list[Compared], predictor: str, kinds: tuple[str, ...]) -> str:
    found = errors(cases, predictor, kinds)
    return f"{median(found):.1%} of {len(found)}" if found else "–"


def within(cases: list[Compared], predictor: str) -> str:
    found = errors(cases, predictor)
    return f"{sum(error <= AGREES for error in found)} of {len(found)}"


def verdict(found: list[Compared]) -> list[str]:
    """Whether the goals are met on the sealed half, and which rows nothing explains."""
    lines = []
    for name, kinds, goal in (("allocated figures", (ALLOCATED,), GOAL_ALLOCATED), ("all figures", (), GOAL_ALL)):
        reached = median(errors(of_half(found, SEALED), BY_TRAINER, kinds))
        met = "met" if reached <= goal else "not met"
        lines.append(f"Goal for {name} of the sealed half: a median of at most {goal:.0%}. It is {reached:.1%}: {met}.")
    far = [f"`{case.published.id}`" for case in found if not case.agrees]
    return [*lines, "", f"Unexplained, with an error of more than {AGREES:.0%}: {', '.join(far)}."]


def sources(found: list[Compared]) -> list[str]:
    """Each source once, with its rows."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for one in (case.published for case in found):
        rows.setdefault((one.source, one.url, one.says), []).append(one.id + (f" ({one.note})" if one.note else ""))
    lines = [f"- {source} ({url}). {says}. Rows: {', '.join(ids)}." for (source, url, says), ids in rows.items()]
    return ["## Sources", "", *lines]
