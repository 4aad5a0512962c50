"""`python -m bench claims [RUN ...]`: what papers claim, and what records and arithmetic say of it."""

import argparse
import sys
from pathlib import Path

from bench.claims import scorecard
from bench.claims.book import read_claims
from bench.claims.gathering import committed_runs, gather
from bench.claims.judge import KINDS, judge_all
from bench.claims.verdict import STATES
from bench.commands import Commands, folder_of, show, show_json
from bench.registry import unknown


def add(commands: Commands) -> None:
    parser = commands.add_parser("claims", help="what papers claim, with verdicts")
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="judge these runs' records (default: all of results/runs)"
    )
    parser.add_argument("--source", default="", metavar="ID", help="only this source's, as 001")
    parser.add_argument("--kind", default="", choices=["", *KINDS])
    parser.add_argument("--verdict", default="", choices=["", *STATES])
    parser.add_argument("--claim", default="", metavar="TEXT", help="only ids that contain this")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as a page, as results/CLAIMS.md")
    form.add_argument("--json", action="store_true")
    parser.set_defaults(work=print_scorecard)


def print_scorecard(arguments: argparse.Namespace) -> int:
    """Every claim is judged, for they are corrected together; the options choose what is shown."""
    claims = read_claims()
    sources = sorted({claim.source for claim in claims.values()})
    if arguments.source and arguments.source not in sources:
        raise unknown("source", arguments.source, sources)
    runs: list[Path] = [folder_of(run) for run in arguments.runs] or committed_runs()
    evidence, complaints = gather(claims, runs, arguments.entries)
    for complaint in complaints:
        show(complaint, sys.stderr)
    verdicts = {
        name: verdict
        for name, verdict in judge_all(claims.values(), evidence).items()
        if arguments.source in ("", claims[name].source)
        and arguments.kind in ("", claims[name].kind)
        and arguments.verdict in ("", verdict.state)
        and arguments.claim in name
    }
    if not verdicts:
        print("bench: no claim is left by these options", file=sys.stderr)
        return 2
    if arguments.json:
        show_json(scorecard.as_json(claims, verdicts))
        return 0
    form = scorecard.as_markdown if arguments.markdown else scorecard.as_text
    show(form(claims, verdicts).rstrip("\n"))
    return 0
