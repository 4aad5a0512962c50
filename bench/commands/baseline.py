"""`python -m bench baseline accept RUN --why "..."`: make a run the baseline that later runs are compared with."""

import argparse

from bench.commands import Commands, add_command, show
from bench.core.registry import names_in
from bench.judge.compare.baselines import accept
from bench.records.run_folder import relative_path
from bench.records.stored_runs import RUN_HELP, find_run


def add(commands: Commands) -> None:
    parser = add_command(commands, "baseline", "accept a run as the baseline that later runs are compared with")
    parser.add_argument("action", choices=("accept",), help="accept: keep the run, if it passed whole")
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--why", required=True, metavar="TEXT", help="the reason, kept with the baseline")
    parser.add_argument("--despite", metavar="FIGURE,...", type=names_in, default=(),
                        help="figures that are worse than in the baseline before or cannot be compared with it, "
                        "and are meant to be")  # fmt: skip
    parser.add_argument("--release", action="store_true",
                        help="keep it as the last release's baseline too; `compare accepted` looks at it")  # fmt: skip
    parser.set_defaults(work=accept_run, next="python -m bench compare accepted RUN compares a run with it")


def accept_run(arguments: argparse.Namespace) -> int:
    place = accept(find_run(arguments.run), arguments.why, arguments.despite, arguments.release)
    show(f"the baseline is {relative_path(place)}; commit it by itself, with the reason:")
    show(f"  git add -f {relative_path(place.parent)} && git commit -m 'Accept a baseline: {arguments.why.strip()}'")
    return 0
