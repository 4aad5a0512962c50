"""What a campaign can run here, and one sentence for each entry that it cannot."""

import re
from dataclasses import replace

import pytest

from bench.campaign.entries import read_entries, rehearsal
from bench.campaign.offers import Situation, offers_of
from bench.campaign.packages import PACKAGES
from bench.machine.cards import CARDS, GIB

ENTRIES = {entry.name: entry for entry in read_entries()}
CARD = CARDS["h200"]
PLAN = Situation(CARD, CARD.says, CARD.total_bytes, None, True, [], {}, [])


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("llama31_70b", {"room": 40 * GIB}, "needs 5.* GiB, and H200, 141 GB has 40.0 free"),
        ("llama31_8b-olora", {"plan": False}, "needs the full data of alpaca_worst: --mirror DIR"),
        ("llama31_8b-as-rtx4090", {"room": 20 * GIB}, "rtx4090 has 23.64 GiB and H200, 141 GB 20.00; a card can stand"),
        ("llama31_8b-olora", {"lacking": PACKAGES[1:]}, ""),
        ("roberta_base", {"lacking": PACKAGES}, "needs seqeval"),
    ],
)
def test_an_entry_that_cannot_run_here_says_why(name, changes, says):
    offers, left_out = offers_of([ENTRIES[name]], replace(PLAN, **changes))
    assert len(offers) + len(left_out) == 1
    assert (name in left_out) is bool(says)
    if says:
        assert re.match(says, left_out[name])


def test_what_is_to_run_out_of_memory_is_tried_on_a_card_without_room():
    offers, _ = offers_of([ENTRIES["llama31_70b-as-t4"]], replace(PLAN, room=40 * GIB))
    assert [offer.entry.name for offer in offers] == ["llama31_70b-as-t4"]


def test_a_rehearsal_needs_no_card_and_leaves_out_tests():
    here = replace(PLAN, card=None, plan=False)
    offers, left_out = offers_of([rehearsal(entry) for entry in ENTRIES.values() if not entry.tests], here)
    assert (len(offers), left_out) == (len(ENTRIES) - 1, {})
    _, left_out = offers_of([ENTRIES["allocator"]], here)
    assert left_out == {"allocator": "its tests need a card and a checkout"}
