"""The score's tables: a line per method, and what was left out."""

from bench.core.outside_text import for_markdown, for_terminal
from bench.core.units import gigabytes
from bench.judge.score import Comparison, Standing
from bench.report.cases import EMPTY
from bench.report.tables import markdown_lines, text_lines

SHOWN = {
    "memory": gigabytes,
    "disk": lambda count: f"{count / 1e6:.2f} MB",
    "time": lambda seconds: f"{seconds:.1f} s",
    "quality": lambda value: f"{value:.4f}",
    "truth": lambda share: f"{share:.1%}",
}


def headings(comparison: Comparison) -> list[str]:
    figures = [comparison.metric if name == "quality" else name for name in comparison.greater]
    return ["method", "seeds", "Pareto rank", "score", "place", *figures]


def cells(standing: Standing, comparison: Comparison) -> list[str]:
    """One row: means with half of their interval; a shared place begins with "="."""
    score = EMPTY if standing.score is None else f"{standing.score:.3f}"
    if standing.score_interval:
        score += f" ± {standing.score_interval.half:.3f}"
    place = EMPTY if standing.place is None else f"{'=' if standing.tied else ''}{standing.place}"
    figures = [with_noise(name, standing) for name in comparison.greater]
    return [standing.method, str(standing.seeds), str(standing.rank or EMPTY), score, place, *figures]


def with_noise(name: str, standing: Standing) -> str:
    shown = SHOWN[name](standing.figures[name])
    span = standing.intervals.get(name)
    return f"{shown} ± {SHOWN[name](span.half)}" if span and span.half else shown


def lines_of(comparison: Comparison, markdown: bool) -> list[str]:
    """A heading, the table, and what is left out."""
    rows = [headings(comparison), *(cells(standing, comparison) for standing in comparison.standings)]
    lines = markdown_lines(rows, 1) if markdown else text_lines(rows, 1)
    blank = [""] if markdown else []
    notes = map(for_markdown if markdown else for_terminal, notes_of(comparison))
    return [f"{'### ' if markdown else ''}{comparison.name}", *blank, *lines, *blank, *notes]


def notes_of(comparison: Comparison) -> list[str]:
    """What is left out and why, a sentence each."""
    notes = list(comparison.left_out)
    if all(standing.score is None for standing in comparison.standings):
        notes.append("no score: whatever has a weight is left out")
    single = [standing.method for standing in comparison.standings if standing.rank is None]
    if single:
        whose = "any method" if len(single) == len(comparison.standings) else ", ".join(single)
        notes.append(f"no rank and no place for {whose}: with one seed the noise is not known")
    return notes
