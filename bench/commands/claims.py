"""`python -m bench claims [RUN ...]`: what papers claim, and what records and arithmetic say of it."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.commands import Commands, add_command, show, show_json
from bench.core.registry import unknown
from bench.judge.claims import simulation
from bench.judge.claims.book import read_claims
from bench.judge.claims.claim import Claim
from bench.judge.claims.gathering import gather
from bench.judge.claims.verdicts import KINDS, claims_to_judge, judge_all
from bench.judge.verdict import ERROR, STATES, Verdict
from bench.records.stored_runs import committed_runs, find_run
from bench.report import claims as scorecard


def add(commands: Commands) -> None:
    parser = add_command(commands, "claims", "list what papers claim, with a verdict for each claim")
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="runs to judge by: folders, names, unambiguous prefixes, or latest (default: all committed runs)",
    )
    parser.add_argument("--source", default="", metavar="ID", help="only claims of this source, for example 001")
    parser.add_argument("--kind", default="", choices=["", *KINDS], metavar="KIND",
                        help=f"only claims of this kind: {', '.join(KINDS)}")  # fmt: skip
    parser.add_argument("--verdict", default="", choices=["", *STATES], metavar="STATE",
                        help=f"only claims with this verdict: {', '.join(STATES)}")  # fmt: skip
    parser.add_argument("--claim", default="", metavar="TEXT", help="only claims whose id contains this text")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown, as in results/CLAIMS.md")
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--simulate",
        action="store_true",
        help="print how often the statistics err on made-up data, as in results/STATISTICS.md",
    )
    parser.set_defaults(work=print_scorecard, next="pytest suites/test_claims.py asserts these verdicts")


def print_scorecard(arguments: argparse.Namespace) -> int:
    """Show what the options choose. Their families are judged whole, for their tests are corrected together."""
    if arguments.simulate:
        tables = (table() for table in simulation.TABLES)
        show(scorecard.as_statistics(tables, simulation.RUNS, simulation.RUNS // 2).rstrip("\n"))
        return 0
    claims = read_claims()
    chosen = chosen_claims(claims, arguments)
    verdicts = {}
    if chosen:
        needed = claims_to_judge(chosen, claims)
        runs: list[Path] = [find_run(run) for run in arguments.runs] or committed_runs()
        evidence, complaints = gather(needed, runs, arguments.entries)
        for complaint in complaints:
            show(complaint, sys.stderr)
        judged = judge_all(needed.values(), evidence)
        verdicts = {name: judged[name] for name in chosen if arguments.verdict in ("", judged[name].state)}
    if not verdicts:
        print("bench: no claim is left by these options", file=sys.stderr)
        return 2
    return print_verdicts(claims, verdicts, arguments)


def chosen_claims(claims: Mapping[str, Claim], arguments: argparse.Namespace) -> list[str]:
    """The ids that --source, --kind and --claim leave. Raises UnknownName for a source that is none."""
    sources = sorted({claim.source for claim in claims.values()})
    if arguments.source and arguments.source not in sources:
        raise unknown("source", arguments.source, sources)
    return [
        name
        for name, claim in claims.items()
        if arguments.source in ("", claim.source) and arguments.kind in ("", claim.kind) and arguments.claim in name
    ]


def print_verdicts(claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict], arguments: argparse.Namespace) -> int:
    """1 where the project contradicts itself, else 0."""
    broken = [verdict for verdict in verdicts.values() if verdict.state == ERROR]
    for verdict in broken:
        show(f"bench: {verdict.claim}: {verdict.says}", sys.stderr)
    if arguments.json:
        show_json(scorecard.as_json(claims, verdicts))
    else:
        form = scorecard.as_markdown if arguments.markdown else scorecard.as_text
        show(form(claims, verdicts).rstrip("\n"))
    return int(bool(broken))
