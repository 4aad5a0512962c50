"""What a person meets at the command line: `pytest suites` in a process of its own, on tiny models.

Entries and their calamities are in toy_entries.py beside this file. Runs are written below a temporary folder.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
from run_files import append_record
from suite_sessions import ONE_TEST, TESTS, Done, command, start, surroundings

from bench.core.case import parse_case
from bench.core.files import BadFile
from bench.core.paths import ROOT
from bench.core.work import PREPARED, RUN_CASE, CaseWork
from bench.executor import Executor, Needs, Outcome
from bench.judge.claims.admission import sample_identity
from bench.judge.thresholds import Band, read_thresholds
from bench.machine.environment import describe_machine
from bench.plan import plan as planning
from bench.plan.options import Options
from bench.plan.plan import Plan
from bench.plan.selection import Selection
from bench.plugin import exit_codes, hooks, selecting, session
from bench.plugin.options import probe_families
from bench.plugin.progress import Progress
from bench.plugin.session import FETCH, Run
from bench.probes import PROBES
from bench.recipes.of_case import recipe_for
from bench.records import run_folder
from bench.records.record import OK, Record, read_records
from bench.records.run_folder import NotStored
from bench.records.run_progress import read_progress
from bench.records.tested import read_tested
from bench.tasks import TASKS

METHODS = "lora,head,toy_kill,toy_segfault,toy_loop,toy_allocate"
TOYS = ("--entries", "toy_entries", "--tasks", "toy_tags", "--models", "tiny_bert", "--devices", "cpu")
TINY = ("--tasks", "pos", "--models", "tiny_bert", "--methods", "lora")
CASE_TIMEOUT = 30  # seconds; what `toy_loop` costs, and several times what a toy case takes on a slow machine
REPLAY_SECONDS = 5.0
INTERRUPT_SECONDS = 10.0
START_SECONDS = 120.0
EMBEDDED_ID = "pos-minilm_l6-lora-cpu-s0"
RANDOM = {"origin": "synthetic", "identity": "synthetic"}
CLAIM = "suites/test_claims.py::test_claim[s000-final-loss]"  # of another case than the stored ones
USAGE_ERROR, INTERRUPTED, NO_TESTS = 4, 2, 5
NOT_STORED, NOTHING_JUDGED = 20, 21
FULL_DISK = """
import bench.records.run_folder as run_folder

def full(*_):
    raise OSError(28, "No space left on device")

run_folder.add_line = full
"""
BROKEN_DRIVER = """
import bench.machine.devices as devices

devices.find_cards = lambda: ((), "Driver Not Loaded")
"""
NO_WORKERS = """
import bench.plugin.session as session

class Refuses(session.Executor):
    def __init__(self, *_, **__):
        raise AssertionError("a worker was started")

session.Executor = Refuses
"""
WATCH = """
import sys

def pytest_unconfigure(config):
    print("torch was imported:", "torch" in sys.modules)
"""


def toy(method):
    return f"toy_tags-tiny_bert-{method}-cpu-s0"


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A session in which two cases end well and four meet a calamity."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "watch.py").write_text(WATCH, encoding="utf-8")
    return start(
        folder / "runs", "-p", "watch", ONE_TEST, *TOYS, "--methods", METHODS, "--case-timeout", CASE_TIMEOUT,
        PYTHONPATH=os.pathsep.join([str(folder), str(TESTS)]), TOY_MARK=str(folder / "mark"), GITHUB_STEP_SUMMARY=str(folder / "summary.md"),
    )  # fmt: skip


@pytest.fixture
def copied(first, runs):
    """That session's run, to be changed."""
    shutil.copytree(first.runs, runs)
    return runs / first.folder.name


@pytest.fixture
def no_workers(tmp_path):
    """Words that give pytest a plugin by which starting a worker is an error, and the path it is found on."""
    (tmp_path / "no_workers.py").write_text(NO_WORKERS, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)])}


# --- usage errors


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tasks", "poss"], "no task named 'poss'; did you mean pos?"),
        (["--models", "minilm_l66"], "no model named 'minilm_l66'; did you mean minilm_l6"),
        (["--methods", "lora,lroa_all"], "no method named 'lroa_all'; did you mean lora_all"),
        (["--devices", "gpu"], "no device named 'gpu'; did you mean cpu"),
        (["--seeds", "1,x"], "--seeds 'x' is no seed; give whole numbers from 0, as --seeds 0,1,2"),
        (["--seeds=-1"], "--seeds '-1' is no seed"),
        (["--mirror", "/no/such/folder"], "--mirror /no/such/folder: there is no such folder"),
        (["--mirror", "pyproject.toml"], "--mirror pyproject.toml: there is no such folder"),
        (
            ["--keep", "merged", "--methods", "prompt"],
            "--keep merged: prompt cannot be merged into a base; give --keep",
        ),
        (["--keep", "adapter", "--replay", "smoke"], "--keep keeps what a case trains, and --replay runs nothing"),
        (["--replay", "no_such_run"], "no_such_run: no run with a records.jsonl there; runs are "),
        (["--resume", "tests"], "tests: no run with a records.jsonl there"),
        (["--workers", "0"], "--workers 0 must be at least 1"),
        (["--case-timeout", "0"], "--case-timeout 0 must be above 0 seconds"),
        (["--case-timeout", "-3"], "--case-timeout -3 must be above 0 seconds"),
        (["--case-timeout", "nan"], "--case-timeout nan must be above 0 seconds"),
        (["--probes", "decimal"], "no probe named 'decimal'; did you mean decimals"),
        (
            ["--tasks", "pos", "--models", "gpt2"],
            "no case is selected: pos is a task for encoder models, and gpt2 is no",
        ),
        (["--entries", "no_such_module"], "--entries no_such_module: ModuleNotFoundError: No module named"),
    ],
)
def test_mistake_is_one_sentence_and_no_traceback(runs, words, says):
    done = start(runs, "suites", "--collect-only", *words)
    assert done.code == USAGE_ERROR
    assert f"ERROR: {says}" in done.text
    assert "Traceback" not in done.text
    assert len(done.text.strip().splitlines()) == 1
    assert not runs.exists()


@pytest.fixture(scope="module")
def xdist(tmp_path_factory):
    """A path on which pytest finds pytest-xdist, which the environment does not hold."""
    folder = tmp_path_factory.mktemp("xdist")
    words = ["install", "--no-deps", "--quiet", "--target", folder, "pytest-xdist==3.8.0", "execnet==2.1.2"]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    return os.pathsep.join([str(folder), str(TESTS)])


@pytest.mark.parametrize(("number", "code"), [("2", USAGE_ERROR), ("0", 0)])
def test_xdist_is_refused_with_what_to_give_instead(runs, xdist, number, code):
    done = start(runs, ONE_TEST, *TINY, "--collect-only", "-n", number, PYTHONPATH=xdist)
    assert done.code == code
    assert ("ERROR: pytest-xdist's processes" in done.text) is (code == USAGE_ERROR)
    assert ("give --workers N" in done.text) is (code == USAGE_ERROR)


def test_entries_that_register_twice_are_a_mistake(runs, tmp_path):
    (tmp_path / "twice.py").write_text("import toy_entries as t\nt.TASKS.put('toy_tags', t.TASK)\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(TESTS)])
    done = start(runs, "suites", "--collect-only", "--entries", "twice", PYTHONPATH=path)
    assert (done.code, done.text.strip()) == (
        USAGE_ERROR,
        "ERROR: --entries twice: ValueError: task 'toy_tags' is registered twice",
    )


def test_resume_and_replay_exclude_each_other(first):
    done = start(first.runs, "suites", "--resume", first.folder.name, "--replay", first.folder.name)
    assert done.code == USAGE_ERROR
    assert "--resume runs what is missing and --replay runs nothing; give one of them" in done.text


def test_unknown_run_says_which_runs_there_are(first):
    done = start(first.runs, "suites", "--replay", "yesterday")
    listed = done.text.partition("yesterday: no run with a records.jsonl there; runs are ")[2]
    assert {first.folder.name, "h200"} <= set(listed.strip().split(", "))


# --- collecting and deselecting


def test_options_choose_the_cases(runs):
    done = start(runs, ONE_TEST, *TINY, "--seeds", "3,1,3", "--collect-only", "-q")
    assert done.code == 0
    assert done.text.split("\n\n")[0].splitlines() == [
        f"{ONE_TEST}[pos-tiny_bert-lora-{device}-s{seed}]" for device in ("cpu", "cuda") for seed in (3, 1)
    ]


def test_entries_are_in_the_matrix(runs):
    done = start(runs, ONE_TEST, *TOYS, "--collect-only", "-q")
    assert f"[{toy('toy_kill')}]" in done.text
    assert f"[{toy('lora')}]" in done.text


def test_case_for_a_card_is_deselected_with_what_it_needs(runs):
    done = start(runs, ONE_TEST, *TINY, "--devices", "cuda")
    assert done.code == NO_TESTS
    assert "1 deselected" in done.text
    says = "needs a CUDA device; this machine has none"
    assert re.search(
        rf"^deselected: 1 test of 1 case: {says}.*; where there is one, -m gpu selects them$", done.text, re.MULTILINE
    )
    assert f"\nexit code {NO_TESTS}: no selected test can run: {says}" in done.text
    assert not runs.exists()


def test_cases_for_a_card_are_deselected_in_one_line(runs):
    """However many they are and whatever each would need."""
    done = start(runs, "suites", "--tasks", "pos", "-m", "gpu")
    assert done.code == NO_TESTS
    (line,) = [line for line in done.text.splitlines() if line.startswith("deselected")]
    assert re.match(r"deselected: \d{3,} tests of \d\d+ cases: needs a CUDA device; this machine has none", line)
    assert "SKIPPED" not in done.text


def test_broken_driver_is_named(runs, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN_DRIVER, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(TESTS)])
    done = start(runs, "-p", "broken", ONE_TEST, *TINY, "-m", "gpu", PYTHONPATH=path)
    assert done.code == NO_TESTS
    assert "no selected test can run: needs a CUDA device; this machine has none (NVML: Driver Not Loaded)" in done.text


def test_named_device_without_a_card_is_not_green(runs):
    """Claims pass, and the cases that were asked for did not run."""
    words = ("suites/test_claims.py", ONE_TEST, "--devices", "cuda", "-k", "s001-rows-train or minilm_l6-lora-cuda")
    done = start(runs, *words)
    assert done.code == NOTHING_JUDGED
    assert f"exit code {NOTHING_JUDGED}: no case on cuda can run: needs a CUDA device" in done.text


def test_slow_case_is_deselected_with_how_to_run_it(runs):
    done = start(runs, ONE_TEST, "--tasks", "alpaca", "--models", "smollm2_135m", "--devices", "cpu", "-k", "vera")
    assert done.code == NO_TESTS
    assert "deselected: 1 test of 1 case: of paper size, or beyond the smoke run; -m slow selects them" in done.text


@pytest.mark.parametrize(
    ("words", "selects"), [(("-m", "not gpu"), '-m "(not gpu) and slow" selects them'), ((), "-m slow selects them")]
)
def test_what_selects_a_slow_case_is_said_with_the_persons_expression(runs, words, selects):
    done = start(runs, ONE_TEST, "--tasks", "support", "--devices", "cpu", "--collect-only", "-q", *words)
    assert done.code == 0
    assert f"beyond the smoke run; {selects}" in done.text


def test_collecting_only_lists_what_would_be_deselected(runs):
    done = start(runs, ONE_TEST, *TINY, "--collect-only", "-q")
    assert f"{ONE_TEST}[pos-tiny_bert-lora-cuda-s0]" in done.text
    assert "would be deselected: 1 test of 1 case: needs a CUDA device" in done.text
    assert done.code == 0


def test_empty_list_of_parameters_is_no_skipped_test(runs):
    done = start(runs, "suites/test_methods.py", *TINY, "--devices", "cpu", "-k", "rank_schedule or generates")
    assert done.code == NO_TESTS
    assert "/ 0 selected" in done.text
    assert "skipped" not in done.text


def test_full_data_of_a_mirror_is_slow(runs, tmp_path):
    folder = tmp_path / "mirror" / "datasets" / "batterydata" / "pos_tagging"
    folder.mkdir(parents=True)
    (folder / "train.parquet").touch()
    (folder / "test.parquet").touch()
    done = start(runs, ONE_TEST, *TINY, "--devices", "cpu", "--mirror", tmp_path / "mirror")
    assert done.code == NO_TESTS
    assert "of paper size, or beyond the smoke run; -m slow selects them" in done.text


# --- a session with calamities


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("lora", "ok", ""),
        ("head", "ok", ""),
        ("toy_kill", "crashed", "killed by signal 9 (SIGKILL)"),
        ("toy_segfault", "crashed", "killed by signal 11 (SIGSEGV)"),
        ("toy_loop", "timed_out", f"no answer within {CASE_TIMEOUT} s (--case-timeout)"),
        ("toy_allocate", "out_of_memory", "RuntimeError: [enforce fail at alloc_cpu.cpp"),
    ],
)
def test_calamity_is_its_cases_status_and_no_others(first, method, status, reason):
    record = first.records()[toy(method)]
    assert record.status == status
    assert record.reason.startswith(reason)


def test_calamities_fail_their_tests_and_no_others(first):
    assert first.code == 1
    assert "2 passed, 4 errors in" in first.text
    assert "INTERNALERROR" not in first.text


def test_failed_test_says_why_and_what_the_worker_said(first):
    assert f"{toy('toy_kill')}: crashed, killed by signal 9 (SIGKILL)\n    about to die" in first.text
    assert "toy_entries.py" in first.text.split(f"{toy('toy_loop')}: timed_out", 1)[1]


def test_crashed_case_keeps_its_recipe_and_machine(first):
    record = first.records()[toy("toy_kill")]
    alike = replace(parse_case(record.case), method="lora")  # as the toy is, which is registered in the session alone
    assert record.recipe_digest == recipe_for(alike).digest()
    assert record.environment["device"] == "cpu"
    assert record.quality == {}


def test_the_summary_says_where_the_time_went(first):
    assert re.search(r"training and evaluation took \d+% of the cases' [\d,]+ s; the rest: ", first.text)
    assert re.search(r"importing the libraries took \d+ s, once", first.text)


def test_record_of_a_tiny_model_is_whole_and_not_judged(first):
    record = first.records()[toy("lora")]
    assert not record.quality_judged
    assert record.data["train_examples"] + record.data["held_out_examples"] == 20
    assert record.exact["trainable_parameters"] == record.exact["trainable_parameters_formula"]
    assert record.noisy["case_seconds"] > record.noisy["overhead_seconds"] > 0
    assert sum(record.noisy["seconds"].values()) == pytest.approx(record.noisy["case_seconds"], rel=0.05)
    assert record.noisy["seconds"]["start"] == record.noisy["overhead_seconds"]
    assert "ran_beside" not in record.noisy


def test_each_example_is_in_the_predictions(first):
    record = first.records()[toy("lora")]
    lines = (first.folder / record.predictions).read_text(encoding="utf-8").splitlines()
    assert len(lines) == record.data["held_out_examples"]
    assert json.loads(lines[0]).keys() == {"key", "gold", "predicted", "loss"}


def test_run_says_what_made_it(first):
    about = json.loads((first.folder / "run.json").read_text(encoding="utf-8"))
    assert about["command"][0] == "pytest"
    assert "toy_entries" in about["command"]
    assert about["machine"]["libraries"]["torch"]


def test_table_is_on_the_terminal_in_the_run_and_in_cis_summary(first):
    page = (first.folder / "summary.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| toy_tags-")]
    assert page.startswith("## 4 of 6 cases failed\n\n2 tests passed, 4 failed, 0 skipped. torch ")
    assert f"| {toy('toy_kill')} | crashed | not judged: crashed |" in rows[0] + rows[1] + rows[2] + rows[3]
    assert [line.split(" | ")[1:3] for line in rows[4:]] == [["ok", "1 passed"]] * 2
    assert re.search(rf"^{toy('toy_kill')} +crashed +not judged ", first.text, re.MULTILINE)
    assert (first.runs.parent / "summary.md").read_text(encoding="utf-8") == page
    assert f"records: {first.folder}" in first.text


def test_person_sees_each_case_end(first):
    assert f"{toy('lora')}: ok in " in first.text
    assert f"{toy('toy_segfault')}: crashed in " in first.text
    assert not re.search(r"[.E]toy_tags", first.text), "each on a line of its own, with no dot before it"


def test_pytests_process_stays_without_torch(first):
    assert "torch was imported: False" in first.text


# --- replay


def test_replay_judges_again_and_starts_no_worker(copied, no_workers):
    before = (copied / "records.jsonl").read_bytes()
    (copied / "summary.md").unlink()
    words = ("-p", "no_workers", ONE_TEST, *TOYS, "--replay", copied.name)
    done = start(copied.parent, *words, "--methods", METHODS, **no_workers)
    assert "2 passed, 4 errors in" in done.text
    assert done.code == 1
    assert done.seconds < REPLAY_SECONDS
    assert (copied / "records.jsonl").read_bytes() == before
    assert not (copied / "summary.md").exists()


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ("lora,ia3", "has no record of method ia3 among the selected cases; its methods are head, lora, toy_"),
        ("ia3", "has no record of method ia3 among the selected cases; its methods are head, lora, toy_"),
    ],
)
def test_replay_refuses_what_is_named_and_not_in_the_run(copied, no_workers, methods, says):
    words = ("-p", "no_workers", ONE_TEST, *TOYS, "--methods", methods, "--replay", copied)
    done = start(copied.parent, *words, **no_workers)
    assert done.code == USAGE_ERROR
    assert f"ERROR: the run {copied.name} {says}" in done.text


def test_replay_of_a_seed_that_the_run_lacks_is_refused(copied):
    done = start(copied.parent, ONE_TEST, *TOYS, "--methods", "lora", "--seeds", "0,7", "--replay", copied)
    assert done.code == USAGE_ERROR
    assert "has no record of seed 7 among the selected cases; its seeds are 0" in done.text


def test_replay_skips_combinations_that_the_run_has_not(runs):
    """Each name is in the run; not every pair of them need be."""
    for case_id in (EMBEDDED_ID, "support-smollm2_135m-dora-cpu-s0"):
        append_record(runs / "run" / "records.jsonl", replace(SMOKE, case=case_id))
    words = ("--tasks", "pos,support", "--methods", "lora,dora", "--devices", "cpu", "--replay", runs / "run")
    done = start(runs, ONE_TEST, *words)
    assert done.code == 0
    assert "pos-minilm_l6-dora-cpu-s0 is not in the run run" in done.text


def test_replay_without_the_persons_entries_shows_their_table_and_is_not_green(copied, no_workers):
    """Each case that is left out is a complaint, also beside cases that pass."""
    append_record(copied / "records.jsonl", SMOKE)
    done = start(copied.parent, "-p", "no_workers", ONE_TEST, "--replay", copied, **no_workers)
    assert "1 passed" in done.text
    assert done.code == 1
    assert re.search(rf"{toy('lora')} +ok", done.text)
    for method in METHODS.split(","):
        assert done.text.count(f"{toy(method)}: not judged, there is no task toy_tags") == 1
    assert "INTERNALERROR" not in done.text


@pytest.mark.parametrize("words", [(), ("--methods", "lora")])
def test_replay_of_a_run_with_a_damaged_line_is_a_usage_error(copied, words):
    """The case on it may have failed."""
    path = copied / "records.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    cut = next(line for line in lines if toy("toy_kill") in line)
    path.write_text("".join(line for line in lines if line != cut) + cut[: len(cut) // 2], encoding="utf-8")
    done = start(copied.parent, ONE_TEST, *TOYS, *words, "--replay", copied)
    assert done.code == USAGE_ERROR
    assert done.text.count("cut or damaged JSON") == 1
    assert f"ERROR: --replay judges a whole run only: {path}:6: cut or damaged JSON" in done.text


@pytest.mark.parametrize("text", ["", "\n", '{"case": "pos-tiny_bert-lora-cp'])
def test_replay_of_a_run_without_a_record_is_a_usage_error(quiet, tmp_path, text):
    (tmp_path / "records.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(pytest.UsageError, match=f"^no record in the run {tmp_path.name}") as raised:
        Run(options(replay=tmp_path), quiet)
    assert ("cut or damaged JSON" in str(raised.value)) is bool(text.strip())
    assert Run(options(resume=tmp_path), quiet).records == {}


def test_old_metrics_are_not_judged_again(quiet, tmp_path):
    """They have today's name and recipe, and another meaning."""
    old = as_today(CASE, quality={"f1": 0.9, "precision": 0.9, "accuracy": 0.8})
    append_record(tmp_path / "records.jsonl", old)
    says = f"^{CASE.id} in the run {tmp_path.name}: f1 there is seqeval's .* `python -m bench rescore {tmp_path}` gives"
    with pytest.raises(pytest.UsageError, match=says):
        Run(options(replay=tmp_path), quiet)
    run = Run(options(resume=tmp_path), quiet)
    assert submitted(run, CASE) == [CASE.id]
    assert "python -m bench rescore" in run.complaints[0]


# --- what is not judged

SMOKE = read_records(ROOT / "results" / "runs" / "smoke" / "records.jsonl")[0][EMBEDDED_ID]
NUMBERS_ID = "numbers-smollm2_135m-lora_all-cpu-s0"
NUMBERS = read_records(ROOT / "results" / "runs" / "numbers" / "records.jsonl")[0][NUMBERS_ID]
BAND = Band(*read_thresholds().entries["pos-minilm_l6-lora-cpu-sample"]["quality"])
METRIC = TASKS["pos"].metric
QUALITY_SUITE = "suites/test_quality.py"


def judge_again(runs, record, *words, **environment):
    """What `--replay` says of a run of this record alone."""
    append_record(runs / "run" / "records.jsonl", record)
    return start(runs, *words, "-rs", "--replay", runs / "run", **environment)


@pytest.mark.parametrize(
    ("code", "changes", "says"),  # the exit code with --allow-unjudged: whether a test is left that judges
    [
        (NOTHING_JUDGED, {"quality_judged": False, "weights": RANDOM, "reasons": ["weights: random weights; the index is dead"]},
         "minilm_l6 was run with random weights and is expected with its own (random weights; the index is dead)"),
        (0, {"recipe_digest": "other"}, "does not apply: recipe differs ("),
        (0, {"weights": {"identity": "sha256:other", "origin": "mirror"}}, "now sha256:other from mirror"),
        (0, {"data": {**SMOKE.data, "identity": "sha256:other"}}, "does not apply: data differ ("),
        (NOTHING_JUDGED, {"quality": {"accuracy": 0.8}}, f"its record has no {METRIC}, which pos is judged by"),
    ],
    ids=["no weights", "recipe", "weights", "data", "metric"],
)  # fmt: skip
def test_default_case_without_a_judge_fails_once_unless_waved_through(runs, code, changes, says):
    record = replace(SMOKE, **changes)
    done = judge_again(runs, record, QUALITY_SUITE)
    assert done.code == 1
    assert says in done.text
    assert "reported by an earlier test" in done.text
    waved = judge_again(runs, record, QUALITY_SUITE, "--allow-unjudged")
    assert waved.code in (0, NOTHING_JUDGED), "some of the suite's tests need no threshold, but all need weights"
    assert says in waved.text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quality_judged": False, "weights": {**RANDOM, "asked_for": True}}, NOTHING_JUDGED),
        ({"recipe_digest": "other", "recipe": {**SMOKE.recipe, "max_steps": 3}}, 0),  # training still has to help
    ],
    ids=["--synthetic", "--max-steps"],
)
def test_what_a_person_chose_is_skipped(runs, changes, code):
    done = judge_again(runs, replace(SMOKE, **changes), QUALITY_SUITE)
    assert done.code == code
    assert "skipped" in done.text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"quality": {**SMOKE.quality, METRIC: 0.999}},
         f"{METRIC} after training is 0.9990, unexpected and better than {BAND}"),
        ({"quality": {**SMOKE.quality, METRIC: 0.7}}, f"{METRIC} after training is 0.7000, unexpected and worse than {BAND}"),
        ({"quality_before": {**SMOKE.quality_before, METRIC: 0.4}}, f"{METRIC} before training is 0.4000, unexpected and better"),
    ],
)  # fmt: skip
def test_quality_outside_its_band_is_unexpected_either_way(runs, changes, says):
    done = judge_again(runs, replace(SMOKE, **changes), QUALITY_SUITE)
    assert done.code == 1
    assert says in done.text
    assert "1 failed, 2 passed" in done.text


def test_quality_as_it_was_measured_passes(runs):
    done = judge_again(runs, SMOKE, QUALITY_SUITE)
    assert done.code == 0
    assert "3 passed" in done.text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recipe_digest": "other"}, f"the threshold of {NUMBERS_ID.rsplit('-', 1)[0]}-sample does not apply: recipe"),
        ({"tables": {}}, "its record has no probes, which numbers always asks"),
        ({"tables": {**NUMBERS.tables, "probe_losses": []}}, "numbers always asks forgetting, and it was not asked"),
    ],
)
def test_probes_that_are_not_judged_fail(runs, changes, says):
    done = judge_again(runs, replace(NUMBERS, **changes), "suites/test_probes.py")
    assert done.code == 1
    assert says in done.text


# --- resume


@pytest.fixture(scope="module")
def resumed(first, tmp_path_factory):
    """The first session's run without its case killed in the middle of writing, resumed where nothing kills."""
    runs = tmp_path_factory.mktemp("resumed") / "runs"
    shutil.copytree(first.runs, runs)
    path = runs / first.folder.name / "records.jsonl"
    lines = {json.loads(line)["case"]: line for line in path.read_text(encoding="utf-8").splitlines()}
    cut = lines.pop(toy("head"))
    path.write_text("\n".join([*lines.values(), cut[: len(cut) // 2]]), encoding="utf-8")
    words = (ONE_TEST, *TOYS, "--methods", "lora,head,toy_kill", "--resume", first.folder.name)
    return start(runs, *words, TOY_CURED="1")


def test_resume_runs_what_is_missing_and_what_failed(resumed):
    assert resumed.code == 0
    assert "3 passed in" in resumed.text
    assert {resumed.records()[toy(method)].status for method in ("lora", "head", "toy_kill")} == {OK}


def test_resume_says_that_a_line_was_cut(resumed):
    assert f"{resumed.folder / 'records.jsonl'}:6: cut or damaged JSON" in resumed.text


def test_resume_adds_two_records_and_changes_none(first, resumed):
    lines = (resumed.folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 8
    assert [json.loads(line)["case"] for line in lines[6:]] == [toy("head"), toy("toy_kill")]
    assert resumed.records()[toy("lora")] == first.records()[toy("lora")]
    assert resumed.records()[toy("toy_loop")] == first.records()[toy("toy_loop")]


def test_resume_of_a_whole_run_starts_no_worker(copied, no_workers):
    words = ("-p", "no_workers", ONE_TEST, *TOYS, "--methods", "lora,head", "--resume", copied)
    done = start(copied.parent, *words, **no_workers)
    assert done.code == 0
    assert "2 passed in" in done.text


def test_resume_with_a_part_of_the_cases_shows_all_in_the_runs_page(copied, no_workers):
    words = ("-p", "no_workers", ONE_TEST, *TOYS, "--methods", "lora", "--resume", copied)
    assert start(copied.parent, *words, **no_workers).code == 0
    page = (copied / "summary.md").read_text(encoding="utf-8")
    assert [f"| {toy(method)} | " in page for method in METHODS.split(",")] == [True] * 6
    assert f"| {toy('lora')} | ok | 1 passed |" in page
    assert f"| {toy('head')} | ok | 1 passed |" in page, "which the session before judged"


# --- what cannot be written


def test_results_that_cannot_be_written_are_one_sentence_and_a_code_of_their_own(runs):
    runs.touch()
    done = start(runs, ONE_TEST, *TINY, "--devices", "cpu")
    assert done.code == NOT_STORED
    assert len(re.findall(rf"the run cannot be written to {runs}/\S+: File exists", done.text)) == 1
    assert "Traceback" not in done.text
    assert "INTERNALERROR" not in done.text


def test_disk_that_fills_up_fails_no_test_and_ends_with_a_code_of_its_own(runs, tmp_path):
    (tmp_path / "full_disk.py").write_text(FULL_DISK, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(TESTS)])
    done = start(runs, "-p", "full_disk", ONE_TEST, *TOYS, "--methods", "lora,head", PYTHONPATH=path)
    assert done.code == NOT_STORED
    assert "2 passed in" in done.text
    says = f"the run is not stored: {toy('lora')} and 1 more could not be written to {done.folder} (No space left on device)"
    assert done.text.count(says) == 1
    assert "Traceback" not in done.text


def test_summary_that_cannot_be_written_is_a_sentence_and_the_code(copied):
    (copied / "summary.md").unlink()
    (copied / "summary.md").mkdir()
    done = start(copied.parent, ONE_TEST, *TOYS, "--methods", "lora", "--resume", copied)
    assert done.code == NOT_STORED
    assert f"the run is not stored: summary.md could not be written to {copied} (Is a directory)" in done.text
    assert "Traceback" not in done.text
    assert list(copied.glob(".*.part")) == []


def test_read_only_checkout_says_its_sentence_and_nothing_of_pytests_cache(runs, tmp_path):
    (tmp_path / "file").touch()
    runs.touch()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", ONE_TEST, *TINY, "--devices", "cpu", "-o", f"cache_dir={tmp_path / 'file' / 'cache'}"],
        cwd=ROOT, env=surroundings(runs), capture_output=True, text=True,
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == NOT_STORED
    assert f"the run cannot be written to {runs}/" in text
    assert "PytestCacheWarning" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("name", "why"), [("/dev/full", "No space left on device"), ("{copied}/no/such/page", "No such file or directory")]
)
def test_cis_summary_that_cannot_be_written_is_a_sentence_and_no_failure(copied, name, why):
    page = name.format(copied=copied)
    words = (ONE_TEST, *TOYS, "--methods", "lora", "--replay", copied)
    done = start(copied.parent, *words, GITHUB_STEP_SUMMARY=page)
    assert done.code == 0
    assert done.text.count(f"GITHUB_STEP_SUMMARY {page} cannot be written: {why}") == 1
    assert "Traceback" not in done.text


# --- exit codes


def test_our_exit_codes_are_none_of_pytests():
    assert {NOT_STORED, NOTHING_JUDGED} == {exit_codes.NOT_STORED, exit_codes.NOTHING_JUDGED}
    assert not {NOT_STORED, NOTHING_JUDGED} & {int(code) for code in pytest.ExitCode}
    assert min(NOT_STORED, NOTHING_JUDGED) > 10, "pytest adds codes above its last, 6 in pytest 9.2"


@pytest.mark.parametrize(
    ("code", "stored", "whole", "judged", "final"),
    [
        (0, True, True, True, 0),
        (0, False, True, True, NOT_STORED),
        (1, False, True, True, NOT_STORED),
        (2, False, True, True, 2),  # interrupted
        (3, False, True, True, 3),  # an internal error
        (4, False, True, True, 4),  # a mistake on the command line
        (0, True, False, True, 1),
        (0, True, False, False, 1),
        (0, True, True, False, NOTHING_JUDGED),
        (0, False, True, False, NOT_STORED),
        (1, True, False, True, 1),
        (5, True, True, False, 5),
    ],
)
def test_which_exit_code_wins(code, stored, whole, judged, final):
    assert exit_codes.final_code(code, stored, whole, judged) == final


def test_claims_that_are_all_skipped_are_no_pass(runs):
    """No test of a case is among them."""
    done = judge_again(runs, SMOKE, CLAIM, GITHUB_STEP_SUMMARY=str(runs / "page"))
    assert re.search(r"=+ 1 skipped in", done.text)
    assert done.code == NOTHING_JUDGED
    assert "exit code 21: every selected test was skipped, so nothing was judged" in done.text
    assert (
        (runs / "page")
        .read_text(encoding="utf-8")
        .startswith("## 0 of 1 case passed, 1 not judged; nothing was judged\n")
    )


def test_project_tests_that_are_all_skipped_have_pytests_own_code(runs, tmp_path):
    (tmp_path / "test_skips.py").write_text("import pytest\ndef test_it(): pytest.skip('not here')\n", encoding="utf-8")
    done = start(runs, tmp_path / "test_skips.py", "--rootdir", ROOT, "-c", ROOT / "pyproject.toml", "-p", "conftest")
    assert "1 skipped" in done.text
    assert done.code == 0


# --- who reports


@pytest.mark.parametrize("status", ["crashed", "not_run"])
def test_a_case_without_a_record_is_one_failure_and_no_skip(runs, status):
    """Also one that did not run, with or without a reason: nobody chose that."""
    done = judge_again(runs, Record(EMBEDDED_ID, status), "suites/test_cost.py", "suites/test_methods.py", "-v")
    assert done.code == 1
    assert re.search(r"=+ \d\d deselected, 1 error in", done.text)
    assert done.text.count("suites/test_") == 1, "the test, and none of the others"
    assert "not judged" in done.text


def test_a_test_that_is_run_again_fails_again(quiet):
    """As pytest-rerunfailures does."""
    run = Run(options(), quiet)
    assert run.reports("case", "test_a")
    assert run.reports("case", "test_a")
    assert not run.reports("case", "test_b")


# --- Ctrl-C


def heed_interrupts():
    """A shell's background job ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A session that gets SIGINT in the middle of its second case, and the processes it had then."""
    folder = tmp_path_factory.mktemp("interrupted")
    words = command(ONE_TEST, *TOYS, "--methods", "lora,toy_loop")
    with (folder / "output").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env=surroundings(folder / "runs", TOY_MARK=str(folder / "mark")),
            stdout=output, stderr=output, start_new_session=True, preexec_fn=heed_interrupts,
        )  # fmt: skip
    until = time.monotonic() + START_SECONDS
    while not (folder / "mark").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    try:
        code = process.wait(60)
    finally:
        process.kill()
        _, living = psutil.wait_procs(children, timeout=3)
        for child in living:
            child.kill()
    text = (folder / "output").read_text(encoding="utf-8")
    return Done(code, text, time.perf_counter() - began, folder / "runs"), children, living


def test_interrupted_session_ends_soon(interrupted):
    done, _, _ = interrupted
    assert done.code == INTERRUPTED
    assert done.seconds < INTERRUPT_SECONDS
    assert "KeyboardInterrupt" in done.text
    assert "INTERNALERROR" not in done.text
    assert f"1 of 2 cases is stored; continue with: pytest -p no:cacheprovider {ONE_TEST}" in done.text
    assert f" --resume {done.folder.name}\n" in done.text


def test_interrupted_session_leaves_no_process(interrupted):
    _, children, living = interrupted
    assert len(children) >= 2, "the fork server and its worker"
    assert living == []


def test_interrupted_session_keeps_what_was_finished(interrupted):
    done, _, _ = interrupted
    assert {name: record.status for name, record in done.records().items()} == {toy("lora"): OK}


def test_interrupted_session_does_not_read_as_a_pass(interrupted):
    done, _, _ = interrupted
    page = (done.folder / "summary.md").read_text(encoding="utf-8")
    assert page.startswith("## 1 of 2 cases passed, 1 not run; interrupted\n")
    tested = read_tested(done.folder)
    assert (tested.finished, set(tested.by_case[toy("toy_loop")].values())) == (False, {"not run"})


# --- the run itself, in this process


class Recorder:
    """An executor that runs nothing and says that all went well; found: what it says of weights and rows."""

    found: dict = {}  # noqa: RUF012

    def __init__(self, *_, **__):
        self.submitted = []

    @staticmethod
    def resources():
        return ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, job):
        self.submitted.append(job)

    def outcome(self, key):
        return Outcome(key, OK, result={"away": "the Hub is away", "weights": {}, "rows": {}} | self.found)


def options(**more):
    defaults = {
        "selection": Selection(), "entries": (), "mirror": None, "data": "auto", "engine": "bench", "synthetic": False,
        "probes": (), "lm_eval": (), "resume": None, "replay": None, "case_timeout": 0.0, "workers": 1,
    }  # fmt: skip
    return Options(**{**defaults, **more})


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    monkeypatch.setattr(session, "Executor", Recorder)
    monkeypatch.setattr(run_folder, "RUNS", tmp_path)
    return Progress()


CASE = parse_case("pos-tiny_bert-lora-cpu-s0")
EMBEDDED = parse_case(EMBEDDED_ID)
REAL = {"origin": "package", "identity": "sha256:" + "a" * 64, "files": "sha256:" + "f" * 64}


def submitted(run, *cases):
    run.submit(cases)
    return [job.key for executor in run._executors for job in executor.submitted]


@pytest.fixture
def stored(tmp_path):
    """The folder of a run that holds CASE, run well as this session would run it."""
    append_record(tmp_path / "records.jsonl", as_today(CASE))
    return tmp_path


def as_today(case, weights=RANDOM, **changes):
    """A record of the case as this machine, these libraries and these options would give."""
    about = describe_machine()
    record = Record(
        case=case.id,
        status=OK,
        recipe_digest=recipe_for(case).digest(),
        data={"identity": "sha256:prepared", "rows": sample_identity(case.task)},
        weights=weights,
        environment={**about, "threads": about["cores"]},
    )
    return replace(record, **changes)


def test_resume_takes_over_a_record_of_the_same_recipe(quiet, stored):
    run = Run(options(resume=stored), quiet)
    assert submitted(run, CASE) == []
    assert run.record(CASE).ok


def test_resume_runs_a_case_of_another_recipe_again(quiet, stored):
    assert submitted(Run(options(resume=stored, engine="trainer"), quiet), CASE) == [CASE.id]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recipe_digest": "other"}, "recipe differs (other, now "),
        ({"data": {"rows": "sha256:" + "0" * 64}}, "data differ (sha256:000000000000, now sha256:"),
        ({"data": {}}, "data differ (unknown, now sha256:"),
        ({"weights": RANDOM}, "weights differ (synthetic, now sha256:aaaaaaaaaaaa from package)"),
        (
            {"weights": {**REAL, "identity": "sha256:b"}},
            "weights differ (sha256:b from package, now sha256:aaaaaaaaaaaa",
        ),
        (
            {"weights": {**REAL, "files": "sha256:x"}},
            "weights differ (the same safetensors with other files beside them",
        ),
        ({"environment": {"libraries": {"torch": "1.0.0"}}}, "libraries differ ("),
        ({"environment": {"processor": "another"}}, "machine differs (processor another, now "),
        ({"environment": {"threads": 64}}, "machine differs (threads 64, now "),
        ({"environment": {"cores": 64}}, "machine differs (cores 64, now "),
        ({"status": "timed_out"}, "it timed out before"),
    ],
)
def test_resume_runs_again_what_stands_on_another_basis_and_says_why(quiet, monkeypatch, runs, changes, says):
    """Weights of an embedded model are looked for in a worker, once."""
    monkeypatch.setattr(Recorder, "found", {"weights": {"minilm_l6": {**REAL, "reason": "from the package"}},
                                            "rows": {"pos": sample_identity("pos")}})  # fmt: skip
    record = as_today(EMBEDDED, REAL)
    if "environment" in changes:
        changes = {"environment": {**record.environment, **changes["environment"]}}
    append_record(runs / "old" / "records.jsonl", replace(record, **changes))
    run = Run(options(resume=runs / "old"), quiet)
    assert submitted(run, EMBEDDED) == [EMBEDDED.id]
    (complaint,) = run.complaints
    assert complaint.startswith(f"{EMBEDDED.id}: run again, {says}")


def test_resume_takes_over_real_weights_that_are_found_again(quiet, monkeypatch, runs):
    monkeypatch.setattr(Recorder, "found", {"weights": {"minilm_l6": {**REAL, "origin": "hub", "reason": "from the Hub"}},
                                            "rows": {"pos": sample_identity("pos")}})  # fmt: skip
    append_record(runs / "old" / "records.jsonl", as_today(EMBEDDED, REAL))
    run = Run(options(resume=runs / "old"), quiet)
    assert submitted(run, EMBEDDED) == []
    assert (run.complaints, list(run.records)) == ([], [EMBEDDED.id])


@pytest.mark.parametrize("now", [True, False])
def test_resume_keeps_who_asked_for_random_weights(quiet, monkeypatch, runs, now):
    """Else a run whose weights could not be had would be judged as if a person had chosen that, or the other way."""
    asked = {**RANDOM, "asked_for": True}
    stored, found = (RANDOM, asked) if now else (asked, RANDOM)
    monkeypatch.setattr(Recorder, "found", {"weights": {"minilm_l6": {**found, "reason": "random weights"}},
                                            "rows": {"pos": sample_identity("pos")}})  # fmt: skip
    append_record(runs / "old" / "records.jsonl", as_today(EMBEDDED, stored))
    run = Run(options(resume=runs / "old", synthetic=now), quiet)
    assert submitted(run, EMBEDDED) == [EMBEDDED.id]
    assert any("run again, random weights were" in complaint for complaint in run.complaints)


def test_resume_with_synthetic_weights_runs_real_ones_again(quiet, runs):
    append_record(runs / "old" / "records.jsonl", as_today(EMBEDDED, REAL))
    run = Run(options(resume=runs / "old", synthetic=True), quiet)
    assert submitted(run, EMBEDDED) == [EMBEDDED.id]
    assert run.complaints[0].endswith("run again, random weights were not asked for, and now they are")


def test_session_says_that_weights_could_not_be_had(quiet, monkeypatch):
    lost = {"minilm_l6": {**RANDOM, "reason": "random weights; pip could not fetch it"},
            "bert_base": {**RANDOM, "reason": "random weights; no package carries it"}}  # fmt: skip
    monkeypatch.setattr(Recorder, "found", {"weights": lost})
    run = Run(options(), quiet)
    run.submit([EMBEDDED])
    assert run.complaints == [
        "minilm_l6: its weights could not be had, random weights; pip could not fetch it",
        "bert_base: its weights could not be had, random weights; no package carries it",
    ]
    run = Run(options(synthetic=True), quiet)
    run.submit([EMBEDDED])
    assert run.complaints == []


def test_session_says_once_that_machines_could_not_have_weights(quiet):
    run = Run(options(), quiet)
    for _ in range(2):  # machines
        run._report(FETCH, {PREPARED: {"weights": {"bert_base": {**RANDOM, "reason": "no package carries it"}}}})
    assert run.complaints == ["bert_base: its weights could not be had, no package carries it"]


def test_max_steps_takes_the_place_of_the_recipes():
    own, cut = (
        Plan(options(), Executor.resources).recipe(CASE),
        Plan(options(max_steps=7), Executor.resources).recipe(CASE),
    )
    assert cut == replace(own, max_steps=7)


def test_job_says_all_that_a_worker_needs(quiet):
    run = Run(options(synthetic=True), quiet)
    run.submit([CASE])
    (job,) = run._executors[0].submitted
    assert (job.work, job.needs.cards, job.environment) == (
        RUN_CASE, 0, {session.UNREACHABLE: "the Hub is away"},
    )  # fmt: skip
    work = CaseWork.from_plain(job.payload)
    assert work.synthetic
    assert work.case == CASE


def test_cases_whose_seconds_are_judged_run_alone(quiet, stored):
    run = Run(options(), quiet)
    run.submit([CASE, EMBEDDED], timed={EMBEDDED})
    assert [job.needs.exclusive for job in run._executors[0].submitted] == [False, True]
    run = Run(options(resume=stored, repeat=1), quiet)
    run.submit([CASE])
    assert run._executors[0].submitted[0].needs.exclusive


def test_job_asks_for_the_memory_that_its_case_is_predicted_to_need():
    on_card = parse_case("alpaca_worst-llama31_8b-qlora-cuda-s0")
    plan = Plan(options(), Executor.resources)
    asked = plan.needs(on_card)
    assert asked.cards == 1
    assert 8e9 < asked.card_memory_bytes < 40e9
    assert asked.host_memory_bytes > 4e9
    assert Plan(options(attempt=True), Executor.resources).needs(on_card) == Needs(cards=1)
    assert plan.needs(CASE).cards == plan.needs(CASE).card_memory_bytes == 0


def test_record_names_the_card_that_its_case_had_though_it_crashed(quiet):
    run = Run(options(), quiet)
    run.submit([CASE])
    outcome = Outcome(CASE.id, "crashed", "killed by signal 11 (SIGSEGV)", environment={"accelerator": "Tesla T4"})
    record, _ = run._record(CASE, outcome)
    assert record.environment["accelerator"] == "Tesla T4"
    assert record.environment["processor"] == describe_machine()["processor"]
    assert "node" not in record.environment


@pytest.mark.parametrize("result", [None, {"environment": {"accelerator": "worker's own"}, "reasons": ["its own"]}])
def test_record_names_node_and_attempt(quiet, result):
    run = Run(options(), quiet)
    run.submit([CASE])
    outcome = Outcome(
        CASE.id, OK if result else "crashed", result=result, node="two", attempt=2, environment={"processor": "its own"},
        earlier="attempt 1 was lost with one: it died",
    )  # fmt: skip
    record, _ = run._record(CASE, outcome)
    assert (record.environment["node"], record.environment["attempt"]) == ("two", 2)
    assert record.reasons == ["attempt 1 was lost with one: it died", *(result or {}).get("reasons", [])]
    if result is None:
        assert record.environment["processor"] == "its own"
    else:
        assert record.environment["accelerator"] == "worker's own"


@pytest.mark.parametrize(
    ("wanted", "threads"), [("1", 1), ("3", 3), ("0", 4), ("3,2", 3), (" 2 ,1", 2), (",2", 4), ("x", 4), ("", 4)]
)
def test_omp_num_threads_is_honoured(quiet, monkeypatch, wanted, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    monkeypatch.setattr(planning, "describe_machine", lambda: {"cores": 8})
    assert Plan(options(workers=2), Executor.resources).work(CASE).threads == threads


def test_warnings_that_a_person_makes_errors_fail_no_case_and_their_threads_are_recorded(runs):
    words = (ONE_TEST, *TOYS, "--methods", "lora,toy_warn")
    done = start(runs, *words, PYTHONWARNINGS="error", OMP_NUM_THREADS="1")
    assert done.code == 0
    assert "2 passed in" in done.text
    assert done.records()[toy("lora")].environment["threads"] == 1


def test_figures_that_are_no_numbers_make_a_failed_record(quiet):
    run = Run(options(), quiet)
    run.submit([CASE])
    run._done(Outcome(CASE.id, OK, result={"quality": {"loss": float("nan")}}))
    assert run.records[CASE.id].status == "failed"
    assert run.records[CASE.id].reason.startswith("its figures are no record: ")
    assert read_records(run.folder / "records.jsonl")[0] == run.records


def test_the_progress_of_a_session_is_written_to_its_run(quiet):
    run = Run(options(), quiet)
    run.submit([CASE])
    run._report(CASE.id, {"step": 3, "steps": 8, "loss": 2.0, "tokens_per_second": 9.0, "seconds_left": 5.0})
    run._report(CASE.id, {"line": "loading"})
    progress = read_progress(run.folder)
    assert progress.alive
    assert [(one.case, one.state, one.step, one.losses) for one in progress.cases] == [
        (CASE.id, "running", 3, [(3, 2)])
    ]
    run._done(Outcome(CASE.id, "timed_out"))
    run._executors.clear()  # Recorder has nothing to stop
    run.stop()
    progress = read_progress(run.folder)
    assert (progress.alive, progress.cases[0].state) == (False, "timed_out")


def test_record_is_judged_where_the_disk_is_full(quiet, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    run = Run(options(), quiet)
    run.submit([CASE])
    monkeypatch.setattr(run_folder, "add_line", full)
    run._done(Outcome(CASE.id, OK, result={}))
    assert run.records[CASE.id].ok
    assert str(run.unwritten[CASE.id]) == "[Errno 28] No space left on device"


def test_run_that_cannot_be_written_is_refused_and_starts_no_worker(quiet, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(run_folder, "RUNS", tmp_path / "file")
    run = Run(options(), quiet)
    with pytest.raises(NotStored, match=rf"^the run cannot be written to {tmp_path}/file/[^/]+: "):
        run.submit([CASE])
    assert run._executors == []


def test_broken_recipe_is_a_usage_error_before_anything_runs(quiet, monkeypatch):
    def broken(*_, **__):
        raise BadFile("pos.toml [task]: rank = 0 must be at least 1")

    monkeypatch.setattr(planning, "recipe_for", broken)
    with pytest.raises(pytest.UsageError, match=r"pos\.toml \[task\]: rank = 0"):
        hooks.parameter(Run(options(), quiet), CASE)


@pytest.mark.parametrize("text", ["all", "all,decimals", "decimals, all"])
def test_all_probes_may_be_named_beside_others(text):
    assert set(probe_families(text)) == set(PROBES.names())
    assert len(probe_families(text)) == len(PROBES.names())


def test_a_decoder_is_asked_its_tasks_probes_and_the_command_lines():
    plan = Plan(options(probes=("source003",)), Executor.resources)
    assert plan.probes(parse_case("support-tiny_llama-lora-cpu-s0")) == ("source003",)
    assert set(plan.probes(parse_case("numbers-tiny_llama-lora-cpu-s0"))) == set(PROBES.names())
    assert plan.probes(CASE) == ()  # an encoder answers no question


@pytest.mark.parametrize(
    ("kept", "taken"),
    [
        ({}, False),
        ({"what": "none", "reason": "it has none", "asked": "adapter", "lasting": True}, True),
        ({"what": "none", "reason": "--keep adapter keeps it", "asked": "merged", "lasting": True}, False),
        ({"what": "none", "reason": "the disk was full", "asked": "adapter", "lasting": False}, False),
    ],
)
def test_resuming_keeps_weights_that_were_not_kept(quiet, runs, kept, taken):
    append_record(runs / "old" / "records.jsonl", as_today(CASE, kept=kept))
    run = Run(options(keep="adapter", resume=runs / "old"), quiet)
    submitted(run, CASE)
    assert (CASE.id in run.records) is taken
    if not taken:
        assert f"{CASE.id}: run again, its weights were not kept as --keep adapter asks" in run.complaints
        ((job,),) = [executor.submitted for executor in run._executors]
        work = CaseWork.from_plain(job.payload)
        assert (work.keep, work.keep_in) == ("adapter", runs / "old" / "adapters" / CASE.id)


@pytest.mark.parametrize("more", [{}, {"keep": "adapter", "repeat": 1}])
def test_a_session_keeps_weights_only_if_asked_and_of_the_first_process(more, tmp_path):
    work = Plan(options(**more), Executor.resources).work(CASE, tmp_path)
    assert (work.keep, work.keep_in) == ("none", None)


@pytest.mark.parametrize(("asked", "taken"), [(["decimals", "facts"], True), (["decimals"], False), ([], False)])
def test_resuming_asks_what_was_not_asked(quiet, runs, asked, taken):
    case = parse_case("support-tiny_llama-lora-cpu-s0")
    rows = [{"family": family} for family in asked]
    stored = as_today(case, tables={"probes": rows})
    append_record(runs / "old" / "records.jsonl", stored)
    run = Run(options(probes=("decimals", "facts"), resume=runs / "old"), quiet)
    submitted(run, case)
    assert (case.id in run.records) is taken


@pytest.mark.parametrize(
    ("named", "unmet"), [((), ()), (("cuda",), ("cuda",)), (("cpu", "cuda"), ("cuda",)), (("cpu",), ())]
)
def test_only_a_device_that_was_named_can_be_unmet(monkeypatch, named, unmet):
    """Claims alone are a run too, though every case beside them needs a card."""
    monkeypatch.setattr(selecting, "case_of", lambda item: item)
    run = SimpleNamespace(options=SimpleNamespace(selection=SimpleNamespace(devices=named)))
    on_cpu, on_card = SimpleNamespace(device="cpu"), SimpleNamespace(device="cuda")
    assert selecting.unmet_devices(run, [on_cpu], [on_card]) == unmet
