"""`python -m bench list`: what there is."""

import argparse

from bench.commands import Commands, show
from bench.methods import METHODS
from bench.models import MODELS
from bench.probes import PROBES
from bench.registry import Registry
from bench.tasks import TASKS

REGISTRIES: dict[str, Registry] = {"models": MODELS, "methods": METHODS, "tasks": TASKS, "probes": PROBES}


def add(commands: Commands) -> None:
    parser = commands.add_parser("list", help="what there is")
    parser.add_argument("kind", nargs="?", choices=list(REGISTRIES))
    parser.set_defaults(work=list_entries)


def list_entries(arguments: argparse.Namespace) -> int:
    for kind in [arguments.kind] if arguments.kind else REGISTRIES:
        show(f"{kind}:")
        for entry in REGISTRIES[kind]:
            show(f"  {entry.name:16} {entry.says}")
    return 0
