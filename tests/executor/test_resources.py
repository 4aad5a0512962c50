"""Which cards a job gets, and what is said where none can hold it."""

from dataclasses import replace

import pytest

from bench.executor.local.memory_limit import free_bytes
from bench.executor.resources import Needs, cards_environment, choose_cards, environment_of, why_no_cards
from bench.machine import devices
from bench.machine.devices import Card

GB = 10**9
SMALL = Card("Tesla T4", 15 * GB, 14 * GB, "580", "GPU-small")
BIG = Card("NVIDIA A100 80GB", 80 * GB, 79 * GB, "580", "GPU-big")
TWIN = replace(BIG, uuid="GPU-twin")


def busy(card):
    return replace(card, processes=2, free_bytes=card.free_bytes - 5 * GB)


def needs(gigabytes=0, cards=1):
    return Needs(cards=cards, card_memory_bytes=gigabytes * GB)


@pytest.mark.parametrize(
    ("asked", "cards", "used", "uuids"),
    [
        (needs(10), (BIG, SMALL), (), ["GPU-small"]),  # the big one is left for those that need it
        (needs(20), (SMALL, BIG), (), ["GPU-big"]),
        (needs(10), (BIG, SMALL), ("GPU-small",), ["GPU-big"]),
        (needs(20), (SMALL, BIG), ("GPU-big",), None),
        (needs(10), (busy(SMALL), BIG), (), ["GPU-big"]),
        (needs(5), (busy(SMALL),), (), ["GPU-small"]),  # nobody is alone anywhere
        (needs(20), (SMALL, busy(BIG)), (), ["GPU-big"]),  # no idle card could hold it
        (needs(10), (SMALL, busy(BIG)), ("GPU-small",), None),  # the idle card can hold it later
        (needs(5), (busy(SMALL), BIG), ("GPU-big",), None),  # its own job ends, the others' may not
        (needs(20, cards=2), (SMALL, BIG, TWIN), (), ["GPU-big", "GPU-twin"]),
        (needs(20, cards=2), (SMALL, BIG), (), None),
        (Needs(), (), (), []),
        (needs(), (), (), None),
        (needs(), (SMALL, BIG), (), ["GPU-big"]),  # its need is not known
    ],
)
def test_job_gets_the_smallest_idle_card_that_holds_it(asked, cards, used, uuids):
    chosen = choose_cards(asked, cards, used, workers=2)
    assert (chosen if chosen is None else [card.uuid for card in chosen]) == uuids


@pytest.mark.parametrize(("gigabytes", "uuid"), [(0, "GPU-small"), (10, "GPU-small"), (20, "GPU-big")])
def test_only_worker_gets_the_first_visible_card_that_holds_its_job(gigabytes, uuid):
    (chosen,) = choose_cards(needs(gigabytes), (SMALL, BIG, TWIN), (), workers=1)
    assert chosen.uuid == uuid
    assert choose_cards(needs(10), (BIG, SMALL), (), workers=1) == (BIG,)


def test_cards_that_cannot_be_named_count_as_one():
    parts = (replace(SMALL, uuid=""), replace(SMALL, uuid=""))
    assert len(choose_cards(needs(), parts, ())) == 1
    assert choose_cards(needs(), parts, ("",)) is None
    assert choose_cards(needs(cards=2), parts, ()) is None
    assert cards_environment(parts) == {}


@pytest.mark.parametrize(
    ("asked", "cards", "used", "says"),
    [
        (needs(20), (SMALL, BIG), ("GPU-big",), ""),
        (needs(90), (SMALL, BIG), ("GPU-big",), "needs a CUDA device with 90.0 GB free; this machine has Tesla T4 with 14.0 GB free, NVIDIA A100 80GB with 79.0 GB free"),
        (needs(), (), (), "needs a CUDA device; this machine has none"),
        (needs(10), (busy(SMALL),), (), "needs a CUDA device with 10.0 GB free; this machine has Tesla T4 with 9.0 GB free and 2 processes of others"),
        (needs(5, cards=2), (SMALL,), (), "needs 2 CUDA devices with 5.0 GB free; this machine has Tesla T4 with 14.0 GB free"),
        (needs(5, cards=2), (SMALL, BIG), ("GPU-big",), ""),
        (Needs(), (), (), ""),
    ],
)  # fmt: skip
def test_job_that_no_card_can_hold_is_told_why(asked, cards, used, says):
    assert why_no_cards(asked, cards, used) == says


def test_cards_are_named_to_the_process_and_to_the_record():
    assert cards_environment((BIG, TWIN)) == {"CUDA_VISIBLE_DEVICES": "GPU-big,GPU-twin"}
    assert environment_of((SMALL,)) == {"accelerator": "Tesla T4", "driver": "580"}
    assert environment_of(()) == {}


@pytest.mark.parametrize(("now", "free"), [((busy(BIG),), 74 * GB), ((), 79 * GB)])
def test_the_free_memory_of_a_card_is_what_is_free_now(now, free, monkeypatch):
    monkeypatch.setattr(devices, "find_cards", lambda: ((BIG,), ""))
    monkeypatch.setattr(devices, "look_for_cards", lambda: (now, ""))
    assert free_bytes("cuda") == free
