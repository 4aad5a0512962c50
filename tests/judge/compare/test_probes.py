"""Probes of two runs compared item by item: McNemar's exact test, Holm over families, rewording told."""

import json
from dataclasses import replace

import pytest
from compared_runs import POS, committed, run_of

from bench.judge.compare.finding import BETTER, CHANGED, INCONCLUSIVE, MISSING, WORSE
from bench.judge.compare.probes import compare_losses, compare_probes, mcnemar
from bench.records.stored import Stored

RECORD = replace(committed()[POS], predictions="")


def stored(folder, answers):
    """A run whose probes have these answers: family -> outcomes after training, in the order of its items."""
    run_of(folder, [RECORD])
    rows = [
        {"key": f"{family}/{number}", "family": family, "after": outcome, "said_after": f"{outcome} {number}"}
        for family, outcomes in answers.items()
        for number, outcome in enumerate(outcomes)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "predictions" / f"{POS}.probes.jsonl").write_text(text, encoding="utf-8")
    return Stored(folder.name, folder, RECORD)


def found(tmp_path, before, after):
    return list(compare_probes(stored(tmp_path / "a", before), stored(tmp_path / "b", after)))


@pytest.mark.parametrize(("cured", "broken", "p"), [(0, 0, 1.0), (0, 6, 2 / 64), (3, 3, 1.0), (1, 9, 22 / 1024)])
def test_mcnemars_p_is_exact(cured, broken, p):
    assert mcnemar(cured, broken) == pytest.approx(p)
    assert mcnemar(broken, cured) == pytest.approx(p)


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (["right"] * 8, ["wrong"] * 6 + ["right"] * 2, WORSE),
        (["wrong"] * 8, ["right"] * 6 + ["wrong"] * 2, BETTER),
        (["right"] * 8, ["wrong"] * 2 + ["right"] * 6, CHANGED),
        (["wrong"] * 8, ["garbled"] * 8, CHANGED),
    ],
)
def test_items_that_change_decide(before, after, state, tmp_path):
    (one,) = found(tmp_path, {"facts": before}, {"facts": after})
    assert (one.figure, one.state) == ("facts", state)


def test_the_sentence_counts_items(tmp_path):
    (one,) = found(tmp_path, {"facts": ["right"] * 8}, {"facts": ["wrong"] * 6 + ["right"] * 2})
    assert one.says == "0 cured, 6 broken and 0 reworded of 8 items, p = 0.031"


def test_two_families_share_the_level(tmp_path):
    """6 of 6 are p = 0.031: significant of one family, and not of two."""
    before, after = ["right"] * 8, ["wrong"] * 6 + ["right"] * 2
    both = found(tmp_path, {"facts": before, "decimals": before}, {"facts": after, "decimals": after})
    assert {one.state for one in both} == {CHANGED}


def test_equal_answers_are_no_finding_and_a_family_that_is_gone_is_missing(tmp_path):
    found_ones = found(tmp_path, {"facts": ["right"], "decimals": ["wrong"]}, {"facts": ["right"]})
    assert [(one.figure, one.state) for one in found_ones] == [("decimals", MISSING)]


def test_items_that_the_second_run_did_not_answer_are_missing(tmp_path):
    (one,) = found(tmp_path, {"facts": ["right"] * 8}, {"facts": ["right"] * 5})
    assert (one.figure, one.state, one.says) == ("facts", MISSING, "3 of 8 items were not answered")


def forgetting(after, losses=RECORD.losses):
    row = {"family": "forgetting", "group": "all", "language": "all", "items": 4, "before": 4.0, "after": after}
    return replace(RECORD, tables={"probe_losses": [row]}, losses=losses)


@pytest.mark.parametrize(
    ("after", "parted", "state"),
    [
        (4.004, False, CHANGED), (4.02, False, WORSE), (3.9, False, BETTER),
        (4.02, True, CHANGED), (4.2, True, INCONCLUSIVE),
    ],
)  # fmt: skip
def test_losses_of_texts_are_compared_in_margins(after, parted, state):
    """The margin is 1 % of the loss, of which a quarter counts where training was the same."""
    losses = [loss + 1 for loss in RECORD.losses] if parted else RECORD.losses
    (one,) = compare_losses(forgetting(4.0), forgetting(after, losses))
    assert (one.figure, one.state) == ("forgetting", state)


def test_equal_losses_of_texts_are_no_finding_and_those_that_are_gone_are_missing():
    assert list(compare_losses(forgetting(4.0), forgetting(4.0))) == []
    (one,) = compare_losses(forgetting(4.0), RECORD)
    assert (one.figure, one.state) == ("forgetting", MISSING)
