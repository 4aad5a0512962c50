"""`python -m bench fetch`: fetch weights before they are needed."""

import argparse

from bench.commands import Commands, add_command, add_mirror, mirror_of, show
from bench.models import MODELS


def add(commands: Commands) -> None:
    parser = add_command(commands, "fetch", "fetch weights before a run needs them")
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="models to fetch (default: those of the default run)"
    )
    add_mirror(parser)
    parser.set_defaults(work=fetch_weights, next="pytest suites runs the cases")


def fetch_weights(arguments: argparse.Namespace) -> int:
    """1 if a model's weights could not be had."""
    from bench.sources import fetch

    missing = 0
    for name, weights in fetch(arguments.models, mirror_of(arguments)):
        show(f"{name}: {weights.origin}, {weights.reason}")
        missing += weights.origin == "synthetic" and not MODELS[name].tiny
    return 1 if missing else 0
