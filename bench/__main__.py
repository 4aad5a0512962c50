"""`python -m bench COMMAND`, also installed as `lorabench`: what is no test.

Without a command it prints which commands there are and an example for each kind of user.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import bench

if Path(bench.__file__ or "").resolve().parent != Path(__file__).resolve().parent:  # run by its path, beside another
    raise SystemExit(f"bench: Python imported another package named bench, {bench.__file__}; run lorabench instead")

from bench import __version__
from bench.commands import (
    SCRIPT,
    Mistake,
    app,
    ask,
    baseline,
    calibrate,
    campaign,
    census,
    claims,
    compare,
    coverage,
    engines,
    faults,
    fetching,
    fit,
    listing,
    localize_commands,
    matrix,
    merge,
    options,
    pages,
    picture,
    predicting,
    probes,
    program,
    refusals,
    report,
    rescore,
    score,
    show,
    table,
    testing,
    thresholds,
    upgrade,
)
from bench.core.registry import UnknownName, names_in
from bench.plan.own import add_own
from bench.records.record import BadRecord

COMMANDS = (
    testing, listing, fit, predicting, table, report, picture, upgrade, matrix, compare, baseline, calibrate, faults,
    score, claims, campaign, coverage, merge, ask, app, probes, refusals, engines, fetching, census, thresholds,
    rescore, pages, options,
)  # fmt: skip
EXAMPLES = """\
examples:
  an upgrade of transformers, peft or another library: does anything get worse
    python -m bench upgrade "transformers==5.24.0"
  which model, which method, which card: what fits, without the card
    python -m bench fit --models llama31_8b,qwen3_8b --methods lora,qlora --cards rtx3060_12gb,l4
  does the table of a paper hold
    python -m bench claims --source 003
  how fast is this machine: run this on each, with --benchmark-compare on the second
    pytest suites/test_speed.py --benchmark-autosave

Help on a command: python -m bench COMMAND --help. Guides are in docs/ of the project.
"""

INTERRUPTED = 128 + signal.SIGINT  # as a shell has it


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog=program(),
        description=localize_commands("Predict, list, report and judge. Cases are run by pytest: pytest suites."),
        epilog=localize_commands(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"lorabench {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    add_entries(root, os.environ.get("LORABENCH_ENTRIES", ""))
    for behind in commands.choices.values():
        if "-" in behind.prefix_chars:  # pytest has the option itself
            add_entries(behind, argparse.SUPPRESS)
    return root


def add_entries(where: argparse.ArgumentParser, default: str) -> None:
    where.add_argument("--entries", type=names_in, default=default, metavar="A,B",
                       help="your modules and files that add methods, models or tasks: my_module, my_file.py, my.toml "
                       "(or LORABENCH_ENTRIES)")  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    if program() == SCRIPT:
        sys.path.append(str(Path.cwd()))  # modules of --entries, as python -m finds them; last, to shadow nothing
    root = parser()
    arguments = root.parse_args(words)
    if "work" not in arguments:
        root.print_help()
        return 0
    try:
        if "pytest_imports_entries" not in arguments:
            mirror = Path(arguments.mirror) if getattr(arguments, "mirror", "") else None
            arguments.entries = tuple(add_own(arguments.entries, mirror).entries)
        code = arguments.work(arguments)
        sys.stdout.flush()
        if code == 0 and "next" in arguments:
            show(f"next: {arguments.next.format_map(vars(arguments))}", sys.stderr)
        return code
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else closing it at exit breaks again
        return 0
    except (Mistake, UnknownName, BadRecord, ValueError, RuntimeError, OSError) as error:
        show(f"bench: {error}", sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main())
