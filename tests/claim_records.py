"""What tests of claims stand on: a claim's table, records of tagging with known spans, evidence of both."""

import json
from dataclasses import replace

from bench.core.case import parse_case
from bench.judge.claims.admission import sample_identity
from bench.judge.claims.claim import parse_claim
from bench.judge.claims.grounds import Evidence
from bench.recipes.of_case import recipe_for
from bench.records.example_counts import second_over_first, span_counts, span_f1, word_counts
from bench.records.record import Record
from bench.records.stored import Stored

PROTOCOL = {
    "task": "pos",
    "model": "minilm_l6",
    "method": "lora",
    "data": "unstated",
    "recipe": "unstated",
    "device": "unstated",
    "seeds": "unstated",
}
BOOK = {"source": "900", "title": "a paper", "protocols": {"own": PROTOCOL}}
TABLE = {
    "where": "Table 1, row 2",
    "says": "The average is 3",
    "kind": "arithmetic",
    "quantity": "duration",
    "value": 3,
    "unit": "s",
    "comparator": "equal",
    "protocol": "own",
    "tolerance": 0,
    "tolerance_reason": "exact",
    "by": {"calculation": "average", "of": [2, 4]},
    "expected": "confirmed",
    "evidence": "computed",
}
MEASURED = {
    **TABLE,
    "says": "F1 is at least 0.9",
    "kind": "threshold",
    "quantity": "f1",
    "value": 0.9,
    "unit": "fraction",
    "comparator": "at_least",
    "by": {"case": "pos-minilm_l6-lora-cpu", "figure": "seqeval_f1", "data": "sample", "seeds": 2},
    "stand_in_for": "bert_base",
}
TAGS = ["DT", "NN", "VB"]


def claim_of(table, claim_id="x900-one", **changes):
    """The claim of a table with some keys changed."""
    return parse_claim(claim_id, {**table, **changes}, BOOK, "paper.toml")


def tagged_record(case, wrong_every, folder, sentences=61, **changes):
    """A record whose predictions take a wrong tag in every so many sentences; 0: never."""
    parsed = parse_case(case)
    examples = []
    for number in range(sentences):
        gold = [number % 2, 1, 2, 0]
        predicted = list(gold)
        if wrong_every and (number + parsed.seed) % wrong_every == 0:
            predicted[2] = 0
        examples.append({"key": f"test-{number}", "gold": gold, "predicted": predicted, "loss": 1.0})
    path = folder / "predictions" / f"{case}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(example) + "\n" for example in examples), encoding="utf-8")
    record = Record(
        case=case,
        status="ok",
        recipe={"data": "sample", "epochs": 4},
        recipe_digest=recipe_for(parsed, "sample").digest(),
        quality_before={"f1": 0.0, "seqeval_f1": 0.0, "loss": 2.0},
        quality_judged=True,
        losses=[4.0, 3.0, 2.0, 1.0],
        noisy={"seconds_per_step": 1.0, "seconds_per_step_iqr": 0.1, "steps_timed": 50, "peak_bytes": 10},
        data={"identity": sample_identity(parsed.task), "held_out_examples": sentences},
        weights={"identity": "sha256:w", "origin": "package"},
        environment={"processor": "P", "cores": 2, "accelerator": None},
        tables={"confusion": {"labels": TAGS}},
        predictions=f"predictions/{case}.jsonl",
    )
    stored = Stored("run", folder, record)
    quality = {
        "f1": float(second_over_first(word_counts(stored).sum(axis=0))),
        "seqeval_f1": float(span_f1(span_counts(stored).sum(axis=0))),
        "loss": 1.0,
    }
    return Stored("run", folder, replace(record, **{"quality": quality, **changes}))


def evidence_of(*stored, claims=(), **more):
    return Evidence({claim.id: claim for claim in claims}, tuple(stored), **more)
