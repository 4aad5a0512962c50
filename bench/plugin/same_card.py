"""The check that all cases of a run's folder are from one card, real or emulated."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.core.case import Case
from bench.plan.options import Options
from bench.records.record import Record
from bench.records.run_folder import EMULATION


def emulation_of(options: Options, cases: Iterable[Case]) -> str | None:
    """The name of the card that the cases emulate, "" for the real card; None if all cases run on the CPU."""
    on_card = any(case.device != "cpu" for case in cases)
    return card_name(options) if on_card else None


def card_name(options: Options) -> str:
    return options.emulate.name if options.emulate else ""


def refuse_another_card(options: Options, folder: Path, stored: Iterable[Record]) -> None:
    """Raises pytest.UsageError if this session's card, real or emulated, is not the run's."""
    wanted = card_name(options)
    if options.replay and not wanted:
        return  # it judges the stored records, whatever card they are from
    seen = {record.environment.get(EMULATION, "") for record in stored if record.parsed_case().device != "cpu"}
    if (about := folder / "run.json").is_file():
        try:
            stored_run = json.loads(about.read_text(encoding="utf-8"))
            seen |= {stored_run[name] for name in stored_run.keys() & {EMULATION}}  # without it no case used a card
        except (ValueError, AttributeError):  # not JSON, or not a table
            raise pytest.UsageError(
                f"{about} is damaged and does not say of what card the run is; mend it, or begin a run of its own"
            ) from None
    for name in sorted(seen - {wanted}):
        was, asked = (f"as on {one}" if one else "on the card itself" for one in (name, wanted))
        remedy = f"give --emulate {name}" if name else "leave --emulate out"
        raise pytest.UsageError(f"{folder.name} was run {was}, not {asked}; {remedy}, or begin a run of its own")
