"""`python -m bench COMMAND`: what is no test; --entries A,B anywhere: with a person's own models, methods and tasks.

python -m bench list [models|methods|tasks]   what there is
python -m bench fetch [MODEL ...]             fetch weights before they are needed
python -m bench table RUN [--markdown]        the table of a run's records; --probes: of what they were asked
python -m bench thresholds RUN ...            write fixtures/thresholds.toml from measured seeds
python -m bench rescore RUN ...               score stored records again from their stored predictions
python -m bench engines CASE                  our loop against transformers.Trainer, seconds a step
python -m bench predict --model M --method N  the memory of a training step, without a card
python -m bench claims [RUN ...]              what papers claim, with verdicts
python -m bench census                        count the full data sets that claims speak of
python -m bench refusals RUN ...              how often the models of a run decline, before and after
python -m bench score RUN ... [--weights W]   memory, disk, time, quality and truth of methods joined
python -m bench probes [FAMILY ...] [--write]  what probes ask; write the files made from them
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from bench.commands import (
    Mistake,
    census,
    claims,
    engines,
    fetching,
    listing,
    predicting,
    probes,
    refusals,
    rescore,
    score,
    show,
    table,
    thresholds,
)
from bench.record import BadRecord
from bench.registry import UnknownName, import_entries, names_in

COMMANDS = (
    listing, fetching, table, rescore, thresholds, engines, predicting, claims, census, probes, refusals, score,
)  # fmt: skip

INTERRUPTED = 128 + signal.SIGINT  # as a shell has it


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m bench", description="what is no test; tests are `pytest suites`")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    add_entries(root, os.environ.get("LORABENCH_ENTRIES", ""))
    for behind in commands.choices.values():
        add_entries(behind, argparse.SUPPRESS)
    return root


def add_entries(where: argparse.ArgumentParser, default: str) -> None:
    where.add_argument("--entries", type=names_in, default=default, metavar="A,B",
                       help="your modules that register models, methods or tasks (or LORABENCH_ENTRIES)")  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(words)
    try:
        import_entries(arguments.entries)
        code = arguments.work(arguments)
        sys.stdout.flush()
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
