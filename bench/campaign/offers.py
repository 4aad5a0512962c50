"""What a campaign can run here: each entry with its cost and worth, and why the others are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.campaign.choice import Offer
from bench.campaign.entries import Entry
from bench.campaign.estimate import cost_of, peak_flops
from bench.campaign.packages import Package, why_left_out
from bench.campaign.worth import worth_of
from bench.core.paths import INSTALLED
from bench.judge.claims.claim import Claim
from bench.machine.cards import GIB, CardKind, needed_on_card
from bench.records.stored import Stored
from bench.sources.data import find_full
from bench.tasks import TASKS


@dataclass(frozen=True)
class Situation:
    """What a campaign is planned with. card: None on a processor; room: bytes that the card has for a case.

    plan: nothing will run, so that neither data nor packages are needed here; claims: the open ones.
    """

    card: CardKind | None
    device: str
    room: int
    mirror: Path | None
    plan: bool
    lacking: Sequence[Package]
    claims: Mapping[str, Claim]
    records: Sequence[Stored]


def offers_of(entries: Sequence[Entry], situation: Situation) -> tuple[list[Offer], dict[str, str]]:
    """What can run and is not settled yet; and the names of the other entries with a reason each."""
    peak = peak_flops(situation.card) if situation.card else 1.0
    offers, left_out = [], {}
    for entry in entries:
        cost = cost_of(entry, peak)
        worth = worth_of(entry, situation.claims, situation.records, situation.device, situation.mirror)
        reason = why_left_out(entry, situation.lacking) or why_not_here(entry, situation, cost.peak_bytes)
        if not reason and not worth.total:
            reason = "settled: a stored record has each of its cases"
        if reason:
            left_out[entry.name] = reason
        else:
            offers.append(Offer(entry, cost, worth))
    return offers, left_out


def why_not_here(entry: Entry, situation: Situation, peak_bytes: int | None) -> str:
    """Why the entry cannot run here; empty if it can."""
    if entry.tests and (situation.card is None or INSTALLED):
        return "its tests need a card and a checkout"
    if situation.card is None:
        return ""
    lacking = [case.task for case in entry.cases if not find_full(TASKS[case.task].data, situation.mirror)]
    if entry.data == "full" and lacking and not situation.plan:
        return f"needs the full data of {lacking[0]}: --mirror DIR"
    if entry.card and (capped := entry.card.why_not_on(situation.device, situation.room)):
        return capped
    needed = needed_on_card(peak_bytes or 0)
    if not entry.attempt and peak_bytes and needed > situation.room:
        return f"needs {needed / GIB:.1f} GiB, and {situation.device} has {situation.room / GIB:.1f} free"
    return ""
