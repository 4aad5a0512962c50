"""`python -m bench compare A B`: whether the second run is worse than the first, figure by figure.

Exit codes: 0 nothing is worse, 1 something is or is missing, 2 nothing could be compared, 3 something could not be
decided.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, localize_commands, show, show_json
from bench.core.case import parse_case
from bench.core.files import write_atomically
from bench.core.registry import names_in, nearest
from bench.judge.compare.baselines import release_of
from bench.judge.compare.finding import NOTHING_COMPARABLE, RED, STATES, exit_code
from bench.judge.compare.runs import Comparison, Options, compare_runs
from bench.judge.compare.sides import Side, read_side
from bench.judge.compare.timing import MOST_CASES
from bench.records.stored_runs import RUN_HELP, find_run
from bench.report.comparison import as_json, as_junit, markdown, text_lines


def add(commands: Commands) -> None:
    parser = add_command(commands, "compare", "compare two runs: is anything worse, and what is to blame")
    parser.add_argument("before", metavar="A", help=RUN_HELP)
    parser.add_argument("after", metavar="B", help="the run that is compared with it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    form.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--junit", metavar="FILE", default="", help="also write a JUnit report")
    parser.add_argument("--fresh", nargs=2, metavar=("A2", "B2"), default=(),
                        help="runs of fresh seeds of both sides: they decide what is suspected")  # fmt: skip
    parser.add_argument("--time", metavar="CASE,...", type=names_in, default=(),
                        help="also compare seconds, peak memory and energy of at most "
                        f"{MOST_CASES} cases with repeated processes")  # fmt: skip
    parser.add_argument("--allow-commit", action="store_true",
                        help="compare runs of two versions of lorabench: only what both hold")  # fmt: skip
    parser.add_argument("--fail-on", metavar="STATE,...", type=names_in, default=RED,
                        help=f"further states that make the exit code 1; {' and '.join(RED)} always do")  # fmt: skip
    parser.add_argument("--allow-inconclusive", action="store_true", help="exit with 0 where 3 would be")
    parser.set_defaults(work=print_comparison, next="docs/upgrades.md says how to read this and what to do")


def print_comparison(arguments: argparse.Namespace) -> int:
    check(arguments)
    arguments.fail_on = tuple(dict.fromkeys((*RED, *arguments.fail_on)))
    before, after = (read_side(find_run(name)) for name in (arguments.before, arguments.after))
    if before.folder.resolve() == after.folder.resolve():
        raise Mistake(f"{arguments.before} and {arguments.after} are the same run; give two")
    fresh = tuple(read_side(find_run(name)) for name in arguments.fresh)
    options = Options(arguments.allow_commit, arguments.time)
    comparison = compare_runs(before, after, options, (fresh[0], fresh[1]) if fresh else None)
    codes = [report(comparison, arguments)]
    if earlier := release_of(before.folder):
        codes.append(report_release(read_side(earlier), after, options, arguments))
    return max(codes, key=SERIOUS.index)


SERIOUS = (0, 3, 2, 1)  # exit codes, the most serious last


def check(arguments: argparse.Namespace) -> None:
    """Raises Mistake for a state that there is not, and for too many cases to time."""
    if not arguments.fail_on:
        raise Mistake(f"--fail-on is empty; {' and '.join(RED)} always fail, give further states or leave it out")
    for state in arguments.fail_on:
        if state not in STATES:
            near = nearest(state, list(STATES))
            raise Mistake(
                f"--fail-on {state}: {f'did you mean {near[0]}?' if near else ''} states are {', '.join(STATES)}"
            )
    check_timed(arguments.time)


def check_timed(cases: Sequence[str]) -> None:
    """Raises Mistake for too many cases, ValueError for what is no case."""
    if len(cases) > MOST_CASES:
        raise Mistake(f"--time names {len(cases)} cases; of more than {MOST_CASES} too many would be falsely red")
    for case in cases:
        parse_case(case)


def report(comparison: Comparison, arguments: argparse.Namespace) -> int:
    """Print and write the comparison, and return its exit code."""
    code = exit_code(comparison.findings, arguments.fail_on, arguments.allow_inconclusive)
    write_report(comparison, arguments, code)
    return code


def write_report(comparison: Comparison, arguments: argparse.Namespace, code: int) -> None:
    """Print the comparison, write its files, and say why nothing was compared if nothing was."""
    if arguments.json:
        show_json(as_json(comparison, code))
    else:
        show(markdown(comparison) if arguments.markdown else "\n".join(text_lines(comparison)))
    if arguments.junit:
        write_atomically(Path(arguments.junit), as_junit(comparison, arguments.fail_on))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(localize_commands(markdown(comparison)))
        except OSError as error:  # a page of CI's, not the verdict
            show(f"GITHUB_STEP_SUMMARY {summary} cannot be written: {error.strerror}", sys.stderr)
    if code == NOTHING_COMPARABLE:
        show("nothing could be compared: no case of the first run ended well in both on one basis", sys.stderr)


def report_release(release: Side, after: Side, options: Options, arguments: argparse.Namespace) -> int:
    """Compare with the last release too: small steps that each were allowed add up."""
    comparison = compare_runs(release, after, options)
    code = exit_code(comparison.findings, arguments.fail_on, arguments.allow_inconclusive)
    show(f"with the last release: {text_lines(comparison)[1]}", sys.stderr)
    for line in text_lines(comparison)[2:] if code == 1 else []:
        show(line, sys.stderr)
    return code
