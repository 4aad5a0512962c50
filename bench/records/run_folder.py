"""The folder of a run: its command and machine, its records, and the models' answers."""

import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.core.files import write_atomically
from bench.core.paths import RUNS
from bench.core.registry import first_few
from bench.machine.environment import describe_machine, distributions, processor
from bench.records.record import Record, add_line, open_records

NAMED = ("torch", "transformers", "peft")  # the libraries whose versions are in a run's name
ENTRIES = "entries"  # the key, in a run, of the modules that its workers loaded beside the project's own
EMULATION = "emulation"  # the key, in a run and in a record's environment, of the emulated card's name


class NotStored(Exception):
    """A run that cannot be written; the message is one sentence."""


def make_folder(emulation: str | None, folder: Path | None, name: str = "", entries: Sequence[str] = ()) -> Path:
    """The run's folder, a new one if none is given. It records the command that started it and its card (emulation_of).

    name: what follows the time in the name of a new folder; by default the machine and the versions of the libraries.
    entries: what workers load beside the project's own modules; recorded too, since it may change any figure.
    Raises NotStored if the folder cannot be written.
    """
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{name or default_name(emulation)}"
    about = {"command": command(), "machine": describe_machine(), "distributions": distributions()}
    if emulation is not None:
        about[EMULATION] = emulation
    if entries:
        about[ENTRIES] = list(entries)
    made = None
    try:
        if folder is None:
            folder = made = new_folder(RUNS, name)
        if not (folder / "run.json").exists():  # a resumed run keeps its first command
            write_atomically(folder / "run.json", json.dumps(about, indent=1) + "\n")
        if made is None:
            with open_records(folder / "records.jsonl"):  # fail before training if it cannot be written
                pass
    except OSError as error:
        if made:
            with suppress(OSError):
                made.rmdir()  # an empty folder is not a run
        raise NotStored(f"the run cannot be written to {folder or RUNS / name}: {error.strerror}") from None
    return folder


def command() -> list[str]:
    """The command that started this session; `python -m pytest` becomes pytest, and `python -m bench` lorabench."""
    path = Path(sys.argv[0])
    ours = path.stem == "lorabench" or path.parts[-2:] == ("bench", "__main__.py")
    return ["lorabench" if ours else "pytest", *sys.argv[1:]]


def resume_command(folder: Path) -> str:
    """The command line that continues this session's run."""
    words = command()
    for option in ("--resume", "--run-name"):  # the run already has its name, and its folder is added below
        words = without_option(words, option)
    return shlex.join([*words, "--resume", folder.name if folder.parent == RUNS else relative_path(folder)])


def without_option(words: list[str], option: str) -> list[str]:
    """The words without an option and its value, given as one word or as two."""
    kept = [word for word in words if not word.startswith(f"{option}=")]
    while option in kept:
        place = kept.index(option)
        del kept[place : place + 2]
    return kept


def new_folder(where: Path, name: str) -> Path:
    """A folder that no other session has: name, or name-2, name-3, … if sessions start in the same second."""
    where.mkdir(parents=True, exist_ok=True)
    folder, number = where / name, 1
    while True:
        with suppress(FileExistsError):
            folder.mkdir()  # only one session can create it
            return folder
        number += 1
        folder = where / f"{name}-{number}"


def why_not_stored(folder: Path, unwritten: Mapping[str, OSError]) -> str:
    """One sentence on the parts of a run that could not be written, however many. unwritten: part -> its error."""
    error = next(iter(unwritten.values()))
    named = first_few(unwritten, 1)
    return (
        f"the run is not stored: {named} could not be written to {relative_path(folder)} ({error.strerror or error}); "
        f"make room there and add --resume {relative_path(folder)} to run what is missing"
    )


def relative_path(path: Path) -> str:
    """The path, relative to the current folder if it is inside it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def predictions_path(case_id: str) -> str:
    """The path, inside the run's folder, of the file with a case's held-out examples."""
    return f"predictions/{case_id}.jsonl"


def answers_file(folder: Path, case_id: str, kind: str) -> Path:
    """The file of a case's other rows: `probes` for the answers to probes, `before` for the untrained model's rows."""
    return folder / "predictions" / f"{case_id}.{kind}.jsonl"


def write_case(
    folder: Path,
    record: Record,
    examples: list[dict[str, Any]],
    probe_answers: list[dict[str, Any]],
    untrained: Sequence[dict[str, Any]] = (),
) -> None:
    """Write a case: its answers first, so that a record never refers to a missing file or to another session's.

    Raises OSError if the disk is full or read-only.
    """
    line = record.to_line()
    with open_records(folder / "records.jsonl") as file:
        if examples:
            write_atomically(folder / record.predictions, json_lines(examples))
        for kind, rows in (("probes", probe_answers), ("before", untrained)):
            if rows:
                write_atomically(answers_file(folder, record.case, kind), json_lines(rows))
        add_line(file, line)


def json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def machine_name(emulation: str | None = None) -> str:
    """A short name for this kind of machine, without its host name: h100_80gb, h100_80gb_as_t4 or amd_epyc_2cores."""
    about = describe_machine()
    text = about["accelerator"] or f"{processor()} {about['cores']}cores"
    text += f" as {emulation}" if emulation else ""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def default_name(emulation: str | None) -> str:
    """The machine and the main libraries: amd_epyc_2cores-torch2.13.0-transformers5.23.0-peft0.21.2."""
    libraries = describe_machine()["libraries"]
    versions = [f"{name}{libraries[name].partition('+')[0]}" for name in NAMED if libraries.get(name)]
    return "-".join([machine_name(emulation), *versions])
