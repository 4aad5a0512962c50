"""Seconds and bytes before anything runs, beside those that an H200 took."""

import pytest

from bench.campaign.entries import read_entries
from bench.campaign.estimate import UnknownSpeed, case_seconds, cost_of, peak_flops, step_seconds
from bench.core.paths import COMMITTED
from bench.core.recipe import Recipe
from bench.machine.cards import CARDS, CardKind
from bench.records.record import read_records

AT_MOST = 2.5  # times: how far an estimate may be off
H200 = peak_flops(CARDS["h200"])
RECORDS = [record for record in read_records(COMMITTED / "h200" / "records.jsonl")[0].values() if record.ok]
ENTRIES = {entry.name: entry for entry in read_entries()}


@pytest.mark.parametrize("record", RECORDS, ids=[record.case for record in RECORDS])
def test_seconds_are_near_those_of_a_card(record):
    case, recipe = record.parsed_case(), Recipe(**record.recipe)
    estimate, took = case_seconds(case, recipe, 0, H200), record.noisy["case_seconds"]
    assert took / AT_MOST <= estimate <= took * AT_MOST


@pytest.mark.parametrize("record", RECORDS[:5], ids=[record.case for record in RECORDS[:5]])
def test_a_step_of_8b_is_near_that_of_a_card(record):
    estimate = step_seconds(record.parsed_case(), Recipe(**record.recipe), H200)
    assert record.noisy["seconds_per_step"] / 3 <= estimate <= record.noisy["seconds_per_step"] * AT_MOST


def test_a_slower_card_takes_longer():
    entry = ENTRIES["llama31_8b-alpaca"]
    assert cost_of(entry, peak_flops(CARDS["a100_80gb"])).seconds > cost_of(entry, H200).seconds


def test_bytes_are_those_of_full_rows_and_missing_without_a_closed_form():
    assert cost_of(ENTRIES["llama31_70b"], H200).peak_bytes > 36 * 2**30  # what its weights take
    assert cost_of(ENTRIES["llama31_8b-adalora"], H200).peak_bytes is None


@pytest.mark.parametrize("name", ["h200", "h100_80gb", "a100_40gb", "l4", "t4", "rtx4090"])
def test_speed_is_known_of_cards_in_the_table(name):
    assert peak_flops(CARDS[name]) > 1e13


def test_a_driver_names_the_card_otherwise():
    assert peak_flops(CardKind("this_card", "NVIDIA H200", 139.0)) == H200


def test_a_card_of_unknown_speed_is_one_sentence():
    with pytest.raises(UnknownSpeed, match=r"the FLOP/s of rtx3060_12gb are not known, .*; name one of .*h200"):
        peak_flops(CARDS["rtx3060_12gb"])
