"""`pytest suites --baseline RUN` in a process of its own: a test for each case and kind of figure."""

import json
import shutil
from dataclasses import replace

import pytest
from compared_runs import POS, SUPPORT, committed, run_of
from run_files import append_record
from suite_sessions import start

from bench.records.record import FAILED, read_repeats
from bench.records.tested import read_tested

SUITE, SPEED = "suites/test_regression.py", "suites/test_speed.py"
SMOKE = committed()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A tiny run with its tests' outcomes."""
    runs = tmp_path_factory.mktemp("runs")
    done = start(runs, "suites/test_cost.py", "--tasks", "pos", "--models", "tiny_bert", "--methods", "lora",
                 "--devices", "cpu", "--max-steps", "2")  # fmt: skip
    assert done.code == 0, done.text
    return done


@pytest.fixture
def two_runs(tmp_path):
    """A run of two cases, and the same with a reload that went wrong and a case that is gone."""
    record = SMOKE[POS]
    worse = replace(record, evidence={**record.evidence, "reload_distance": 0.1})
    return run_of(tmp_path / "a", [record, SMOKE[SUPPORT]]), run_of(tmp_path / "b", [worse])


def test_a_replay_is_compared_case_by_case_and_kind_by_kind(two_runs, tmp_path):
    before, after = two_runs
    page = tmp_path / "page.md"
    words = (SUITE, "--baseline", before, "--replay", after, "-rA")
    done = start(tmp_path / "runs", *words, GITHUB_STEP_SUMMARY=str(page))
    assert done.code == 1
    assert page.read_text(encoding="utf-8").startswith("## 1 of 1 case failed, 1 other test failed\n")
    assert "2 failed, 6 passed" in done.text
    assert f"FAILED {SUITE}::test_no_worse_than_baseline[{POS}-evidence]" in done.text
    assert "suspect: saving the adapter and reading it back" in done.text
    assert f"FAILED {SUITE}::test_no_case_of_the_baseline_is_missing" in done.text
    assert f"the baseline has {SUPPORT}, which this session was to run and did not" in done.text


def test_a_case_that_cannot_be_compared_is_red_in_every_kind_and_a_new_one_skipped(tmp_path):
    """Another commit with the same measuring code is compared; another recipe is not."""
    hashed = [
        replace(SMOKE[POS], environment={**SMOKE[POS].environment, "code": "sha256:1", "commit": commit})
        for commit in ("1" * 40, "2" * 40)
    ]
    other = replace(SMOKE[SUPPORT], recipe_digest="other")
    new = replace(SMOKE[POS], case=POS.replace("-s0", "-s1"))
    before = run_of(tmp_path / "a", [hashed[0], SMOKE[SUPPORT]])
    after = run_of(tmp_path / "b", [hashed[1], other, new])
    done = start(tmp_path / "runs", SUITE, "--baseline", before, "--replay", after, "-rA")
    assert done.code == 1
    assert "7 failed, 8 passed, 7 skipped" in done.text
    assert done.text.count(f"FAILED {SUITE}::test_no_worse_than_baseline[{SUPPORT}-") == 7
    assert "nothing of the case was compared" in done.text
    assert "recipe differs" in done.text


def test_narrowing_the_selection_narrows_what_can_be_missing(two_runs, tmp_path):
    before, _ = two_runs
    done = start(tmp_path / "runs", SUITE, "--baseline", before, "--replay", before, "--tasks", "pos", "-q")
    assert done.code == 0, done.text
    assert "8 passed" in done.text


def test_a_case_that_needs_m_slow_is_not_missing_without_it(tmp_path):
    slow = replace(SMOKE[SUPPORT], case="support-smollm2_135m-dora-cpu-s0")
    before = run_of(tmp_path / "a", [SMOKE[SUPPORT], slow])
    words = ("-p", "stored_benchmarks", SUITE, "--tasks", "support", "--devices", "cpu", "--baseline", before)
    done = start(tmp_path / "runs", *words)
    assert done.code == 0, done.text
    assert "-m slow selects them" in done.text


def test_a_failed_run_is_no_baseline(two_runs, tmp_path):
    before, after = two_runs
    append_record(before / "records.jsonl", replace(SMOKE[SUPPORT], status=FAILED))
    done = start(tmp_path / "runs", SUITE, "--baseline", before, "--replay", after)
    assert done.code == 4
    assert f"--baseline a: {SUPPORT} did not end well there, and a failed run is no baseline" in done.text


def test_without_a_baseline_nothing_is_collected(two_runs, tmp_path):
    _, after = two_runs
    done = start(tmp_path / "runs", "suites", "--replay", after, "--collect-only", "-q")
    assert "test_regression" not in done.text


def processes_of(folder, factor, began, steps=10, **environment):
    """A stored run of two timed cases in several processes, which began at these seconds."""
    records = [
        replace(
            SMOKE[case], repeat=number, environment={**SMOKE[case].environment, **environment},
            noisy={"began": float(at), "step_cpu_seconds": [factor * (1 + number / 100)] * steps},
        )
        for case in (POS, SUPPORT) for number, at in enumerate(began)
    ]  # fmt: skip
    return run_of(folder, records)


FIRST, SECOND = (0, 3, 4, 7, 8), (1, 2, 5, 6, 9)  # when the processes of two runs that took turns began


@pytest.mark.parametrize(("after", "counts", "says"), [
    ({"factor": 1.0, "began": SECOND}, "2 passed", ""),
    ({"factor": 1.2, "began": SECOND}, "2 failed", "1.200 times as long (95 % interval 1.1"),
    ({"factor": 1.2, "began": (1,)}, "2 skipped", "1 process a side says nothing of the spread between processes"),
    ({"factor": 1.2, "began": SECOND, "processor": "another"}, "2 skipped", "machine differs"),
], ids=["the same", "slower", "one process", "another machine"])  # fmt: skip
def test_seconds_are_compared_by_the_gates_rules(after, counts, says, tmp_path):
    before = processes_of(tmp_path / "a", 1.0, FIRST)
    run = processes_of(tmp_path / "b", **after)
    done = start(tmp_path / "runs", SPEED, "-k", "slower", "--baseline", before, "--replay", run, "-rA", COLUMNS="500")
    assert f"{counts}, " in done.text, done.text
    assert says in done.text
    assert ("--resume RUN --repeat N` in each of them" in done.text) == ("skipped" in counts)


def test_without_a_baseline_no_seconds_are_compared(two_runs, tmp_path):
    _, after = two_runs
    done = start(tmp_path / "runs", SPEED, "--replay", after, "--collect-only", "-q")
    assert "test_training_step" in done.text
    assert "slower" not in done.text


def test_a_session_keeps_how_its_tests_ended(session):
    about = json.loads((session.folder / "tests.json").read_text(encoding="utf-8"))
    assert (about["finished"], about["exit_code"]) == (True, 0)
    outcomes = about["by_case"]["pos-tiny_bert-lora-cpu-s0"]
    assert outcomes["test_cost.py::test_trainable_parameters"] == "passed"
    assert "test_cost.py::test_forward_flops[forward]" in outcomes


def test_a_narrower_session_leaves_a_red_run_red(session, tmp_path):
    """A test of no case failed, and another case was never run."""
    copy = tmp_path / "again"
    shutil.copytree(session.folder, copy)
    about = json.loads((copy / "tests.json").read_text(encoding="utf-8"))
    about |= {"finished": False, "others": {"a": "failed"}}
    about["by_case"]["other"] = {"b": "not run"}
    (copy / "tests.json").write_text(json.dumps(about), encoding="utf-8")
    done = start(tmp_path / "runs", "suites/test_cost.py", "--resume", copy, "--tasks", "pos", "--models", "tiny_bert",
                 "--methods", "lora", "--devices", "cpu", "--max-steps", "2")  # fmt: skip
    assert done.code == 0, done.text
    assert (
        (copy / "summary.md")
        .read_text(encoding="utf-8")
        .startswith("## 1 of 2 cases passed, 1 not run, 1 other test failed; not all tests were run\n")
    )
    tested = read_tested(copy)
    assert (tested.finished, tested.others["a"]) == (False, "failed")


def test_a_record_has_what_a_comparison_needs(session):
    record = session.records()["pos-tiny_bert-lora-cpu-s0"]
    about = json.loads((session.folder / "run.json").read_text(encoding="utf-8"))
    assert record.environment["distributions"].startswith("sha256:")
    assert about["distributions"]["torch"].startswith(record.environment["libraries"]["torch"].split("+")[0])
    assert record.environment["capability"]
    assert len(record.noisy["step_seconds"]) == len(record.noisy["step_cpu_seconds"]) == 2
    assert record.noisy["cpu_seconds"] > 0
    assert record.noisy["began"] > 1.7e9
    assert [len(load) for load in record.noisy["load_averages"].values()] == [3, 3]
    rows = (session.folder / "predictions" / f"{record.case}.before.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == record.data["held_out_examples"]


def test_a_repeat_is_the_same_to_the_bit_and_is_kept_beside_the_first(session, tmp_path):
    copy = tmp_path / "again"
    shutil.copytree(session.folder, copy)
    done = start(tmp_path / "runs", SUITE, "--baseline", session.folder, "--resume", copy, "--repeat", "1",
                 "--tasks", "pos", "--models", "tiny_bert", "--methods", "lora", "--devices", "cpu",
                 "--max-steps", "2")  # fmt: skip
    assert done.code == 0, done.text
    first, again = read_repeats(copy / "records.jsonl")[0].values()
    assert (first.repeat, again.repeat) == (0, 1)
    assert first.losses == again.losses
    assert first.noisy["began"] < again.noisy["began"]


@pytest.mark.parametrize("words", [("--repeat", "1"), ("--repeat", "-1", "--resume", "smoke")])
def test_a_repeat_needs_a_first_process(words, tmp_path):
    done = start(tmp_path / "runs", SUITE, *words)
    assert done.code == 4
    assert "must be at least 1, beside --resume RUN with the first process" in done.text
