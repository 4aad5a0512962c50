"""The suite: a test passes while the outcome stood behind holds, fails the day it does not, and skips what was not run."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from claim_records import PROTOCOL, TABLE, claim_of

from bench.core.files import BadFile
from bench.core.paths import ROOT
from bench.judge.claims.book import read_claims
from bench.judge.claims.claim import Protocol
from bench.judge.verdict import Verdict
from bench.plan.selection import Selection
from bench.plugin import claiming
from bench.plugin.hooks import OPTIONS
from bench.records import stored_runs


@pytest.fixture(scope="module")
def suite():
    spec = importlib.util.spec_from_file_location("suite_of_claims", ROOT / "suites" / "test_claims.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CLAIM = claim_of(TABLE, expected="refuted")


def test_passes_while_the_refutation_holds(suite):
    suite.test_claim(CLAIM, {CLAIM.id: Verdict(CLAIM.id, "refuted", "seen")}, replayed=False)


def test_fails_the_day_it_no_longer_holds(suite):
    with pytest.raises(AssertionError, match="confirmed, expected refuted: seen"):
        suite.test_claim(CLAIM, {CLAIM.id: Verdict(CLAIM.id, "confirmed", "seen")}, replayed=False)


@pytest.mark.parametrize(("expected", "replayed"), [("not_run", False), ("refuted", True)])
def test_not_run_skips_with_its_reason(suite, expected, replayed):
    claim = replace(CLAIM, expected=expected)
    with pytest.raises(pytest.skip.Exception, match="needs a card"):
        suite.test_claim(claim, {CLAIM.id: Verdict(CLAIM.id, "not_run", "needs a card")}, replayed=replayed)


def test_verdict_that_is_lost_fails(suite):
    """The project stands behind a refutation, and nothing that is committed speaks of it any more."""
    with pytest.raises(AssertionError, match="not_run, expected refuted: no record"):
        suite.test_claim(CLAIM, {CLAIM.id: Verdict(CLAIM.id, "not_run", "no record")}, replayed=False)


@pytest.mark.parametrize("expected", ["refuted", "not_run"])
@pytest.mark.parametrize("replayed", [False, True])
def test_error_of_the_project_fails_whatever_is_expected(suite, expected, replayed):
    claim = replace(CLAIM, expected=expected)
    with pytest.raises(AssertionError, match="formula and model differ"):
        suite.test_claim(claim, {CLAIM.id: Verdict(CLAIM.id, "error", "formula and model differ")}, replayed=replayed)


def test_run_with_too_few_seeds_fails_nothing_when_it_is_replayed(suite):
    verdicts = {CLAIM.id: Verdict(CLAIM.id, "inconclusive", "1 of 3 seeds are there")}
    with pytest.raises(pytest.skip.Exception, match="this run decides nothing: 1 of 3"):
        suite.test_claim(CLAIM, verdicts, replayed=True)
    with pytest.raises(AssertionError, match="inconclusive, expected refuted"):
        suite.test_claim(CLAIM, verdicts, replayed=False)


def test_outcome_that_nobody_stands_behind_yet_is_told(suite):
    open_claim = replace(CLAIM, expected="not_run")
    with pytest.raises(pytest.skip.Exception, match="confirmed, and paper.toml stands behind no outcome yet: seen"):
        suite.test_claim(open_claim, {CLAIM.id: Verdict(CLAIM.id, "confirmed", "seen")}, replayed=False)


def test_run_that_is_named_by_its_time_is_not_among_the_committed(monkeypatch, tmp_path):
    for name in ("smoke", "20261126-003552"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_text("", encoding="utf-8")
    monkeypatch.setattr(stored_runs, "COMMITTED", tmp_path)
    assert stored_runs.committed_runs() == [tmp_path / "smoke"]


def test_mistake_in_a_file_is_one_sentence(monkeypatch):
    def refuse():
        raise BadFile("paper.toml [x900-one]: unit: wrong")

    monkeypatch.setattr(claiming, "read_claims", refuse)
    config = SimpleNamespace(stash={OPTIONS: SimpleNamespace(selection=Selection())})
    with pytest.raises(pytest.UsageError, match=r"^paper.toml \[x900-one\]: unit: wrong$"):
        claiming.pytest_generate_tests(SimpleNamespace(fixturenames=["claim"], config=config))


COMPARED = {"case": "pos-minilm_l6-lora-cpu", "against": "pos-minilm_l6-full-cpu"}
ANY = {**PROTOCOL, "task": "none", "model": "none", "method": "unstated"}


@pytest.mark.parametrize(
    ("protocol", "by", "chosen", "speaks"),
    [
        (PROTOCOL, {}, {"tasks": ("pos",), "methods": ("lora",)}, True),
        (PROTOCOL, {}, {"methods": ("dora",)}, False),
        (PROTOCOL, {}, {"tasks": ("support",)}, False),
        (PROTOCOL, {}, {"models": ("smollm2_135m",)}, False),
        (PROTOCOL, {}, {"devices": ("cuda",), "seeds": (3,)}, True),  # these narrow no claims
        (PROTOCOL, COMPARED, {"methods": ("full",)}, True),  # the other side of a comparison
        (ANY, {}, {"methods": ("lora",)}, False),  # of no case at all
        (ANY, {}, {}, True),
        ({**ANY, "method": "qlora"}, {}, {"methods": ("qlora",)}, True),  # of a method on any model
        ({**ANY, "method": "qlora"}, {"method": "qlora", "as_method": "full"}, {"methods": ("full",)}, True),
        (
            {**ANY, "method": "lora"},
            {"config": "llama_7b"},
            {"models": ("minilm_l6",)},
            False,
        ),  # calculated for another
        ({**ANY, "task": "pos"}, {}, {"methods": ("lora",), "models": ("minilm_l6",)}, True),  # of its data
    ],
)
def test_claims_are_narrowed_to_those_about_selected_cases(protocol, by, chosen, speaks):
    claim = replace(CLAIM, protocol=Protocol(**protocol), by=by)
    sides = claiming.chosen_sides(Selection(**chosen))
    assert claiming.speaks_of(claiming.sides_of(claim), sides) is speaks


def test_two_cases_test_few_claims():
    words = ("suites", "--tasks", "pos", "--models", "minilm_l6", "--methods", "lora,dora", "--devices", "cpu")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = [line for line in done.stdout.splitlines() if "::test_claim[" in line]
    assert 0 < len(found) < len(read_claims()) / 4
    assert not [line for line in done.stdout.splitlines() if "llama" in line]


def test_suite_replays_a_stored_run():
    """By the records of one run alone; what they do not hold is skipped, nothing fails and nothing is trained."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "suites/test_claims.py",
        "--replay",
        "smoke",
        "-q",
        "-k",
        "s002",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout
    assert " skipped" in done.stdout
