"""`python -m bench COMMAND`: one file for each command, with `add(commands)` that declares it and the work it does.

A command returns its exit code. What a person can mend is a Mistake, said in one sentence. `next` in its defaults is
what to do after it succeeded; main prints it on stderr, so that stdout can be read by a program.

May import: every room.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any, TextIO

from bench.core.outside_text import json_for_terminal, lines_for_terminal
from bench.core.paths import INSTALLED, named_folder
from bench.records.record import Record, read_run
from bench.records.stored_runs import find_run

Commands = Any  # argparse's own type for subparsers is private
CASE_HELP = "a case id, for example pos-minilm_l6-lora-cpu-s0"
QUOTED = re.compile(r"""("[^"\n]*"|(?<!\w)'[^'\n]*'(?!\w))""")
SCRIPT = "lorabench"  # the console script's name; the same as python -m bench


def show(text: str = "", file: TextIO | None = None) -> None:
    """Print the text, of one line or several, with commands as they work here; it may quote what comes from outside."""
    show_as_is(localize_commands(text), file)


def show_as_is(text: str, file: TextIO | None = None) -> None:
    """Print the text of a person or a model, of one line or several: a command in it is theirs."""
    print(lines_for_terminal(text), file=file)


def program() -> str:
    """What the person typed: the console script's name, or python -m bench."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m bench"


def localize_commands(text: str) -> str:
    """The text with commands as they work here: the console script gives pytest the suites from any folder.

    What stands in quotation marks, such as a name or an error that the text quotes, stays as it is.
    """
    if as_script := INSTALLED or program() == SCRIPT:
        text = text.replace(
            "pytest 'suites/", "python -m bench test 'suites/"
        )  # a test whose name a shell would expand
    parts = QUOTED.split(text)  # every second one is quoted
    parts[::2] = [localize(part, as_script) for part in parts[::2]]
    return "".join(parts)


def localize(text: str, as_script: bool) -> str:
    if as_script:
        text = text.replace("pytest suites/", "python -m bench test ").replace("pytest suites", "python -m bench test")
        text = text.replace(" suites/test_", " test_")
    return text.replace("python -m bench", program())


def show_json(text: str) -> None:
    """Print JSON, for a program or a person."""
    print(json_for_terminal(text))


class Mistake(Exception):
    """What a person can mend; said in one sentence."""


def add_command(commands: Commands, name: str, says: str) -> argparse.ArgumentParser:
    """The command's parser, with one sentence for the list of commands and for its own help."""
    return commands.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.")


def need_checkout(command: str) -> None:
    """Raise Mistake for a command that writes the project's own files, where lorabench is installed."""
    if INSTALLED:
        raise Mistake(f"{command} writes files of the project; run it in a checkout, not in an installation")


def records_of(run: str) -> list[Record]:
    """The records of a run. Raises ValueError if there is no such run, BadRecord if none of them can be read."""
    records, complaints = read_run(find_run(run))
    for complaint in complaints:
        show(complaint, sys.stderr)
    return list(records.values())


def add_mirror(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mirror",
        default=os.environ.get("LORABENCH_MIRROR", ""),
        metavar="DIR",
        help="a folder with models/ and datasets/ in the Hub's layout (or LORABENCH_MIRROR)",
    )


def mirror_of(arguments: argparse.Namespace) -> Path | None:
    """The mirror's folder; None where none is named. Raises ValueError for one that is not there."""
    return named_folder(arguments.mirror, "--mirror")
