"""`python -m bench options`: every option of the suites and of each command, as Markdown tables.

docs/options.md is made from it, so that the page can neither lack an option nor name one that is gone.
"""

import argparse
from collections.abc import Iterable
from typing import Any

from bench.commands import Commands, add_command

SUITES, EVERY_COMMAND = "suites", "commands"
HEAD = ("| option | what it does |", "|---|---|")
ROOT_DESTINATIONS = ("entries", "help")  # which every command has


class Recorder:
    """Takes options as pytest's parser does, and keeps them in an argparse parser."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser(add_help=False)
        self.addoption = self.parser.add_argument

    def getgroup(self, *about: str) -> "Recorder":
        return self


def add(commands: Commands) -> None:
    parser = add_command(commands, "options", "list every option as a Markdown table, as in docs/options.md")
    parser.add_argument("of", choices=(SUITES, EVERY_COMMAND), help="options of pytest suites, or of python -m bench")
    parser.set_defaults(
        work=lambda arguments: print_options(arguments.of, commands.choices),
        next="python -m bench pages writes these tables into docs/options.md",
    )


def print_options(of: str, commands: dict[str, argparse.ArgumentParser]) -> int:
    if of == SUITES:
        print("\n".join(table_of(suite_options())))
        return 0
    for name, command in commands.items():
        lines = table_of(one for one in options_of(command) if one.dest not in ROOT_DESTINATIONS)
        print("\n".join([f"### {name}", "", str(command.description), "", *lines]), end="\n\n")
    return 0


def suite_options() -> list[argparse.Action]:
    from bench.plugin.options import add_options

    recorder: Any = Recorder()
    add_options(recorder)
    return options_of(recorder.parser)


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # argparse has no other way to list them


def table_of(options: Iterable[argparse.Action]) -> list[str]:
    """Lines of a Markdown table, or one sentence if there is no option; help texts are Markdown of this project."""
    rows = [f"| `{in_cell(option_text(option))}` | {in_cell(str(option.help))} |" for option in options]
    return [*HEAD, *rows] if rows else ["It has no options."]


def in_cell(text: str) -> str:
    return text.replace("|", r"\|")


def option_text(option: argparse.Action) -> str:
    """The option's names and value, as a person types them."""
    names = ", ".join(option.option_strings)
    if option.nargs == 0:
        return names
    metavar = str(option.metavar or "|".join(option.choices or [option.dest.upper()]))
    value = f"{metavar} ..." if option.nargs in ("*", "+") else metavar
    return f"{names} {value}".strip()
