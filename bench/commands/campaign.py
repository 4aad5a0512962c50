"""`python -m bench campaign`: what to run on a card in the time that there is, chosen, run and summed up."""

import argparse
import sys
import time
from collections.abc import Sequence

from bench.campaign.choice import Offer, choose, next_offer
from bench.campaign.entries import CARD, PROCESSOR, Entry, read_entries, rehearsal
from bench.campaign.offers import Situation, offers_of
from bench.campaign.packages import lacking_packages
from bench.campaign.session import FAILED, SLACK, Ended, run_entry
from bench.campaign.worth import open_claims
from bench.commands import Commands, Mistake, add_command, add_mirror, mirror_of, show
from bench.core.paths import COMMITTED, RUNS
from bench.core.registry import names_in, unknown
from bench.judge.claims.book import read_claims
from bench.machine.cards import CARDS, GIB, CardKind, read_card
from bench.machine.devices import cards, missing
from bench.records.stored import Stored, stored_records
from bench.records.stored_runs import runs_in
from bench.report.campaign import NAMES, left_out_lines, offer_table, summary_lines
from bench.report.tables import text_lines

MINUTES = 12.0


def add(commands: Commands) -> None:
    parser = add_command(commands, "campaign", "run what waits for a card, by what it settles per minute")
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N",
                        help=f"how long the card can be used (default {MINUTES:g})")  # fmt: skip
    parser.add_argument("--device", choices=(CARD, PROCESSOR), default=CARD,
                        help="cpu rehearses the entries on tiny models, a few steps each (default cuda)")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="run nothing: list what would run, with seconds and bytes")
    parser.add_argument("--card", default="", metavar="CARD",
                        help=f"with --plan: the card to plan for: {', '.join(CARDS.names())}, or NAME=GiB")  # fmt: skip
    parser.add_argument("--only", default="", metavar="A,B", help="choose from these entries alone")
    add_mirror(parser)
    parser.set_defaults(work=answer, next="python -m bench claims judges claims; name the new runs, as the table shows")


def answer(arguments: argparse.Namespace) -> int:
    """0, or 1 if an entry failed."""
    if not arguments.minutes > 0:
        raise Mistake(f"--minutes {arguments.minutes:g} must be above 0")
    if arguments.card and not arguments.plan:
        raise Mistake("--card is for --plan; a campaign runs on the card that is there")
    situation = situation_of(arguments)
    offers, left_out = offers_of(chosen_entries(arguments), situation)
    chosen = choose(offers, arguments.minutes * 60)
    seconds = sum(offer.cost.seconds for offer in chosen)
    show(
        f"on {situation.device}, in {arguments.minutes:g} minutes: {len(chosen)} of {len(offers)} entries that are not "
        f"settled, which take about {seconds / 60:.0f} minutes"
    )
    if offers:
        show("\n".join(["", *text_lines(offer_table(offers, chosen), NAMES)]))
    if lines := left_out_lines(left_out, lacking_packages(), bool(arguments.card)):
        show("\n".join(["", *lines]))
    return 0 if arguments.plan else run(offers, chosen, situation, arguments)


def situation_of(arguments: argparse.Namespace) -> Situation:
    card, device, room = card_of(arguments)
    records = all_records() if card else []  # an earlier rehearsal settles nothing: the code may differ
    claims = open_claims(read_claims(), records) if card else {}
    lacking = [] if arguments.card else lacking_packages()  # of this machine, not of the one with the named card
    return Situation(card, device, room, mirror_of(arguments), arguments.plan, lacking, claims, records)


def card_of(arguments: argparse.Namespace) -> tuple[CardKind | None, str, int]:
    """The card, the device's name, and the bytes that it has. Raises Mistake without a card."""
    if arguments.device == PROCESSOR:
        if arguments.card:
            raise Mistake(f"--device {PROCESSOR} rehearses without a card; leave --card out")
        return None, "this processor, as a rehearsal", 0
    if arguments.card:
        kind = read_card(arguments.card)
        return kind, kind.says, kind.total_bytes
    if reason := missing(CARD):
        raise Mistake(f"{reason}; --plan --card NAME plans for one, and --device {PROCESSOR} rehearses on tiny models")
    real = cards()[0]
    return CardKind("this_card", real.name, real.total_bytes / GIB), real.name, real.free_bytes


def chosen_entries(arguments: argparse.Namespace) -> list[Entry]:
    """The entries to choose from. Raises UnknownName for one that is not there."""
    entries = {entry.name: entry for entry in read_entries()}
    only = names_in(arguments.only)
    for name in only:
        if name not in entries:
            raise unknown("entry", name, list(entries))
    found = [entry for name, entry in entries.items() if not only or name in only]
    return [rehearsal(entry) for entry in found] if arguments.device == PROCESSOR else found


def all_records() -> list[Stored]:
    """The project's records and the user's own."""
    runs = {**runs_in(COMMITTED), **runs_in(RUNS)}
    return stored_records(path for _, path in sorted(runs.items()))[0]


def run(offers: Sequence[Offer], chosen: Sequence[Offer], situation: Situation, arguments: argparse.Namespace) -> int:
    """Run entries until the time is over, and say what was settled."""
    ends = time.monotonic() + arguments.minutes * 60
    waiting, ended = list(offers), {}
    while offer := next_offer(waiting, chosen, left := ends - time.monotonic()):
        waiting.remove(offer)
        seconds = min(left, SLACK * offer.cost.seconds)
        show(f"{offer.entry.name}: about {offer.cost.seconds:.0f} s, cut off after {seconds:.0f} s", sys.stderr)
        ended[offer.entry.name] = done = run_entry(offer.entry, arguments.mirror, arguments.entries, seconds)
        show(f"{offer.entry.name}: {done.words}", sys.stderr)
    return sum_up(offers, ended, situation)


def sum_up(offers: Sequence[Offer], ended: dict[str, Ended], situation: Situation) -> int:
    records = all_records()
    still_open = open_claims(read_claims(), records) if situation.card else {}
    settled = [name for name in situation.claims if name not in still_open]
    show("\n".join(["", *summary_lines(offers, ended, settled, len(still_open))]))
    return int(any(done.state == FAILED for done in ended.values()))
