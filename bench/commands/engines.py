"""`python -m bench engines CASE`: our loop against transformers.Trainer, seconds a step."""

import argparse

from bench.commands import CASE_HELP, Commands, Mistake, add_command, add_mirror, mirror_of
from bench.core.case import Case, parse_case
from bench.judge.compare.engines import compare
from bench.machine.devices import missing
from bench.methods import METHODS
from bench.models import MODELS
from bench.recipes.of_case import recipe_for
from bench.tasks import TASKS

SIZE = "sample"  # of the data that both engines are timed on


def add(commands: Commands) -> None:
    parser = add_command(commands, "engines", "time our training loop against transformers.Trainer")
    parser.add_argument("case", metavar="CASE", help=CASE_HELP)
    add_mirror(parser)
    parser.set_defaults(
        work=compare_engines, next="pytest suites --engine trainer trains every case with transformers.Trainer"
    )


def check(case: Case) -> None:
    """Raises Mistake or Unsupported for a case that cannot be run here."""
    entry, method = MODELS[case.model], METHODS[case.method]
    if reason := TASKS[case.task].refusal(entry) or missing(case.device):
        raise Mistake(f"{case.id}: {reason}")
    method.check(entry, recipe_for(case, SIZE))


def compare_engines(arguments: argparse.Namespace) -> int:
    case = parse_case(arguments.case)
    check(case)
    timings = compare(case, mirror_of(arguments), SIZE, arguments.entries)
    for timing in timings:
        turns = ", ".join(f"{seconds:.4f}" for seconds in timing.seconds_per_step)
        print(f"{timing.engine:8} {timing.median:.4f} s/step (turns {turns}), last loss {timing.last_loss:.4f}")
    print(f"transformers.Trainer takes {timings[1].median / timings[0].median:.2f} times as long")
    return 0
