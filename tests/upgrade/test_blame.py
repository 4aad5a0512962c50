"""Blame: what is bisected, what a trial decides, and the sentence about package and release."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from compared_runs import POS, SUPPORT, committed, run_of, side_of

from bench.core.paths import ROOT
from bench.judge.compare.finding import EVIDENCE, TESTS, WORSE, Finding
from bench.judge.compare.runs import compare_runs
from bench.records.tested import CaseTests
from bench.upgrade import blame as module
from bench.upgrade.bisection import BAD, GOOD, UNTESTABLE
from bench.upgrade.blame import Search, TooManyRuns, blame, choose_targets, not_bisected
from bench.upgrade.overlays import CannotInstall, Wanted
from bench.upgrade.trial import Environment, exit_code_file

SMOKE = committed()
TEST = "suites/test_libraries.py::test_models_own_loss_is_ours[tiny_bert-parts]"
TARGET = Finding(POS, EVIDENCE, WORSE, "reload_distance")
BROKEN = replace(SMOKE[POS], evidence={**SMOKE[POS].evidence, "reload_distance": 0.1})
OTHERWISE = replace(SMOKE[POS], evidence={**SMOKE[POS].evidence, "merge_distance": 0.1})


def compared(**after):
    """The smoke run compared with itself after these records are exchanged."""
    changed = {record.case: record for record in after.values()}
    return compare_runs(side_of(SMOKE.values()), side_of({**SMOKE, **changed}.values()))


def test_of_one_suspect_the_quickest_red_case_is_the_target():
    slow = replace(SMOKE[SUPPORT], evidence={**SMOKE[SUPPORT].evidence, "reload_distance": 0.1})
    comparison = compared(a=BROKEN, b=slow)
    seconds = {case: SMOKE[case].noisy["case_seconds"] for case in (POS, SUPPORT)}
    (target,) = choose_targets(comparison)
    quick, other = sorted(seconds, key=seconds.get)
    assert (target.case, target.figure) == (quick, "reload_distance")
    assert not_bisected(comparison, [target]) == [
        f"not bisected, because a finding with the same suspect was bisected: reload_distance of {other}"
    ]
    assert choose_targets(compared()) == []


def test_every_other_suspect_is_a_target_too():
    more = {name: round(value * 1.1) for name, value in SMOKE[SUPPORT].exact.items() if name == "step_allocated_bytes"}
    heavier = replace(SMOKE[SUPPORT], exact={**SMOKE[SUPPORT].exact, **more})
    comparison = compared(a=BROKEN, b=heavier)
    found = choose_targets(comparison)
    assert {(one.case, one.figure) for one in found} == {(POS, "reload_distance"), (SUPPORT, "step_allocated_bytes")}
    assert not_bisected(comparison, found) == []


def test_what_no_trial_decides_is_named_with_the_reason():
    gone = TEST.replace("parts", "whole")
    tested = [
        CaseTests(True, 0, {POS: {"test_cost.py::test_a": outcome}}, {gone: outcome, TEST: "skipped"})
        for outcome in ("passed", "failed")
    ]
    tested[1] = replace(tested[1], others={TEST: "skipped"})
    left = {case: record for case, record in SMOKE.items() if case != SUPPORT}
    before, after = side_of(SMOKE.values(), tested=tested[0]), side_of(left.values(), tested=tested[1])
    comparison = compare_runs(before, after)
    assert choose_targets(comparison) == []
    said = not_bisected(comparison, [])
    assert f"not bisected, because a trial of a case compares figures, not tests: tests of {POS}" in said
    assert f"not bisected, because the test was not run with the upgrade: {gone}" in said
    assert f"not bisected, because the case was not run with the upgrade: status of {SUPPORT}" in said


def test_of_a_test_without_a_case_one_set_of_arguments_is_the_target():
    others = {TEST: "passed", TEST.replace("parts", "whole"): "passed", "suites/test_libraries.py::test_b": "passed"}
    tested = [CaseTests(True, 0, {}, dict.fromkeys(others, outcome)) for outcome in ("passed", "failed")]
    comparison = compare_runs(*(side_of([SMOKE[POS]], tested=one) for one in tested))
    found = choose_targets(comparison)
    assert [one.case for one in found] == [TEST, "suites/test_libraries.py::test_b"]
    assert not_bisected(comparison, found) == [
        f"not bisected, because a finding with the same suspect was bisected: {TEST.replace('parts', 'whole')}"
    ]


@pytest.fixture
def search(monkeypatch, tmp_path):
    """A search whose trials store a record by the packages on the path: transformers 5.24 is broken."""
    monkeypatch.setattr(module, "install", lambda python, wanted: Path(f"{wanted.name}-{wanted.version}"))
    monkeypatch.setattr(module, "import_path", lambda python: [])
    monkeypatch.setattr(module, "unmet", lambda folders: set())
    monkeypatch.setattr(module, "version_of", lambda python, name: "5.20.0")
    monkeypatch.setattr(module, "releases_of", lambda python, name: [f"5.{minor}.0" for minor in range(18, 25)])
    monkeypatch.setattr(
        module, "resolve", lambda python, words, constraints=None: [Wanted(*word.split("=="), "x") for word in words]
    )

    def run_side(side, folder, selection, say, suites):
        broken = any(path.name.startswith("transformers-5.24") for path in side.overlays)
        odd = any(path.name.startswith("odd") for path in side.overlays)
        record = OTHERWISE if odd else BROKEN if broken else SMOKE[POS]
        return run_of(folder / side.name / "2026", [record])

    monkeypatch.setattr(module, "run_side", run_side)
    return Search(Path("python"), side_of([SMOKE[POS]]), TARGET, tmp_path, lambda text: None)


def upgraded(*more):
    return ["transformers==5.24.0", *(f"{name}==1" for name in more)]


def test_package_and_last_good_release_are_named(search):
    assert blame(search, upgraded("accelerate", "datasets", "peft")) == (
        f"reload_distance of {POS}: transformers 5.24.0; transformers 5.23.0 is the last good release"
    )
    assert search.spent <= 6


def test_a_downgrade_has_a_last_good_release_too(search, monkeypatch):
    monkeypatch.setattr(module, "version_of", lambda python, name: "5.25.0")
    monkeypatch.setattr(module, "releases_of", lambda python, name: [f"5.{minor}.0" for minor in range(18, 26)])
    said = blame(search, ["transformers==5.24.0"])
    assert said.endswith(": transformers 5.24.0; transformers 5.25.0 is the last good release")


def test_the_guilty_package_is_named_where_its_releases_cannot_be_listed(search, monkeypatch):
    def refuses(*_):
        raise CannotInstall("the releases of transformers cannot be listed: no route to host")

    monkeypatch.setattr(module, "releases_of", refuses)
    assert blame(search, upgraded("peft")) == (
        f"reload_distance of {POS}: transformers==5.24.0; its last good release is not known: "
        "the releases of transformers cannot be listed: no route to host"
    )


def test_a_trial_has_as_many_threads_as_the_run_before(search, monkeypatch):
    asked = []
    record = SMOKE[POS]
    monkeypatch.setattr(module, "run_side", lambda side, folder, selection, say, suites: asked.append(selection))
    for threads, workers in ((1, "2"), (2, "1")):
        environment = {**record.environment, "cores": 2, "threads": threads}
        search.before = side_of([replace(record, environment=environment)])
        search.run(Environment(f"{threads}", Path("python")))
        assert asked[-1][asked[-1].index("--workers") + 1] == workers


def test_an_interrupted_search_takes_its_trials_over(search):
    blame(search, upgraded())
    again = Search(search.python, search.before, search.target, search.folder, search.say)
    assert "5.23.0 is the last good" in blame(again, upgraded())
    assert again.spent == 0


def test_another_failure_is_untestable(search):
    assert search(["odd==1"]) == UNTESTABLE


def test_a_trial_of_another_version_of_lorabench_is_no_good_one(search):
    newer = replace(SMOKE[POS], environment={**SMOKE[POS].environment, "commit": "newer"})
    assert search.outcome(side_of([newer])) == UNTESTABLE


def test_what_pip_refuses_is_untestable_and_said(search, monkeypatch):
    said = []
    search.say = said.append

    def refuses(*_):
        raise CannotInstall("a==1 cannot be installed: no such version")

    monkeypatch.setattr(module, "resolve", refuses)
    assert search(["a==1"]) == UNTESTABLE
    assert said == ["a==1 cannot be installed: no such version", "a==1: untestable"]


def test_two_packages_that_are_bad_together_are_both_named(search, monkeypatch):
    monkeypatch.setattr(
        Search, "try_out", lambda self, words: BAD if {"b==1", "transformers==5.24.0"} <= set(words) else GOOD
    )
    assert blame(search, upgraded("a", "b", "c")).endswith("only together transformers==5.24.0 and b==1")


def test_packages_whose_parts_cannot_be_tested_are_not_said_to_be_bad_only_together(search, monkeypatch):
    monkeypatch.setattr(Search, "try_out", lambda self, words: UNTESTABLE)
    assert blame(search, ["a==1", "b==1"]) == (
        f"reload_distance of {POS}: a==1 and b==1 together; a part of them could not be tested"
    )


def test_releases_that_could_not_be_tested_are_counted(search, monkeypatch):
    tries = Search.try_out
    odd = {"transformers==5.22.0", "transformers==5.23.0"}
    monkeypatch.setattr(Search, "try_out", lambda self, words: UNTESTABLE if odd & set(words) else tries(self, words))
    assert blame(search, upgraded()).endswith(
        "transformers 5.24.0; transformers 5.21.0 is the last good release, and 2 between them could not be tested"
    )


def test_tests_that_a_trial_did_not_run_are_not_missing(search):
    """A trial runs the case, and of its tests no more than that takes."""
    tested = [CaseTests(by_case={POS: dict.fromkeys(names, "passed")}) for names in ("ab", "a")]
    search.before = side_of([SMOKE[POS]], tested=tested[0])
    assert search.outcome(side_of([SMOKE[POS]], tested=tested[1])) == GOOD


def test_a_test_without_a_case_is_bisected_by_itself(search, monkeypatch):
    ran = []

    def run_test(side, folder, test, say):
        ran.append(test)
        broken = any(path.name.startswith("transformers-5.24") for path in side.overlays)
        (folder / side.name).mkdir(parents=True)
        exit_code_file(side, folder, test).write_text(f"{int(broken)}\n", encoding="utf-8")
        return int(broken)

    monkeypatch.setattr(module, "run_test", run_test)
    monkeypatch.setattr(module, "run_side", lambda *_: pytest.fail("it needs no case"))
    search.target = Finding(TEST, TESTS, WORSE, "test", "passed before, now failed")
    said = f"{TEST}: transformers 5.24.0; transformers 5.23.0 is the last good release"
    assert blame(search, upgraded("peft")) == said
    assert (set(ran), search.spent) == ({TEST}, len(ran))
    again = replace(search, known={}, spent=0)
    assert (blame(again, upgraded("peft")), again.spent) == (said, 0)


@pytest.mark.parametrize(("code", "outcome"), [(0, GOOD), (1, BAD), (4, UNTESTABLE), (21, UNTESTABLE)])
def test_the_exit_code_of_a_test_decides(code, outcome, search, monkeypatch):
    monkeypatch.setattr(module, "run_test", lambda *_: code)
    assert search.outcome_of_test(Environment("a", Path("python"))) == outcome


def test_packages_that_do_not_suit_each_other_are_not_run(search, monkeypatch):
    found = iter([{"a needs b<2"}, set()])
    monkeypatch.setattr(module, "unmet", lambda folders: next(found))
    assert search(upgraded()) == UNTESTABLE
    assert search.spent == 0


def test_a_search_ends_after_its_trials_and_says_so(search):
    search.most = 1
    search(["a==1"])
    with pytest.raises(TooManyRuns):
        search(["b==1"])
    assert "1 trials did not decide; --bisect-runs allows more" in blame(search, upgraded())


BAD_TOGETHER = """
import sys
from importlib.util import find_spec

if "torch" in sys.modules and find_spec("gate_left") and find_spec("gate_right"):
    from bench.upgrade.planting import plant

    plant("alpha_off")
"""


def wheel(folder, name):
    """A wheel of version 1.0 that holds one empty module."""
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: lorabench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{about}/RECORD"))
    folder.mkdir(exist_ok=True)
    with ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        for path, text in files.items():
            file.writestr(path, text)


@pytest.mark.slow
def test_real_trials_find_two_packages_that_are_bad_only_together(tmp_path):
    """Minutes: pip resolves and installs each set of three packages, and every trial is a session of its own."""
    for name in ("gate_left", "gate_beside", "gate_right"):
        wheel(tmp_path / "wheels", name)
    entry = tmp_path / "bad_together.py"
    entry.write_text(BAD_TOGETHER, encoding="utf-8")
    places = {"LORABENCH_RUNS": tmp_path / "runs", "LORABENCH_CACHE": tmp_path / "cache", "LORABENCH_ENTRIES": entry,
              "PIP_FIND_LINKS": tmp_path / "wheels", "PIP_NO_INDEX": "1"}  # fmt: skip
    words = ["upgrade", "gate-left==1.0", "gate-beside==1.0", "gate-right==1.0", "--bisect", "--select",
             "--tasks pos --models tiny_bert --methods lora --devices cpu --max-steps 2"]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, env={**environment, **{k: str(v) for k, v in places.items()}},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    blamed = [line for line in done.stdout.splitlines() if line.startswith("to blame for ")]
    assert blamed, done.stdout + done.stderr
    for line in blamed:
        assert "pos-tiny_bert-lora-cpu-s0: only together gate-left==1.0 and gate-right==1.0 (" in line
    assert "test_libraries.py" not in done.stderr.partition("gate-left==1.0: ")[2], "a trial runs its case alone"
