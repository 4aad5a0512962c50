"""What an entry settles: open claims whose cases it runs as they ask, and cases without a record."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.campaign.entries import Entry
from bench.campaign.worth import is_measured, open_claims, settles, worth_of
from bench.judge.claims.book import read_claims
from bench.records.record import Record
from bench.records.stored import Stored

GPT2 = Entry("gpt2", "a test's", ("support_1x8",), ("gpt2",), ("lora",))
(CASE,) = GPT2.cases
H200 = "NVIDIA H200"
CLAIMS = read_claims()
OPEN = open_claims(CLAIMS, [])
BERT = Entry("bert", "a test's", ("pos",), ("bert_base",), ("full", "lora"), (0, 1, 2))


def stored(entry=GPT2, **changes):
    recipe = entry.recipe(CASE)
    given = {"status": "ok", "recipe_digest": recipe.digest(), "environment": {}}
    return Stored("run", Path("run"), Record(CASE.id, **{**given, **changes}))


def test_claims_about_a_card_are_open_without_records():
    assert OPEN
    assert all(claim.by["case"].endswith("-cuda") for claim in OPEN.values())


def test_a_record_of_todays_recipe_measures_a_case():
    assert is_measured(GPT2, CASE, [stored()])
    assert not is_measured(GPT2, CASE, [stored(recipe_digest="other")])
    assert not is_measured(GPT2, CASE, [stored(status="failed")])
    assert not is_measured(GPT2, CASE, [stored(environment={"emulation": "t4"})])
    assert not is_measured(replace(GPT2, loss_by="liger"), CASE, [stored()])


def test_an_entry_that_is_to_run_out_of_memory_is_measured_by_a_record_that_did():
    entry = replace(GPT2, out_of_memory=True)
    assert is_measured(entry, CASE, [stored(status="out_of_memory")])
    assert not is_measured(entry, CASE, [stored()])


def test_what_an_entry_states_counts_until_its_cases_are_measured():
    entry = replace(GPT2, worth=3)
    assert worth_of(entry, {}, [], H200, None).total == 1 + 3
    assert worth_of(entry, {}, [stored()], H200, None).total == 0


@pytest.mark.parametrize(("figure", "settled"), [("seconds_per_step", True), ("f1", False)])
def test_a_claim_about_quality_needs_weights_and_one_about_seconds_does_not(figure, settled, tmp_path, monkeypatch):
    claim = next(
        one for one in OPEN.values() if one.by["case"] == "pos-bert_base-lora-cuda" and one.by.get("seeds") == 3
    )
    asked = replace(claim, by={**claim.by, "figure": figure})
    assert settles(BERT, asked, H200, tmp_path) is settled
    monkeypatch.setattr("bench.campaign.worth.has_weights", lambda entry, mirror: True)
    assert settles(BERT, asked, H200, tmp_path)


@pytest.mark.parametrize("changes", [{"max_steps": 30}, {"seeds": (0,)}, {"data": "sample"}, {"emulate": "t4"}])
def test_an_entry_that_runs_otherwise_settles_nothing(changes, monkeypatch):
    monkeypatch.setattr("bench.campaign.worth.has_weights", lambda entry, mirror: True)
    claim = next(
        one for one in OPEN.values() if one.by["case"] == "pos-bert_base-lora-cuda" and one.by.get("seeds") == 3
    )
    assert settles(BERT, claim, H200, None)
    assert not settles(replace(BERT, **changes), claim, H200, None)


def test_seconds_of_another_device_are_not_settled():
    claim = next(one for one in CLAIMS.values() if one.by.get("on") == "3080")
    case = claim.by["case"].split("-")
    entry = Entry("one", "a test's", (case[0],), (case[1],), (case[2],), tuple(range(claim.by.get("seeds", 1))))
    assert not settles(entry, claim, H200, None)
    assert settles(entry, claim, "NVIDIA GeForce RTX 3080", None)
