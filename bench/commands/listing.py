"""`python -m bench list`: what a case can be made of, and what a claim can name."""

import argparse
import inspect
from collections.abc import Iterable, Iterator

from bench.commands import Commands, add_command, show
from bench.core.registry import Registry
from bench.judge.claims.calculations import CALCULATIONS
from bench.judge.claims.kinds import arithmetic
from bench.judge.claims.parameters import NEEDED, OPTIONAL, PARAMETERS
from bench.methods import METHODS
from bench.models import MODELS
from bench.probes import PROBES
from bench.records.figures import FIGURES
from bench.tasks import TASKS

REGISTRIES: dict[str, Registry] = {"models": MODELS, "methods": METHODS, "tasks": TASKS, "probes": PROBES}
FIGURES_KIND, CALCULATIONS_KIND = "figures", "calculations"
KINDS = (*REGISTRIES, FIGURES_KIND, CALCULATIONS_KIND)


def add(commands: Commands) -> None:
    parser = add_command(commands, "list", "list models, methods, tasks and probes, and what claims can name")
    parser.add_argument("kind", nargs="?", choices=KINDS, help="list only these (default: all)")
    parser.set_defaults(work=list_entries, next="pytest suites --collect-only -q lists the cases made of them")


def list_entries(arguments: argparse.Namespace) -> int:
    for kind in [arguments.kind] if arguments.kind else KINDS:
        show(f"{kind}:")
        entries = dict(entries_of(kind))
        width = max(16, *map(len, entries))
        for name, says in entries.items():
            show(f"  {name:{width}} {says}")
    return 0


def entries_of(kind: str) -> Iterator[tuple[str, str]]:
    """Each entry's name, and what there is to know of it."""
    if kind == FIGURES_KIND:
        for figure in FIGURES.values():
            yield figure.name, f"{figure.says} ({figure.dimension})"
    elif kind == CALCULATIONS_KIND:
        yield PARAMETERS, f"What a method trains, by formula and in peft's model. {keys_text(NEEDED, OPTIONAL)}"
        for one in CALCULATIONS:
            keys = arithmetic.arguments_of(one.name)
            needed = [key for key, argument in keys.items() if argument.default is inspect.Parameter.empty]
            yield one.name, f"{one.says} {keys_text(needed, [key for key in keys if key not in needed])}"
    else:
        yield from ((entry.name, entry.says) for entry in REGISTRIES[kind])


def keys_text(needed: Iterable[str], optional: Iterable[str]) -> str:
    """by: form, config; optional: rank, targets"""
    own = ", ".join(key for key in needed if key != "calculation")
    more = ", ".join(optional)
    return f"by: {own}" + (f"; optional: {more}" if more else "")
