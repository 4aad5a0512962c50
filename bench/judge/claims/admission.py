"""Admission of records to a claim. Every other record of the same case is refused by name, never averaged in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from textwrap import shorten
from typing import Any

from bench.core.case import Case, parse_case
from bench.judge.claims.grounds import Evidence
from bench.machine.cards import is_card
from bench.recipes.of_case import recipe_for
from bench.records.basis import CLOCK, QUALITY, basis_differences, basis_of
from bench.records.figures import Figure
from bench.records.record import Record
from bench.records.stored import Stored
from bench.sources.data import load_rows
from bench.tasks import TASKS

REASON_CHARACTERS = 100  # shown of why a case failed; its record has the full text


@dataclass(frozen=True)
class Admitted:
    """Records by seed, and a sentence for each refused record."""

    by_seed: Mapping[int, Stored]
    refused: tuple[str, ...]


@cache
def sample_identity(task: str) -> str:
    return load_rows(TASKS[task].data, "sample", None).identity


def data_identity(task: str, size: str, census: Mapping[str, Any]) -> str:
    """The hash that a record's rows must have; empty if full data was never counted."""
    if size == "sample":
        return sample_identity(task)
    return census.get(TASKS[task].variant_of or task, {}).get("identity", "")


def group(case: Case) -> Case:
    return replace(case, seed=0)


def admit(case: Case, size: str, figure: Figure, evidence: Evidence) -> Admitted:
    """The records of this case and size of data that may be judged; for each seed, the last run wins."""
    kinds: list[dict[int, Stored]] = []  # each by seed, with one recipe, data and weights
    refused = []
    identity = data_identity(case.task, size, evidence.census)
    for stored in evidence.records:
        own = parse_case(stored.record.case)
        if group(own) != group(case) or stored.record.recipe.get("data", size) != size:
            continue
        if reason := complaint(stored, own, size, figure, identity):
            refused.append(f"{stored.name}: {reason}")
            continue
        by_seed = kind_of(stored, kinds)
        before = by_seed.get(own.seed)
        if before is None or not figure.counts or stored.examples or not before.examples:
            by_seed[own.seed] = stored
    return of_one_kind(kinds, refused)


def kind_of(stored: Stored, kinds: list[dict[int, Stored]]) -> dict[int, Stored]:
    """The records that this one may be averaged with, by QUALITY; a new kind if there are none."""
    for by_seed in kinds:
        first = next(iter(by_seed.values()))
        if not basis_differences(basis_of(first.record), basis_of(stored.record), QUALITY):
            return by_seed
    kinds.append({})
    return kinds[-1]


def of_one_kind(kinds: list[dict[int, Stored]], refused: list[str]) -> Admitted:
    """The records of the kind with the most seeds; on a tie, the one with the lowest seed."""
    kinds = sorted(kinds, key=lambda by_seed: (-len(by_seed), min(by_seed)))
    kept = dict(sorted(kinds[0].items())) if kinds else {}
    for stored in (stored for others in kinds[1:] for _, stored in sorted(others.items())):
        first = kept[min(kept)]
        other = basis_differences(basis_of(first.record), basis_of(stored.record), QUALITY)
        refused.append(f"{stored.name}: other {' and '.join(other)} than {first.name}")
    return Admitted(kept, tuple(refused))


def complaint(stored: Stored, case: Case, size: str, figure: Figure, identity: str) -> str:
    """Why this record may not count; empty if it may."""
    record = stored.record
    if not record.ok:
        reason = shorten(record.reason, REASON_CHARACTERS, placeholder=" …")
        return f"it {record.status.replace('_', ' ')}" + (f" ({reason})" if reason else "")
    if card := record.environment.get("emulation"):
        return f"an emulated {card}"
    kinds = (True, False) if case.device == "cpu" else (True,)  # processors come in both kinds
    wanted = {recipe_for(case, size, bfloat16=units).digest() for units in kinds}
    if record.recipe_digest not in wanted:
        return f"of another recipe, digest {record.recipe_digest} where today's is {' or '.join(sorted(wanted))}"
    rows = record.data.get("rows", record.data.get("identity", "none"))
    if identity and rows != identity:
        return f"other data, {short(rows)} where {short(identity)} is expected"
    if figure.quality and not record.quality_judged:
        return "random weights, whose quality is not judged"
    if figure.value(record) is None:
        return f"it has no {figure.name}"
    return missing_examples(stored, record) if figure.counts else ""


def missing_examples(stored: Stored, record: Record) -> str:
    """Why the stored predictions are incomplete, or empty. If none were stored, there are no examples to resample."""
    try:
        seen = len(stored.examples)
    except ValueError as error:
        return str(error)
    if seen and seen != record.data.get("held_out_examples"):
        return f"missing examples, {seen} of {record.data.get('held_out_examples')} are there"
    return ""


def short(identity: str) -> str:
    return identity[:19]


def of_one_run(sides: list[Admitted]) -> tuple[list[Admitted], list[str]]:
    """Only records of the first record's run and machine: seconds of different ones cannot be compared."""
    first = next((stored for side in sides for stored in side.by_seed.values()), None)
    if first is None:
        return sides, []
    return only(
        sides,
        lambda stored: stored.run == first.run and not clock_differences(first, stored),
        lambda stored: f"{stored.name}: another run or machine than {first.name}",
    )


def on_device(sides: list[Admitted], name: str) -> tuple[list[Admitted], list[str]]:
    """Only records of this accelerator, or of a processor with "8 cores": a source's seconds hold for its device."""
    return only(
        sides,
        lambda stored: matches(stored, name),
        lambda stored: f"{stored.name}: on {device_of(stored)}, not on {name}",
    )


def only(
    sides: list[Admitted], belongs: Callable[[Stored], bool], why_not: Callable[[Stored], str]
) -> tuple[list[Admitted], list[str]]:
    """Each side's records that belong, and a sentence for each record that does not."""
    refused = [why_not(stored) for side in sides for stored in side.by_seed.values() if not belongs(stored)]
    kept = [
        replace(side, by_seed={seed: stored for seed, stored in side.by_seed.items() if belongs(stored)})
        for side in sides
    ]
    return kept, refused


def matches(stored: Stored, name: str) -> bool:
    """Whether the record's device has this name; an RTX 3080 Ti is not an RTX 3080."""
    return is_card(name, device_of(stored))


def device_of(stored: Stored) -> str:
    environment = stored.record.environment
    return environment.get("accelerator") or f"{environment.get('processor')} with {environment.get('cores')} cores"


def clock_differences(first: Stored, other: Stored) -> dict[str, str]:
    return basis_differences(basis_of(first.record), basis_of(other.record), CLOCK)
