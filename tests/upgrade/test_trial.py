"""Both sides of an upgrade: stages until something is worse, fresh seeds for suspects, resumed where they stopped."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from compared_runs import POS, SUPPORT, committed, run_of, seeds_of
from run_files import append_record

from bench.__main__ import INTERRUPTED, main
from bench.commands import upgrade
from bench.core.paths import SUITES
from bench.judge.compare import seeds
from bench.judge.compare.finding import exit_code
from bench.judge.compare.runs import compare_runs
from bench.judge.compare.sides import read_side
from bench.machine import environment
from bench.records.tested import CaseTests, earlier_tests, write_tested
from bench.upgrade import trial
from bench.upgrade.overlays import Wanted
from bench.upgrade.trial import (
    Environment,
    Stopped,
    folder_of,
    known_exit_code,
    read_measured,
    run_once,
    run_side,
    run_stage,
    run_test,
    selection_of,
    time_cases,
)

RECORD, SMALL = (committed()[case] for case in (POS, SUPPORT))
BEFORE, AFTER = Environment("before", Path(sys.executable)), Environment("after", Path(sys.executable), (Path("over"),))
SLOW_UPGRADE = """
import subprocess, sys
from bench.__main__ import main
from bench.commands import upgrade

SLEEP = "import time; print('started', flush=True); time.sleep(60)"
upgrade.resolve = lambda *words: subprocess.run([sys.executable, "-c", SLEEP])
sys.exit(main(["upgrade", "peft==0.21.2"]))
"""
TEST = "suites/test_libraries.py::test_a[tiny_bert]"
QUIET = (0.900, 0.901, 0.899)


def silent(text):
    pass


@pytest.fixture
def sessions(monkeypatch, tmp_path):
    """Sessions that store these records instead of running cases: side -> a list of runs, in turn."""
    planned, commands = {}, []
    run_others = subprocess.run

    def run(command, env=None, **rest):
        if "test" not in command:
            return run_others(command, env=env, **rest)
        runs = Path(env["LORABENCH_RUNS"])
        commands.append(command)
        code, records = planned[runs.name].pop(0)
        if records and "--resume" not in command:
            run_of(runs / f"2026-{len(commands)}", records)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(trial.subprocess, "run", run)
    return planned, commands


def test_a_side_runs_with_its_overlays_before_everything_else(tmp_path):
    variables = AFTER.variables(tmp_path)
    assert variables["PYTHONPATH"].split(":")[0] == "over"
    assert variables["LORABENCH_RUNS"] == str(tmp_path)
    assert replace(AFTER, entries="my_methods").variables(tmp_path)["LORABENCH_ENTRIES"] == "my_methods"


def test_every_suite_judges_an_upgrade_but_those_with_another_question():
    others = {"test_claims.py", "test_probes.py", "test_regression.py", "test_speed.py"}
    assert {path.name for path in SUITES.glob("test_*.py")} == {*trial.JUDGING, *others}


def test_a_stage_compares_both_sides(sessions, tmp_path):
    planned, _ = sessions
    worse = replace(RECORD, evidence={**RECORD.evidence, "reload_distance": 0.1})
    planned |= {"before": [(0, [RECORD])], "after": [(1, [worse])]}
    assert exit_code(run_stage(BEFORE, AFTER, tmp_path, ["--quiet"], silent).findings) == 1


def test_a_suspect_gets_fresh_seeds_on_both_sides(sessions, tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "stored_seeds", lambda key: {})
    planned, commands = sessions
    first = [seeds_of(RECORD, [value - lost for value in QUIET], "f1") for lost in (0, 0.015)]
    fresh = [[replace(one, case=one.case.replace("-s", "-s1")) for one in side] for side in first]
    planned |= {"before": [(0, first[0]), (0, fresh[0])], "after": [(0, first[1]), (0, fresh[1])]}
    found = run_stage(BEFORE, AFTER, tmp_path, [], silent).findings
    assert [one.says[:21] for one in found if one.state == "worse"] == ["by fresh seeds worse "]
    assert "3,4,5,6" in commands[-1]


def test_a_session_that_stopped_keeps_what_it_measured_and_is_resumed(sessions, tmp_path):
    planned, commands = sessions
    planned["before"] = [(2, [RECORD]), (0, [RECORD])]
    with pytest.raises(Stopped, match="exit code 2; what it measured is kept in .*before; the same command continues"):
        run_side(BEFORE, tmp_path, [], silent)
    run_side(BEFORE, tmp_path, [], silent)
    assert "--resume" not in commands[0]
    assert commands[1][-1].endswith("2026-1")


def test_a_case_that_timed_out_runs_once_more(sessions, tmp_path, monkeypatch):
    """A busy machine can be the cause."""
    planned, commands = sessions
    planned["before"] = [(1, [replace(RECORD, status="timed_out", reason="no end within 900 s")]), (0, [RECORD])]
    said = []
    run_side(BEFORE, tmp_path, [], said.append)
    assert "--resume" in commands[1]
    assert said[1] == "before: a case timed out, perhaps because the machine is busy; it runs once more"
    assert len(commands) == 2


def test_a_finished_run_is_kept_until_other_code_judges_it(sessions, tmp_path, monkeypatch):
    planned, commands = sessions
    planned["before"] = [(0, [RECORD]), (0, [])]
    run = run_once(BEFORE, tmp_path, [], silent)
    assert (run_once(BEFORE, tmp_path, [], silent), len(commands)) == (run, 1)
    monkeypatch.setattr(trial, "judging_digest", lambda: "other")
    assert run_once(BEFORE, tmp_path, [], silent) == run
    assert "--resume" in commands[1]
    assert read_measured(run.parent).judged_by == "other"


@pytest.mark.parametrize("kept", [0, 1, None])
def test_the_exit_code_of_a_test_is_kept_if_it_came_to_an_end(kept, monkeypatch, tmp_path):
    commands = []

    def run(command, env, **rest):
        commands.append((command, env["LORABENCH_RUNS"]))
        return subprocess.CompletedProcess(command, 2 if kept is None else kept)

    monkeypatch.setattr(trial.subprocess, "run", run)
    assert known_exit_code(AFTER, tmp_path, TEST) is None
    assert run_test(AFTER, tmp_path, TEST, silent) == (2 if kept is None else kept)
    assert known_exit_code(AFTER, tmp_path, TEST) == kept
    ((command, runs),) = commands
    assert command[-3:] == [TEST, "--runxfail", "-q"], "a known fault fails too"
    assert runs == str(tmp_path / "after")


@pytest.mark.parametrize("digest", ["judging_digest", "distributions_digest"])
def test_an_exit_code_is_forgotten_once_the_suites_or_the_environment_change(digest, monkeypatch, tmp_path):
    monkeypatch.setattr(trial.subprocess, "run", lambda command, **rest: subprocess.CompletedProcess(command, 1))
    run_test(AFTER, tmp_path, TEST, silent)
    assert known_exit_code(AFTER, tmp_path, TEST) == 1
    monkeypatch.setattr(trial, digest, lambda: "other")
    assert known_exit_code(AFTER, tmp_path, TEST) is None


def test_a_test_that_was_renamed_between_two_sessions_is_not_missing(sessions, tmp_path):
    """The first side was judged before the commit that renames it, the second side after it."""
    planned, commands = sessions
    planned |= {"before": [(0, [RECORD]), (0, [])], "after": [(0, [RECORD])]}
    run = run_side(BEFORE, tmp_path, [], silent)
    write_tested(run, CaseTests(finished=True, by_case={POS: {"test_cost.py::test_old_name": "passed"}}))
    now = CaseTests(finished=True, by_case={POS: {"test_cost.py::test_new_name": "passed"}})
    sides = []
    for side in (BEFORE, AFTER):
        run = run_side(side, tmp_path, [], silent)
        write_tested(run, now.with_earlier(earlier_tests(run)))
        sides.append(read_side(run))
    assert "--resume" in commands[1]
    assert [one for one in compare_runs(*sides).findings if one.kind == "tests"] == []


def test_the_same_upgrade_has_the_same_folder():
    folders = {folder_of(BEFORE, AFTER, ["a"], {"peft": version}) for version in ("1", "2", "1")}
    assert len(folders) == 2


def test_other_code_that_measures_measures_anew(monkeypatch):
    before = folder_of(BEFORE, AFTER, [], {})
    monkeypatch.setattr(trial, "code_digest", lambda: "sha256:other")
    assert folder_of(BEFORE, AFTER, [], {}) != before


def test_a_commit_that_measures_alike_keeps_what_was_measured(monkeypatch):
    """An edit of docs between two sessions has cost both sides' runs."""
    before = folder_of(BEFORE, AFTER, [], {})
    monkeypatch.setattr(environment, "git", lambda *words: "another commit")
    environment.describe_machine.cache_clear()
    try:
        assert environment.describe_machine()["commit"] == "another commit"
        assert folder_of(BEFORE, AFTER, [], {}) == before
    finally:
        environment.describe_machine.cache_clear()


@pytest.fixture
def stages(sessions, monkeypatch, tmp_path):
    """An upgrade whose sessions are planned."""
    monkeypatch.setattr(trial, "RUNS", tmp_path)
    monkeypatch.setattr(upgrade, "resolve", lambda *_: [Wanted("peft", "9.0", "abc")])
    monkeypatch.setattr(upgrade, "install", lambda *_: tmp_path)
    monkeypatch.setattr(upgrade, "check_requirements", lambda *_: None)
    return sessions[0]


def test_the_first_stage_that_is_worse_is_the_last(sessions, stages, capsys):
    planned, commands = sessions
    failed = replace(RECORD, status="failed", reason="no such argument")
    planned |= {"before": [(0, [RECORD])], "after": [(1, [failed])]}
    assert main(["upgrade", "peft==9.0"]) == 1
    out, err = capsys.readouterr()
    assert "no such argument" in out
    assert "stage 1 of 2" in err
    assert "stage 2" not in err
    assert len(commands) == 2


def test_another_interpreter_runs_both_sides_and_its_trials(sessions, stages, tmp_path, monkeypatch, capsys):
    """Two suspects are bisected, and share the number of trials."""
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    heavier = replace(SMALL, exact={**SMALL.exact, "step_allocated_bytes": 2 * SMALL.exact["step_allocated_bytes"]})
    worse = replace(RECORD, evidence={**RECORD.evidence, "reload_distance": 0.1})
    stages |= {"before": [(0, [RECORD, SMALL])], "after": [(1, [worse, heavier])]}
    searches = []

    def blame(search, requirements):
        searches.append(search)
        search.spent = 3
        return f"{search.target.figure}: peft 9.0"

    monkeypatch.setattr(upgrade, "blame", blame)
    assert main(["upgrade", "peft==9.0", "--current", str(python), "--bisect", "--bisect-runs", "5"]) == 1
    assert {command[0] for command in sessions[1]} == {str(python)}
    assert [(search.python, search.most) for search in searches] == [(python, 5), (python, 2)]
    out = capsys.readouterr().out
    for figure in ("reload_distance", "step_allocated_bytes"):
        assert f"to blame for {figure}: peft 9.0 (3 trials)\n" in out


def test_what_the_first_stage_found_is_in_the_report_of_both(stages, tmp_path, capsys):
    """Undecided in the first and the same in the second is undecided."""
    other = replace(RECORD, recipe_digest="other", recipe={**RECORD.recipe, "rank": 99})
    smoke = committed()[SUPPORT]
    stages |= {"before": [(0, [RECORD]), (0, [smoke])], "after": [(0, [other]), (0, [smoke])]}
    junit = tmp_path / "junit.xml"
    code = main(["upgrade", "peft==9.0", "--json", "--junit", str(junit)])
    about = json.loads(capsys.readouterr().out)
    assert (code, about["exit_code"]) == (2, 2), "nothing of the first stage could be compared"
    assert {(one["case"], one["state"]) for one in about["findings"] if one["kind"] == "status"} == {
        (POS, "incomparable"),
        (SUPPORT, "same"),
    }
    assert POS in junit.read_text(encoding="utf-8")
    assert SUPPORT in junit.read_text(encoding="utf-8")


def test_timed_processes_take_turns_and_go_on_where_they_stopped(monkeypatch, tmp_path):
    """A B B A …; every process is a repeat of the case in the run of its side."""
    order = []

    def run(command, env, **rest):
        runs = Path(env["LORABENCH_RUNS"])
        repeat = int(command[command.index("--repeat") + 1]) if "--repeat" in command else 0
        order.append((runs.name, repeat))
        if len(order) == 4:
            return subprocess.CompletedProcess(command, 2)
        noisy = {"began": float(len(order)), "step_cpu_seconds": [1.0 + 0.01 * repeat] * 10}
        record = replace(RECORD, repeat=repeat, noisy=noisy)
        if repeat:
            append_record(Path(command[command.index("--resume") + 1]) / "records.jsonl", record)
        else:
            run_of(runs / "2026", [record])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(trial.subprocess, "run", run)
    arguments = (BEFORE, AFTER, tmp_path, [POS], selection_of([POS]), silent)
    with pytest.raises(Stopped):
        time_cases(*arguments)
    (found,) = time_cases(*arguments)
    assert order[:6] == [("before", 0), ("after", 0), ("after", 1), ("before", 1), ("before", 1), ("before", 2)]
    assert len(order) == 21
    assert (found.state, found.says.endswith("10 processes a side")) == ("same", True)


def test_timed_cases_are_selected_by_their_names():
    assert selection_of([POS, "pos-minilm_l6-dora-cpu-s1"])[:10] == (
        "--tasks", "pos", "--models", "minilm_l6", "--methods", "lora,dora", "--devices", "cpu", "--seeds", "0,1",
    )  # fmt: skip


def test_sigterm_ends_the_command_and_what_it_started():
    """As a cancelled CI job does it; a session that went on alone would hold the machine."""
    words = [sys.executable, "-c", SLOW_UPGRADE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert command.stdout.readline() == "started\n"
        command.terminate()
        _, said = command.communicate(timeout=30)  # what was started has the same stdout, so it has ended too
    assert command.returncode == INTERRUPTED
    assert "bench: interrupted" in said
