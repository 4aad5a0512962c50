"""`python -m bench score RUN...`: one score for the edge, of methods by what they cost and give."""

import argparse
import json
from dataclasses import asdict

from bench.commands import Commands, Mistake, add_command, records_of, show, show_json
from bench.outside_text import for_markdown, for_terminal
from bench.report import EMPTY, gigabytes
from bench.score import DIMENSIONS, WEIGHTS, Comparison, Standing, compare, parse_weights
from bench.stored_runs import RUN_HELP
from bench.tables import markdown_lines, text_lines

SHOWN = {
    "memory": gigabytes,
    "disk": lambda count: f"{count / 1e6:.2f} MB",
    "time": lambda seconds: f"{seconds:.1f} s",
    "quality": lambda value: f"{value:.4f}",
    "truth": lambda share: f"{share:.1%}",
}
DEFAULT = ",".join(f"{name}={weight:g}" for name, weight in WEIGHTS.items())


def add(commands: Commands) -> None:
    parser = add_command(commands, "score", "rank methods by memory, disk, time, quality and truth")
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.add_argument(
        "--weights", default=DEFAULT, metavar="NAME=NUMBER,...",
        help=f"weights of {', '.join(DIMENSIONS)}; one that is not named is 0 (default {DEFAULT})",
    )  # fmt: skip
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--markdown", action="store_true", help="print Markdown")
    shape.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(work=print_scores, next="--weights sets what counts how much, for example memory=2,quality=1")


def print_scores(arguments: argparse.Namespace) -> int:
    weights = parse_weights(arguments.weights)
    newest = {record.case: record for run in arguments.runs for record in records_of(run)}
    comparisons, refused = compare(newest.values(), weights)
    if not comparisons:
        raise Mistake(f"nothing to score: {'; '.join(refused) or 'no record in the runs named'}")
    if arguments.json:
        found = {"weights": weights, "groups": [asdict(one) for one in comparisons], "refused": refused}
        show_json(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False))
        return 0
    for comparison in comparisons:
        show("\n".join(lines_of(comparison, arguments.markdown)) + "\n")
    for sentence in refused:
        show(f"not scored: {sentence}")
    return 0


def headings(comparison: Comparison) -> list[str]:
    figures = [comparison.metric if name == "quality" else name for name in comparison.greater]
    return ["method", "seeds", "Pareto rank", "score", "place", *figures]


def cells(standing: Standing, comparison: Comparison) -> list[str]:
    """One row: means with half of their interval; a place that is shared begins with "="."""
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
