"""The registry that is committed: complete, judged without an error, and its page as the command prints it."""

import json
import math
import re
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from bench.__main__ import main
from bench.commands import claims as claims_command
from bench.core.paths import RESULTS, ROOT
from bench.judge.claims.book import read_claims
from bench.judge.claims.gathering import gather
from bench.judge.claims.verdicts import judge_all, questions_of
from bench.judge.verdict import ERROR, NOT_RUN, Verdict
from bench.records.stored_runs import committed_runs
from bench.report import claims as scorecard

CLAIMS = read_claims()
PAGE = RESULTS / "CLAIMS.md"
SECONDS = 20.0  # of a processor for all arithmetic and structural claims; wall time is another's on a busy machine


def children_seconds():
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@pytest.fixture(scope="module")
def evidence():
    found, complaints = gather(CLAIMS, committed_runs())
    assert complaints == []
    assert found.unanswered == ""
    return found


@pytest.fixture(scope="module")
def verdicts(evidence):
    return judge_all(CLAIMS.values(), evidence)


def test_registry_is_large_and_has_every_source():
    assert len(CLAIMS) >= 400
    assert {claim.source for claim in CLAIMS.values()} >= {"000", "001", "002", "003", "004", "LoRA", "bar"}


@pytest.mark.parametrize("row", ["f1", "reached", "accuracy", "validation-loss", "training-loss"])
def test_each_row_of_source_001_is_a_claim(row):
    assert sum(name.startswith("s001-label-") for name in CLAIMS) == 19
    names = [f"s001-table{table}-epoch{epoch}-{row}" for table in (3, 4, 5, 6) for epoch in (1, 2, 3)]
    assert [name for name in names if name not in CLAIMS] == []


def test_each_row_of_source_002_is_a_claim():
    devices = {"cpu8": 3, "cpu32": 3, "1080ti": 4, "3070": 4, "3080": 4}
    names = [f"s002-{name}-{size}" for name, rows in devices.items() for size in ("1x8", "2x4", "4x2", "8x1")[:rows]]
    assert [name for name in names if name not in CLAIMS] == []


def test_verdicts_are_those_that_the_project_stands_behind(verdicts):
    """One that is lost, or judged while nobody stands behind it, is as wrong as another outcome."""
    other = {name: verdict.state for name, verdict in verdicts.items() if verdict.state != CLAIMS[name].expected}
    assert other == {}


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("s001-bert-lora-trainable", "refuted", "331,824"),
        ("s001-bert-lora-share", "confirmed", "0.306993%"),
        ("s002-3080-average", "inconsistent", "623.5 s"),
        ("s002-gpu-five-to-ten", "inconsistent", "2.04741×"),
        ("s000-flops", "implausible", "338.282 TFLOP"),
        ("s000-sample-rate-evaluation", "inconsistent", "section III.D"),
        ("s000-articles", "possible", "cannot be below 5.19 samples/s × 2,467.72 s / 78% = 16,419.8 rows"),
        ("s000-memory-without-lora", "implausible", "26.9537 GB"),
        ("s000-trainable-billions", "implausible", "it cannot be above"),
        ("s002-3080-over-cpu32", "inconsistent", "1.17081×"),
        ("s002-total", "refuted", "124.44 M"),
        ("s003-table2-default-memory", "possible", "it cannot be above 11.812 GiB = 12.683 GB"),
        ("s003-used", "inconsistent", "8.57 GiB"),
        ("s003-trainable", "confirmed", "41,943,040"),
        ("s003-total", "confirmed", "8,072,204,288"),
        ("s003-qlora-quantises-adapter", "refuted", "floating point"),
        ("s004-qlora-rank-adapts", "refuted", "same rank"),
        ("lora-gpt2-medium-trainable", "refuted", "0.393216 M parameters"),
        ("lora-gpt2-large-trainable", "refuted", "0.73728 M parameters"),
    ],
)
def test_scorecard_shows(verdicts, name, state, says):
    assert verdicts[name].state == state
    assert says in verdicts[name].says


JUDGED_BY_RUNS = ("threshold", "equivalence", "direction", "trend", "probe")
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?!\w)")


def figures_of(text):
    return [found.replace(",", "") for found in NUMBER.findall(text)]


def is_rounded(figure, others):
    """Whether one of the others is this figure, where it is printed to fewer digits, or in hundredths or thousands."""
    digits = len(figure.partition(".")[2])
    scales = (1, 100, 1e-2, 1e3, 1e-3, 1e6, 1e-6)
    rounded = (round(abs(float(other)) * scale, digits) for other in others for scale in scales)
    return any(math.isclose(one, float(figure), rel_tol=1e-9) for one in rounded)


def test_evidence_has_no_figure_of_its_own(verdicts):
    """Its figures are the verdict's, rounded, or the claim's own: a text that is older than its records is seen."""
    alone = {}
    for name, claim in CLAIMS.items():
        if claim.kind not in JUDGED_BY_RUNS or verdicts[name].state == NOT_RUN:
            continue
        told = figures_of(
            f"{verdicts[name].says} {claim.by} {claim.protocol} {claim.says} {claim.shown_value()} {claim.id}"
        )
        figures = [one for one in figures_of(claim.evidence) if "." in one or len(one) > 2]
        if wrong := [one for one in figures if not is_rounded(one, told)]:
            alone[name] = wrong
    assert alone == {}


def test_every_sentence_names_its_place(verdicts):
    assert [name for name, verdict in verdicts.items() if CLAIMS[name].place not in verdict.says] == []


def test_stand_ins_are_labelled(verdicts):
    for name, claim in CLAIMS.items():
        assert verdicts[name].says.startswith("stand-in ") == bool(claim.stand_in_for)


def test_page_is_what_the_command_prints(verdicts):
    assert PAGE.read_text(encoding="utf-8") == scorecard.as_markdown(CLAIMS, verdicts)


def test_summary_counts_every_claim_once(verdicts):
    lines = scorecard.summary(CLAIMS, verdicts)
    assert sum(int(line[1]) for line in lines[1:-1]) == int(lines[-1][1]) == len(CLAIMS)
    states = Counter(verdict.state for verdict in verdicts.values())
    assert {cell for cell in lines[-1][2:] if cell} == {str(count) for count in states.values()}


def test_arithmetic_and_structure_take_less_than_twenty_seconds():
    """The process that judges imports no torch; one worker answers every question about models."""
    quick = {name: claim for name, claim in CLAIMS.items() if claim.kind in ("arithmetic", "structural")}
    assert len(questions_of(quick.values())) >= 25
    script = (
        "import sys, time; from bench.judge.claims.book import read_claims; from bench.judge.claims.gathering import gather; "
        "from bench.judge.claims.verdicts import judge_all; claims = read_claims(); "
        "own = {n: c for n, c in claims.items() if c.kind in ('arithmetic', 'structural')}; "
        "evidence = gather(claims, [])[0]; judge_all(own.values(), evidence); "
        "print(evidence.unanswered, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    before = children_seconds()
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"], done.stderr
    assert children_seconds() - before <= SECONDS


def test_command_filters_and_prints_json(capsys, monkeypatch, evidence):
    monkeypatch.setattr(claims_command, "gather", lambda claims, runs, entries: (evidence, []))
    assert main(["claims", "--source", "004", "--kind", "structural", "--verdict", "refuted", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {entry["source"] for entry in found} == {"004"}
    assert {entry["verdict"] for entry in found} == {"refuted"}
    assert "s004-qlora-rank-adapts" in [entry["id"] for entry in found]


def test_command_prints_the_page(capsys, monkeypatch, evidence):
    monkeypatch.setattr(claims_command, "gather", lambda claims, runs, entries: (evidence, []))
    assert main(["claims", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")


def test_an_error_of_the_project_is_no_success_and_has_its_own_column(capsys, monkeypatch, evidence, verdicts):
    name = "s001-bert-lora-trainable"
    answers = {
        key: {**answer, "trainable": 7} if isinstance(answer, dict) else answer
        for key, answer in evidence.answers.items()
    }
    broken = replace(evidence, answers=answers)
    monkeypatch.setattr(claims_command, "gather", lambda claims, runs, entries: (broken, []))
    assert main(["claims", "--claim", name]) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"bench: {name}: source 001, section 3, below Table 4 says 333,824 parameters")
    assert "an error of this project, which says nothing of the source" in told.err
    assert scorecard.summary(CLAIMS, {name: Verdict(name, ERROR, "")})[0][-1] == "error"
    assert scorecard.summary(CLAIMS, verdicts)[0][-1] == "not_run"


def test_command_judges_the_families_of_what_it_shows_alone(capsys, monkeypatch, evidence):
    asked = []
    monkeypatch.setattr(claims_command, "gather", lambda claims, runs, entries: asked.extend(claims) or (evidence, []))
    assert main(["claims", "--claim", "lora-gpt2-medium-trainable"]) == 0
    assert {CLAIMS[name].source for name in asked} == {"LoRA"}
    assert "0.393216 M parameters" in capsys.readouterr().out


def test_command_says_that_no_claim_is_left(capsys, monkeypatch, evidence):
    monkeypatch.setattr(claims_command, "gather", lambda claims, runs, entries: (evidence, []))
    assert main(["claims", "--source", "003", "--claim", "no such"]) == 2
    assert capsys.readouterr().err == "bench: no claim is left by these options\n"


def test_command_knows_its_sources_before_it_judges(capsys, monkeypatch):
    monkeypatch.setattr(claims_command, "gather", lambda *_: pytest.fail("judged"))
    assert main(["claims", "--source", "009"]) == 2
    assert capsys.readouterr().err.startswith("bench: no source named '009'; did you mean 00")


def test_command_says_what_is_wrong(capsys):
    assert main(["claims", "smoky"]) == 2
    assert capsys.readouterr().err.startswith("bench: smoky: no run with a records.jsonl there; did you mean smoke?")
