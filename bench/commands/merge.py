"""`python -m bench merge RUN/CASE`: a kept adapter merged into its base, as one model in bfloat16."""

import argparse
from pathlib import Path

from bench.commands import Commands, Mistake, add_command, add_mirror, mirror_of, show
from bench.records.kept import KEPT_HELP, find_kept
from bench.records.run_folder import relative_path


def add(commands: Commands) -> None:
    parser = add_command(commands, "merge", "merge a kept adapter into its base, as one model in bfloat16")
    parser.add_argument("kept", metavar="RUN/CASE", help=KEPT_HELP)
    parser.add_argument("-o", "--output", metavar="DIR", help="a new folder for the model (default CASE-merged)")
    add_mirror(parser)
    parser.set_defaults(work=merge, next="python -m bench ask {kept} asks the adapter and its base the same question")


def merge(arguments: argparse.Namespace) -> int:
    folder = find_kept(arguments.kept)
    target = Path(arguments.output or f"{folder.resolve().name}-merged").expanduser()
    if target.exists():
        raise Mistake(f"{target} exists; give another folder with -o")
    from bench.worker.keep.loading import merge_kept, open_kept

    kept = merge_kept(open_kept(folder, mirror_of(arguments)), target)
    size = sum((target / name).stat().st_size for name in kept.files)
    place = relative_path(target.absolute())
    show(f"{place}: {size / 1e6:,.0f} MB in bfloat16; its README.md has the lines that load it")
    return 0
