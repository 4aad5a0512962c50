"""Readings of the sources that are easy to get wrong: the state, and the words that a reader needs to see why.

The verdicts are arithmetic, so no model and no record is needed. What has a claim at all is listed here too.
"""

from fnmatch import fnmatch

import pytest

from bench.judge.claims.book import read_claims
from bench.judge.claims.grounds import Evidence
from bench.judge.claims.kinds import arithmetic
from bench.judge.verdict import NOT_RUN

CLAIMS = read_claims()
FIVE = ("000", "001", "002", "003", "004")
OWN = "bar"
LEAST_OF_PAPERS = 60
READINGS = [
    ("s000-trainable-billions", "implausible", "45.608 juta"),  # one statement: the point marks thousands
    ("s000-sample-rate", "possible", "effective batch, printed nowhere, inferred"),
    ("s000-epoch-share", "possible", "rows of MedQuAD, which the source does not name, inferred"),
    ("s000-articles", "possible", "60,500 articles were collected"),  # and not trained on
    ("s000-memory-without-lora", "implausible", "2 for weight and gradient"),
    ("s001-bert-lora-near-full-epoch1", "inconsistent", "accuracy with LoRA"),
    ("s001-bert-lora-near-full-epoch2", "confirmed", "accuracy with LoRA"),
    ("s001-roberta-lora-near-full-epoch2", "confirmed", "accuracy with LoRA"),
    ("s001-bert-lora-validation-steady", "confirmed", "by this project's margin of 0.002 nats"),
    ("s002-total", "refuted", "124.44 M parameters"),  # GPT-2 alone, without the adapter
    ("s002-3080-over-cpu32", "inconsistent", "(1,170 s + 638 s + 374 s + 312 s) / 4"),  # not the wrong average
    ("s002-3080-over-1080ti", "inconsistent", "(1,170 s + 638 s + 374 s + 312 s) / 4"),
    ("s002-gpu-five-to-ten", "inconsistent", "read at equal settings"),
    ("s002-gpu-five-to-ten-at-unequal-settings", "confirmed", "1,857 s / 312 s = 5.95192×"),
    ("s002-cpu32-over-cpu8-at-4", "inconsistent", "at batch 4"),
    ("s003-epoch-hours", "confirmed", "after 30 of 6,470 steps"),
    ("s003-t4-bytes", "inconsistent", "Fig. 3, which prints it as GB"),
]
TOPICS = {  # what the sources say beside their tables -> claims
    "000: FLOP": "s000-flops",
    "000: hardware's bottleneck": "s000-hardware-three-times",
    "000: compression": "s000-compression-quarter",
    "000: encoder": "s000-lora-in-encoder",
    "001: training loss": "s001-roberta-lora-training-steady",
    "001: label counts": "s001-label-*",
    "001: precision and recall": "s001-table?-epoch?-f1",  # of which F1 is computed
    "001: accuracy by epoch": "s001-*-near-full-epoch?",
    "002: fastest": "s002-*-fastest-row",
    "002: slowest": "s002-*-slowest-row",
    "002: 3080 over 32 cores": "s002-3080-over-cpu32-large-batch",
    "002: gaps": "s002-gaps-grow",
    "002: 3070": "s002-3070-between",
    "002: updates": "s002-fewer-updates",
    "003: Table I": "s003-table1-*",
    "003: memory for training": "s003-500-*training*",
    "003: 500 steps and 60": "s003-500-reserves-less",
    "003: fibonacci": "s003-*fibonacci*",
    "003: rate": "s003-epoch-rate-so-far",
    "004: review": "s004-*",
    "DoRA: shares": "dora-table1-*",
    "QLoRA: bits saved": "qlora-double-*",
    "VeRA: parameters": "vera-table1-*",
    "LoRA": "lora-*",
    "AdaLoRA": "adalora-*",
    "PiSSA": "pissa-*",
    "rsLoRA": "rslora-*",
    "IA3": "ia3-*",
    "prefix tuning": "prefix-*",
    "prompt tuning": "prompt-*",
    "torchtune": "torchtune-*",
    "PEFT": "peft*",
}


@pytest.mark.parametrize(("name", "state", "words"), READINGS, ids=[name for name, *_ in READINGS])
def test_reading_of_a_source(name, state, words):
    claim = CLAIMS[name]
    verdict = arithmetic.judge(claim, Evidence(CLAIMS))
    assert (verdict.state, claim.expected) == (state, state), verdict.says
    assert words in f"{claim.says} {verdict.says}", verdict.says


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_has_a_claim(topic):
    assert [name for name in CLAIMS if fnmatch(name, TOPICS[topic])] != []


def test_source_000_has_one_claim_for_one_contradiction():
    """ "45,6 miliar" and "45.608 juta" are one figure, and no unit is printed beside that of Table V."""
    assert [name for name in CLAIMS if name.startswith("s000-trainable")] == ["s000-trainable-billions"]


def test_papers_that_people_ask_about_have_claims_that_are_judged():
    papers = [claim for claim in CLAIMS.values() if claim.source not in (*FIVE, OWN)]
    assert len({claim.source for claim in papers}) >= 10
    assert sum(claim.expected != NOT_RUN for claim in papers) >= LEAST_OF_PAPERS
