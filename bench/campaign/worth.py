"""What an entry of a campaign settles: open claims, cases that no card has run, and what the entry itself states.

A claim counts if nothing has run for it yet and this entry runs all of its cases, with their seeds, data and recipe. A
claim about quality needs the model's weights too, and one about seconds of a named device needs that device. A case
counts if no stored record is of today's recipe: its record compares a predicted peak, and states a speed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.campaign.entries import CARD, Entry
from bench.core.case import Case, parse_case
from bench.judge.claims.claim import Claim
from bench.judge.claims.grounds import Evidence
from bench.judge.claims.kinds.counted import read_census
from bench.judge.claims.verdicts import judge
from bench.judge.verdict import NOT_RUN
from bench.machine.cards import is_card
from bench.models import MODELS
from bench.recipes.of_case import recipe_for
from bench.records.figures import FIGURES
from bench.records.record import OK, OUT_OF_MEMORY
from bench.records.stored import Stored
from bench.sources.weights import has_weights

PROBE = "probe"  # the kind of a claim about an answer


@dataclass(frozen=True)
class Worth:
    """What an entry settles. claims: ids; cases: those without a record; stated: the entry's own, in claims."""

    claims: tuple[str, ...]
    cases: tuple[Case, ...]
    stated: float

    @property
    def total(self) -> float:
        return len(self.claims) + len(self.cases) + self.stated


def open_claims(claims: Mapping[str, Claim], records: Sequence[Stored]) -> dict[str, Claim]:
    """The claims about runs on a card for which nothing has run yet."""
    evidence = Evidence(claims, tuple(records), read_census())
    on_cards = {name: claim for name, claim in claims.items() if is_run_on_card(claim)}
    return {name: claim for name, claim in on_cards.items() if judge(claim, evidence).state == NOT_RUN}


def is_run_on_card(claim: Claim) -> bool:
    return "case" in claim.by and parse_case(f"{claim.by['case']}-s0").device == CARD


def worth_of(
    entry: Entry, claims: Mapping[str, Claim], records: Iterable[Stored], device: str, mirror: Path | None
) -> Worth:
    """What the entry settles on this device, by its driver's name. claims: the open ones."""
    left = tuple(case for case in entry.cases if not is_measured(entry, case, records))
    answered = tuple(name for name, claim in claims.items() if settles(entry, claim, device, mirror))
    return Worth(answered, left, entry.worth if left or entry.tests else 0.0)


def is_measured(entry: Entry, case: Case, records: Iterable[Stored]) -> bool:
    """Whether a stored record is what this case of the entry would give."""
    digest, card = entry.recipe(case).digest(), entry.card.name if entry.card else ""
    wanted = (case.id, digest, OUT_OF_MEMORY if entry.out_of_memory else OK)
    return any(
        (stored.record.case, stored.record.recipe_digest, stored.record.status) == wanted
        and stored.record.environment.get("emulation", "") == card
        and entry.loss_by in ("", stored.record.environment.get("loss_by"))
        for stored in records
    )


def settles(entry: Entry, claim: Claim, device: str, mirror: Path | None) -> bool:
    """Whether the entry runs all that the claim needs."""
    if entry.emulate or entry.data != claim.by["data"]:
        return False
    if "on" in claim.by and not is_card(claim.by["on"], device):
        return False
    first = [parse_case(f"{claim.by[key]}-s0") for key in ("case", "against") if key in claim.by]
    wanted = {replace(case, seed=seed) for case in first for seed in range(claim.by.get("seeds", 1))}
    if not wanted <= set(entry.cases):
        return False
    if any(entry.recipe(case).digest() != recipe_for(case, entry.data).digest() for case in first):
        return False
    about_quality = claim.kind == PROBE or FIGURES[claim.by["figure"]].quality
    return not about_quality or all(has_weights(MODELS[case.model], mirror) for case in first)
