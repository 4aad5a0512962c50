"""Entries chosen by what they settle per minute, run with the most valuable first."""

import pytest

from bench.campaign.choice import Offer, TooShort, choose, next_offer
from bench.campaign.entries import Entry
from bench.campaign.estimate import Cost
from bench.campaign.worth import Worth


def offer(name, seconds, worth):
    return Offer(Entry(name, "a test's"), Cost(seconds, None), Worth((), (), worth))


QUICK, LONG, DEAR, WIDE = offer("quick", 30, 1), offer("long", 300, 2), offer("dear", 120, 6), offer("wide", 60, 2)


def test_the_best_per_minute_are_chosen_and_the_most_valuable_run_first():
    assert choose([QUICK, LONG, DEAR, WIDE], 210) == [DEAR, WIDE, QUICK]
    assert choose([QUICK, LONG, DEAR, WIDE], 100) == [WIDE, QUICK]


def test_a_campaign_shorter_than_its_shortest_entry_is_one_sentence():
    says = "0.4 minutes are shorter than the shortest entry: quick takes about 30 s; give --minutes 1 or more"
    with pytest.raises(TooShort, match=f"^{says}$"):
        choose([LONG, QUICK], 24)


def test_nothing_to_choose_from_is_no_mistake():
    assert choose([], 60) == []


def test_time_that_is_left_goes_to_others_that_fit():
    assert next_offer([QUICK, LONG, WIDE], [DEAR, WIDE], 200) == WIDE
    assert next_offer([QUICK, LONG], [DEAR, WIDE], 200) == QUICK
    assert next_offer([LONG], [DEAR], 200) is None
