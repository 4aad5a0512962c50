"""`python -m bench engines CASE`: our loop against transformers.Trainer, seconds a step."""

import argparse

from bench.case import parse_case
from bench.commands import Commands, add_mirror, mirror_of
from bench.engines import compare


def add(commands: Commands) -> None:
    parser = commands.add_parser("engines", help="our loop against transformers.Trainer")
    parser.add_argument("case", metavar="CASE")
    add_mirror(parser)
    parser.set_defaults(work=compare_engines)


def compare_engines(arguments: argparse.Namespace) -> int:
    timings = compare(parse_case(arguments.case), mirror_of(arguments), "sample", arguments.entries)
    for timing in timings:
        turns = ", ".join(f"{seconds:.4f}" for seconds in timing.seconds_per_step)
        print(f"{timing.engine:8} {timing.median:.4f} s/step (turns {turns}), last loss {timing.last_loss:.4f}")
    print(f"transformers.Trainer takes {timings[1].median / timings[0].median:.2f} times as long")
    return 0
