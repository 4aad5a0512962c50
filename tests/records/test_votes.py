"""Votes are stored line by line and counted with Wilson's interval."""

import random
from dataclasses import replace

import pytest

from bench.records.votes import FILE, Vote, add_vote, preference, read_votes, shuffle

BASE, TUNED = "gpt2, the base", "support-gpt2-lora-cpu-s0"


def vote(preferred, shown=(BASE, TUNED)):
    return Vote("2026-01-01T00:00:00+00:00", "Where is it?", shown, ("here", "there"), preferred, 0.0, 64)


def test_votes_read_back_and_a_damaged_line_costs_itself_alone(tmp_path):
    add_vote(tmp_path, vote(TUNED))
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write("{half\n")
    add_vote(tmp_path, vote("", shown=(TUNED, BASE)))
    assert read_votes(tmp_path) == ([vote(TUNED), vote("", shown=(TUNED, BASE))], 1)


def test_no_file_is_no_votes(tmp_path):
    assert read_votes(tmp_path) == ([], 0)


def test_preference_is_a_share_with_its_interval_and_ties_left_out():
    votes = [vote(TUNED)] * 7 + [vote(BASE, (TUNED, BASE))] * 3 + [vote("")] * 2 + [vote("x", ("x", BASE))]
    assert preference(votes, TUNED, BASE, 0.0, 64).says == (
        f"{TUNED} was preferred to {BASE} in 7 of 10 votes (70%, 95 % interval 40% to 89%); 2 ties are left out"
    )
    assert preference([], TUNED, BASE, 0.0, 64).says == f"no vote yet between {TUNED} and {BASE}"


def test_votes_on_answers_of_other_settings_are_left_out():
    other = replace(vote(BASE), temperature=0.8), replace(vote(BASE), new_tokens=8)
    says = preference([vote(TUNED), *other], TUNED, BASE, 0.0, 64).says
    assert "in 1 of 1 votes" in says
    assert says.endswith("; 2 votes with another --temperature or --new-tokens are left out")


def test_the_order_is_drawn():
    chance = random.Random(0)
    assert {shuffle(chance) for _ in range(20)} == {(0, 1), (1, 0)}


def test_a_vote_between_equal_names_is_refused():
    with pytest.raises(ValueError, match="must be two different names"):
        vote(BASE, shown=(BASE, BASE))


def test_a_vote_for_what_was_not_shown_is_refused():
    with pytest.raises(ValueError, match="must be one of"):
        vote("something else")
