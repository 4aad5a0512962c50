"""`python -m bench ...`: what is no test.

python -m bench list [models|methods|tasks]   what there is
python -m bench fetch [MODEL ...]             fetch weights before they are needed
python -m bench table RUN [--markdown]        the table of a run's records
python -m bench thresholds RUN ...            write fixtures/thresholds.toml from measured seeds
python -m bench engines CASE                  our loop against transformers.Trainer, seconds a step
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.case import parse_case
from bench.engines import compare
from bench.methods import METHODS
from bench.models import MODELS
from bench.places import RUNS
from bench.record import BadRecord, Record, read_records, write_atomically
from bench.registry import Registry, UnknownName
from bench.report import as_markdown, as_text, rows
from bench.tasks import TASKS
from bench.thresholds import FILE, as_toml, measure, read_thresholds

REGISTRIES: dict[str, Registry] = {"models": MODELS, "methods": METHODS, "tasks": TASKS}


class Mistake(Exception):
    """What a person can mend; said in one sentence."""


def list_entries(arguments: argparse.Namespace) -> int:
    for kind in [arguments.kind] if arguments.kind else REGISTRIES:
        print(f"{kind}:")
        for entry in REGISTRIES[kind]:
            print(f"  {entry.name:16} {entry.says}")
    return 0


def fetch_weights(arguments: argparse.Namespace) -> int:
    """1 if a model's weights could not be had."""
    from bench.sources import fetch

    missing = 0
    for name, weights in fetch(arguments.models, mirror_of(arguments)):
        print(f"{name}: {weights.origin}, {weights.reason}")
        missing += weights.origin == "synthetic" and not MODELS[name].tiny
    return 1 if missing else 0


def records_of(run: str) -> list[Record]:
    """A run's records, by its folder or its name in results/runs."""
    for folder in (Path(run), RUNS / run):
        if (folder / "records.jsonl").is_file():
            records, complaints = read_records(folder / "records.jsonl")
            for complaint in complaints:
                print(complaint, file=sys.stderr)
            return list(records.values())
    raise Mistake(f"{run}: no run with a records.jsonl there, nor in {RUNS.name}")


def print_table(arguments: argparse.Namespace) -> int:
    table = rows(records_of(arguments.run), read_thresholds())
    print(
        as_markdown(table) if arguments.markdown else "\n".join(as_text(table)), end="" if arguments.markdown else "\n"
    )
    return 0


def write_thresholds(arguments: argparse.Namespace) -> int:
    records = [record for run in arguments.runs for record in records_of(run)]
    entries = {**read_thresholds().entries, **measure(records)}
    write_atomically(FILE, as_toml(entries))
    print(f"{len(entries)} thresholds in fixtures/{FILE.name}")
    return 0


def compare_engines(arguments: argparse.Namespace) -> int:
    timings = compare(parse_case(arguments.case), mirror_of(arguments), "sample")
    for timing in timings:
        turns = ", ".join(f"{seconds:.4f}" for seconds in timing.seconds_per_step)
        print(f"{timing.engine:8} {timing.median:.4f} s/step (turns {turns}), last loss {timing.last_loss:.4f}")
    print(f"transformers.Trainer takes {timings[1].median / timings[0].median:.2f} times as long")
    return 0


def mirror_of(arguments: argparse.Namespace) -> Path | None:
    mirror = Path(arguments.mirror) if arguments.mirror else None
    if mirror and not mirror.is_dir():
        raise Mistake(f"--mirror {mirror}: there is no such folder")
    return mirror


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m bench", description="what is no test; tests are `pytest suites`")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="what there is")
    listing.add_argument("kind", nargs="?", choices=list(REGISTRIES))
    listing.set_defaults(work=list_entries)
    fetching = commands.add_parser("fetch", help="fetch weights before they are needed")
    fetching.add_argument("models", nargs="*", metavar="MODEL")
    fetching.add_argument("--mirror", default=os.environ.get("LORABENCH_MIRROR", ""), metavar="DIR")
    fetching.set_defaults(work=fetch_weights)
    table = commands.add_parser("table", help="the table of a run's records")
    table.add_argument("run", metavar="RUN")
    table.add_argument("--markdown", action="store_true")
    table.set_defaults(work=print_table)
    thresholds = commands.add_parser("thresholds", help="write thresholds from measured seeds")
    thresholds.add_argument("runs", nargs="+", metavar="RUN")
    thresholds.set_defaults(work=write_thresholds)
    engines = commands.add_parser("engines", help="our loop against transformers.Trainer")
    engines.add_argument("case", metavar="CASE")
    engines.add_argument("--mirror", default=os.environ.get("LORABENCH_MIRROR", ""), metavar="DIR")
    engines.set_defaults(work=compare_engines)
    return root


def main(words: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(words)
    try:
        return arguments.work(arguments)
    except (Mistake, UnknownName, BadRecord, ValueError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
