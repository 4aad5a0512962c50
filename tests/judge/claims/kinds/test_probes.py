"""What a model says to one question of a source: the tuned model's answer speaks, and it must or must not appear."""

import json
from dataclasses import replace

from claim_records import MEASURED, claim_of, evidence_of, tagged_record

from bench.core.case import parse_case
from bench.judge.claims.kinds import probes
from bench.recipes.of_case import recipe_for


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
    protocol = {"task": "alpaca", "model": "smollm2_135m", "method": "qlora", "data": "unstated", "recipe": "unstated",
                "device": "unstated", "seeds": "unstated"}  # fmt: skip
    by = {"case": "alpaca-smollm2_135m-qlora-cpu", "data": "sample", "asked": "9.11 or 9.9?"}
    table = {**MEASURED, "kind": "probe", "quantity": "answer", "unit": "text", "value": "9.11 is larger",
             "comparator": "contains", "protocol": protocol, "by": by, "stand_in_for": "llama31_8b"}  # fmt: skip
    wrong = evidence_of(answering(["9.11 is larger than 9.9."], tmp_path))
    right = evidence_of(answering(["9.9 is larger."], tmp_path))
    mixed = evidence_of(answering(["9.9 is larger.", "9.11 is larger"], tmp_path))
    assert [probes.judge(claim_of(table), seen).state for seen in (wrong, right, mixed)] == [
        "confirmed",
        "refuted",
        "inconclusive",
    ]
    assert probes.judge(claim_of(table, comparator="lacks"), right).state == "confirmed"
    assert "pytest suites/test_quality.py" in probes.judge(claim_of(table), evidence_of()).says
    unasked = probes.judge(claim_of(table, by={**by, "asked": "fibonacci"}), right)
    assert unasked.state == "not_run"
    assert "no record answers 'fibonacci'" in unasked.says
