"""`python -m bench app`: pages of stored runs and of kept adapters, in a browser of this machine."""

import argparse
import sys

from bench.app.asking import Asking
from bench.app.served import Served
from bench.app.serving import PORT, require_packages, serve
from bench.commands import Commands, Mistake, add_command, add_mirror, mirror_of, show
from bench.core.paths import COMMITTED, RUNS, named_folder
from bench.machine.devices import DEVICES, cards, missing


def add(commands: Commands) -> None:
    parser = add_command(commands, "app", "open pages in a browser: all runs, comparisons, claims, and questions")
    parser.add_argument("--port", type=int, default=PORT, metavar="N", help=f"port of this machine (default {PORT})")
    parser.add_argument("--runs", default="", metavar="FOLDER",
                        help="the folder of runs to show (default: yours and the project's)")  # fmt: skip
    parser.add_argument("--device", choices=DEVICES.names(),
                        help="where models answer (default: cuda if there is a card)")  # fmt: skip
    add_mirror(parser)
    parser.set_defaults(work=open_app, next="python -m bench report RUN writes a run as one page to keep")


def open_app(arguments: argparse.Namespace) -> int:
    require_packages()
    device = arguments.device or ("cuda" if cards() else "cpu")
    if why := missing(device):
        raise Mistake(f"--device {device}: {why}")
    named = named_folder(arguments.runs, "--runs")
    folders = (named,) if named else tuple(dict.fromkeys((COMMITTED, RUNS)))
    served = Served(folders, Asking(device, mirror_of(arguments), arguments.entries), arguments.entries)
    serve(served, arguments.port, lambda address: show(f"open {address} in a browser; Ctrl-C ends the app", sys.stderr))
    return 0
