"""The folder of a run: its command and machine, its records, what was answered, and of which card it is."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.case import Case
from bench.measure.environment import describe_machine, processor
from bench.places import RUNS
from bench.plugin.options import Options
from bench.record import Record, append_record, write_atomically

EMULATION = "emulation"  # the key of a run and of a record's environment: the emulated card's name


def make_folder(emulation: str | None, folder: Path | None) -> Path:
    """The run's folder, a new one if none is given; it says what began it, and of which card (emulation_of) it is.

    Raises pytest.UsageError where it cannot be written.
    """
    if folder is None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{machine_name(emulation)}"
        taken = len(list(RUNS.glob(f"{name}*")))  # sessions that began in the same second
        folder = RUNS / (f"{name}-{taken + 1}" if taken else name)
    about = {"command": ["pytest", *sys.argv[1:]], "machine": describe_machine()}  # `python -m pytest` is the same
    if emulation is not None:
        about[EMULATION] = emulation
    if not (folder / "run.json").exists():  # a resumed run keeps the command that began it
        try:
            write_atomically(folder / "run.json", json.dumps(about, indent=1) + "\n")
        except OSError as error:
            raise pytest.UsageError(f"the run cannot be written to {folder}: {error.strerror}") from None
    return folder


def write_case(folder: Path, record: Record, examples: list[dict[str, Any]], probed: list[dict[str, Any]]) -> None:
    """Its answers first, so that a record never speaks of a file that is not there."""
    if examples:
        write_atomically(folder / record.predictions, json_lines(examples))
    if probed:
        write_atomically(folder / "predictions" / f"{record.case}.probes.jsonl", json_lines(probed))
    append_record(folder / "records.jsonl", record)


def json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def emulation_of(options: Options, cases: Iterable[Case]) -> str | None:
    """The card that the cases are run as on, "" for the one that is there; None where all are on the processor."""
    on_card = any(case.device != "cpu" for case in cases)
    return card_name(options) if on_card else None


def card_name(options: Options) -> str:
    return options.emulate.name if options.emulate else ""


def refuse_another_card(options: Options, folder: Path, stored: Iterable[Record]) -> None:
    """A run is of one card, real or emulated. Raises pytest.UsageError where this session's is another."""
    wanted = card_name(options)
    if options.replay and not wanted:
        return  # judges what is stored, whatever it was run on
    seen = {record.environment.get(EMULATION, "") for record in stored if record.parsed_case().device != "cpu"}
    if (about := folder / "run.json").is_file():
        try:
            told = json.loads(about.read_text(encoding="utf-8"))
            seen |= {told[name] for name in told.keys() & {EMULATION}}  # without it no case was on a card
        except (ValueError, AttributeError):  # no JSON, or no table
            raise pytest.UsageError(
                f"{about} is damaged and does not say of what card the run is; mend it, or begin a run of its own"
            ) from None
    for name in sorted(seen - {wanted}):
        was, asked = (f"as on {one}" if one else "on the card itself" for one in (name, wanted))
        remedy = f"give --emulate {name}" if name else "leave --emulate out"
        raise pytest.UsageError(f"{folder.name} was run {was}, not {asked}; {remedy}, or begin a run of its own")


def machine_name(emulation: str | None = None) -> str:
    """A short name for this kind of machine, without its host name: h100_80gb, h100_80gb_as_t4 or amd_epyc_2cores."""
    about = describe_machine()
    text = about["accelerator"] or f"{processor()} {about['cores']}cores"
    text += f" as {emulation}" if emulation else ""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
