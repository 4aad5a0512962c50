"""A campaign's plan and its summary, as lines for a terminal."""

from collections.abc import Mapping, Sequence

from bench.campaign.choice import Offer
from bench.campaign.packages import Package
from bench.campaign.session import Ended
from bench.machine.cards import GIB
from bench.report.tables import Table, text_lines

NAMES = 1  # columns on the left
HEADINGS = ("entry", "runs", "settles", "cases", "claims", "about s", "peak GiB", "per minute")
UNKNOWN = "–"


def offer_table(offers: Sequence[Offer], chosen: Sequence[Offer]) -> Table:
    """The chosen entries in the order of running, then the others, the best per minute first."""
    others = sorted((offer for offer in offers if offer not in chosen), key=lambda offer: -offer.worth_per_minute)
    numbered = [(str(number), offer) for number, offer in enumerate(chosen, 1)]
    return [HEADINGS, *(row_of(number, offer) for number, offer in [*numbered, *(("waits", one) for one in others)])]


def row_of(number: str, offer: Offer) -> list[str]:
    worth, peak = offer.worth, offer.cost.peak_bytes
    return [
        offer.entry.name,
        number,
        f"{worth.total:g}",
        str(len(worth.cases)),
        str(len(worth.claims)),
        f"{offer.cost.seconds:,.0f}",
        UNKNOWN if peak is None else f"{peak / GIB:.1f}",
        f"{offer.worth_per_minute:.1f}",
    ]


def left_out_lines(left_out: Mapping[str, str], lacking: Sequence[Package], elsewhere: bool) -> list[str]:
    """Why entries are left out, and what lacking packages cost. elsewhere: the campaign will run on another machine."""
    lines = [f"left out: {name}: {reason}" for name, reason in left_out.items()]
    where = "here, and perhaps not there" if elsewhere else "here"
    return lines + [f"{package.name} is not installed {where}: {package.costs}" for package in lacking]


def summary_lines(
    offers: Sequence[Offer], ended: Mapping[str, Ended], settled: Sequence[str], still_open: int
) -> list[str]:
    """What each entry came to, which claims have a verdict now, and what is left."""
    table = [("entry", "came to", "seconds", "about", "run")]
    costs = {offer.entry.name: offer.cost.seconds for offer in offers}
    for name, done in ended.items():
        run = done.run.name if done.run else UNKNOWN
        table.append((name, done.state, f"{done.seconds:.0f}", f"{costs[name]:.0f}", run))
    lines = text_lines(table, 2) if ended else ["nothing was run"]
    lines += [f"{name}: {done.says}" for name, done in ended.items() if done.says]
    if settled:
        lines.append(f"claims with a verdict now: {', '.join(settled)}")
    left = [name for name in costs if name not in ended]
    minutes = sum(costs[name] for name in left) / 60
    lines.append(
        f"left: {len(left)} entries of about {minutes:.0f} minutes, {still_open} open claims about runs on a card"
    )
    return lines
