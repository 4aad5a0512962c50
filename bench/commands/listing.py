"""`python -m bench list`: what there is."""

import argparse

from bench.commands import Commands, add_command, show
from bench.core.registry import Registry
from bench.methods import METHODS
from bench.models import MODELS
from bench.probes import PROBES
from bench.tasks import TASKS

REGISTRIES: dict[str, Registry] = {"models": MODELS, "methods": METHODS, "tasks": TASKS, "probes": PROBES}


def add(commands: Commands) -> None:
    parser = add_command(commands, "list", "list models, methods, tasks and probes")
    parser.add_argument("kind", nargs="?", choices=list(REGISTRIES), help="list only these (default: all)")
    parser.set_defaults(work=list_entries, next="pytest suites --collect-only -q lists the cases made of them")


def list_entries(arguments: argparse.Namespace) -> int:
    for kind in [arguments.kind] if arguments.kind else REGISTRIES:
        show(f"{kind}:")
        for entry in REGISTRIES[kind]:
            show(f"  {entry.name:16} {entry.says}")
    return 0
