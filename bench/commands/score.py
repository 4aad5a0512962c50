"""`python -m bench score RUN...`: methods ranked by memory, disk, time, quality and truth."""

import argparse
import json
from dataclasses import asdict

from bench.commands import Commands, Mistake, add_command, records_of, show, show_json
from bench.judge.score import DIMENSIONS, WEIGHTS, compare, parse_weights
from bench.records.stored_runs import RUN_HELP
from bench.report.scores import lines_of

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
