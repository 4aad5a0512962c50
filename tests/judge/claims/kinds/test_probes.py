"""What a model says to one question of a source: the tuned model's answer speaks, and it must or must not appear."""

import json
from dataclasses import replace

import pytest
from claim_records import MEASURED, claim_of, evidence_of, tagged_record

from bench.core.case import parse_case
from bench.core.files import BadFile
from bench.judge.claims.kinds import probes
from bench.recipes.of_case import recipe_for
from bench.sources.data import load_rows
from bench.tasks import TASKS

PROTOCOL = {"task": "alpaca", "model": "smollm2_135m", "method": "qlora", "data": "unstated", "recipe": "unstated",
            "device": "unstated", "seeds": "unstated"}  # fmt: skip
BY = {"case": "alpaca-smollm2_135m-qlora-cpu", "data": "sample", "asked": "9.11 or 9.9?"}
TABLE = {**MEASURED, "kind": "probe", "quantity": "answer", "unit": "text", "value": "9.11 is larger",
         "comparator": "contains", "protocol": PROTOCOL, "by": BY, "stand_in_for": "llama31_8b"}  # fmt: skip


def answering(said, folder):
    case = "alpaca-smollm2_135m-qlora-cpu-s0"
    record = tagged_record(case, 0, folder, sentences=1)
    rows = [{"prompt": "Which one is larger?\n9.11 or 9.9?", "actual": "9.9", "generated": answer} for answer in said]
    digest = recipe_for(parse_case(case), "sample").digest()
    return replace(record, record=replace(record.record, tables={"generated": rows}, recipe_digest=digest))


def test_answer_to_a_probe_is_that_of_the_tuned_model(tmp_path):
    """The untrained model's answer, the wrong one here, does not speak."""
    stored = answering([], tmp_path)
    rows = [
        {"key": "source003/en-larger", "said_before": "9.9 is larger", "said_after": "9.11 is larger"},
        {"key": "source003/en-fibonacci", "said_before": "", "said_after": "9.9"},
    ]
    path = tmp_path / "predictions" / f"{stored.record.case}.probes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert list(probes.answers(stored, "9.11 or 9.9?", "source003/en-larger")) == ["9.11 is larger"]
    assert list(probes.answers(stored, "9.11 or 9.9?")) == []


def test_answer_must_or_must_not_appear(tmp_path):
    wrong = evidence_of(answering(["9.11 is larger than 9.9."], tmp_path))
    right = evidence_of(answering(["9.9 is larger."], tmp_path))
    mixed = evidence_of(answering(["9.9 is larger.", "9.11 is larger"], tmp_path))
    assert [probes.judge(claim_of(TABLE), seen).state for seen in (wrong, right, mixed)] == [
        "confirmed",
        "refuted",
        "inconclusive",
    ]
    assert probes.judge(claim_of(TABLE, comparator="lacks"), right).state == "confirmed"
    assert "pytest suites/test_quality.py" in probes.judge(claim_of(TABLE), evidence_of()).says
    unasked = probes.judge(claim_of(TABLE, by={**BY, "asked": "fibonacci"}), right)
    assert unasked.state == "not_run"
    assert "no record answers 'fibonacci'" in unasked.says


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"asked": "capital of France"},
            "paper.toml [x900-one]: by.asked: 'capital of France' is in no prompt of alpaca's sample; if it is a "
            "probe's, name the item as by.probe, such as facts/en-capital-france",
        ),
        (
            {"asked": "capital of France", "probe": "source003/en-larger"},
            "paper.toml [x900-one]: by.asked: 'capital of France' is no part of the prompt of source003/en-larger, ",
        ),
        ({"probe": "source003/larger"}, "paper.toml [x900-one]: by.probe: 'source003/larger' is unknown; did you mean"),
        ({"data": "fll"}, "paper.toml [x900-one]: by.data: 'fll' is unknown; did you mean full?"),
    ],
)
def test_words_that_no_prompt_has_are_refused(changes, says):
    claim = claim_of(TABLE, by={**BY, **changes})
    with pytest.raises(BadFile) as raised:
        probes.check(claim, {})
    assert str(raised.value).startswith(says)


def test_words_of_the_probe_or_of_the_sample_are_taken():
    probes.check(claim_of(TABLE, by={**BY, "probe": "source003/en-larger"}), {})
    first = next(row for rows in load_rows(TASKS["alpaca"].data, "sample", None).splits.values() for row in rows)
    probes.check(claim_of(TABLE, by={**BY, "asked": first["instruction"]}), {})


def test_claim_of_a_number_is_no_claim_about_an_answer():
    """Without a text every answer contains it, and the claim would be confirmed."""
    claim = claim_of(TABLE, quantity="loss", value=1.0, unit="nats", comparator="equal")
    with pytest.raises(BadFile, match="quantity: 'loss' must be 'answer' for a claim about an answer"):
        probes.check(claim, {})
