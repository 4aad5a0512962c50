"""`python -m bench coverage`: the parts of the five sources, each with its claims or the reason why it has none."""

import argparse
import sys
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, show
from bench.judge.claims.book import read_claims
from bench.judge.claims.coverage import missing_from_list, read_coverage
from bench.report import coverage


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "coverage", "list the paragraphs, tables and figures of the sources, each with its claims"
    )
    parser.add_argument(
        "--text",
        default="",
        metavar="SOURCE=FILE",
        help="compare the list of a source, for example 001, with its text: print what the list lacks",
    )
    parser.set_defaults(work=print_coverage, next="python -m bench claims judges them")


def print_coverage(arguments: argparse.Namespace) -> int:
    """The page results/COVERAGE.md; with --text, what is missing, and 1 if anything is."""
    claims = read_claims()
    parts = read_coverage(claims)
    if not arguments.text:
        show(coverage.as_markdown(parts, claims).rstrip("\n"))
        return 0
    source, _, file = arguments.text.partition("=")
    own = [part for part in parts if part.source == source]
    if not own or not Path(file).is_file():
        raise Mistake(f"--text {arguments.text}: expected SOURCE=FILE, a listed source and its text")
    complaints = missing_from_list(own, Path(file).read_text(encoding="utf-8"))
    for complaint in complaints:
        show(complaint, sys.stderr)
    return 1 if complaints else 0
