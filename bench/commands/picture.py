"""`python -m bench picture RUN`: quality against peak memory as an SVG picture."""

import argparse
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, records_of
from bench.core.files import write_atomically
from bench.judge.thresholds import own_thresholds, read_with_own
from bench.records.stored_runs import RUN_HELP
from bench.report.picture import NothingToDraw, as_svg, picture_of


def add(commands: Commands) -> None:
    parser = add_command(commands, "picture", "draw quality against peak memory of a run, as SVG")
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the picture here (default: print it)")
    parser.add_argument(
        "--task", default="", metavar="TASK", help="draw this task (default: the one with most methods)"
    )
    parser.add_argument(
        "--model", default="", metavar="MODEL", help="draw this model (default: the one with most methods)"
    )
    parser.set_defaults(work=draw, next="--output FILE.svg writes it to a file, to open in a browser")


def draw(arguments: argparse.Namespace) -> int:
    try:
        picture = picture_of(
            records_of(arguments.run), read_with_own(own_thresholds()), arguments.task, arguments.model
        )
    except NothingToDraw as error:
        raise Mistake(f"{arguments.run}: {error}") from None
    text = as_svg(picture)
    if arguments.output is None:
        print(text, end="")
        return 0
    write_atomically(arguments.output, text)
    print(arguments.output)
    return 0
