"""Each case in its own process: every calamity is that case's status, and nothing is left behind.

The works are in executor_works.py beside this file: pytest puts this folder on sys.path, and a worker
takes over its parent's sys.path.
"""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.core.paths import ROOT
from bench.executor import CallFailed, Executor, Job, Needs, WorkerDied, pool
from bench.executor.local import process as worker_process
from bench.executor.local.memory_limit import cgroup_room, default_limit, kernel_oom_kills, memory_room
from bench.executor.pool import MACHINE
from bench.machine.devices import Card
from bench.records.record import CRASHED, FAILED, NOT_RUN, OK, OUT_OF_MEMORY, TIMED_OUT

TESTS = Path(__file__).resolve().parents[1]
MEGABYTES = 1_000_000
GONE_SECONDS = 3.0
OVERHEAD_SECONDS = 1.0
NUMBERS = itertools.count()
NOTHING = Needs()
ONE_CARD = Needs(cards=1)
SMALL = Card("Tesla T4", 15_000 * MEGABYTES, 14_000 * MEGABYTES, "580", "GPU-small")
BIG = Card("NVIDIA A100 80GB", 80_000 * MEGABYTES, 79_000 * MEGABYTES, "580", "GPU-big")


def job(name, key=None, needs=NOTHING, environment=None, memory_limit_bytes=0, **payload):
    return Job(key or name, f"executor_works:{name}", payload, needs, environment or {}, memory_limit_bytes)


def run(executor, asked):
    executor.submit(asked)
    return executor.outcome(asked.key)


def unique():
    return f"job {next(NUMBERS)}"


def still_there(pids, seconds=GONE_SECONDS):
    """Those of the processes that are neither gone nor zombies when the time is up."""
    until = time.monotonic() + seconds
    while True:
        there = [pid for pid in pids if is_running(pid)]
        if not there or time.monotonic() > until:
            return there
        time.sleep(0.05)


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def executor():
    """One for the tests that need no setting of their own: each calamity is followed by the next test's work."""
    with Executor(case_timeout=30) as shared:
        yield shared
    assert psutil.Process().children(recursive=True) == []


@pytest.fixture
def impatient():
    with Executor(case_timeout=1) as shared:
        yield shared


@pytest.fixture
def have_cards(monkeypatch):
    """Let the machine have these cards."""

    def have(*found):
        monkeypatch.setattr(pool, "cards", lambda: found)
        monkeypatch.setattr(pool, "cards_now", lambda: found)

    return have


@pytest.fixture
def children_before():
    """The processes that other tests' executors have."""
    return set(psutil.Process().children(recursive=True))


def test_work_gets_payload_and_gives_result(executor):
    outcome = run(executor, job("give", unique(), number=1, text="ü"))
    assert outcome.status == OK
    assert outcome.reason == ""
    assert outcome.result["given"] == {"number": 1, "text": "ü"}
    assert outcome.result["pid"] != os.getpid()


def test_each_job_has_a_fresh_process(executor):
    assert run(executor, job("give", unique())).result["pid"] != run(executor, job("give", unique())).result["pid"]


def test_trivial_job_costs_little(executor):
    run(executor, job("give", unique()))
    outcome = run(executor, job("wait", unique(), seconds=0.3))
    assert outcome.overhead_seconds < OVERHEAD_SECONDS
    assert outcome.seconds == pytest.approx(outcome.overhead_seconds + 0.3, abs=0.05)


def test_surroundings_are_the_parents_and_the_jobs(executor, monkeypatch, tmp_path):
    monkeypatch.setenv("SET_LATE", "by the parent")
    monkeypatch.chdir(tmp_path)
    asked = job("surroundings", unique(), environment={"SET_BY_JOB": "1"}, names=["SET_LATE", "SET_BY_JOB", "NOT_SET"])
    seen = run(executor, asked).result
    assert seen["environment"] == {"SET_LATE": "by the parent", "SET_BY_JOB": "1", "NOT_SET": None}
    assert seen["folder"] == str(tmp_path)
    assert seen["session"], "the worker must be out of reach of the terminal's Ctrl-C"
    assert not seen["has_torch"]
    assert seen["main"], "the parent's __main__ must not run in a worker"


@pytest.mark.parametrize(("own", "seen"), [(None, "20000"), ("7", "7")])
def test_threads_wait_briefly_unless_a_person_says_otherwise(monkeypatch, own, seen):
    if own is None:
        monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    else:
        monkeypatch.setenv("GOMP_SPINCOUNT", own)
    with Executor() as fresh:
        assert run(fresh, job("started_with", variable="GOMP_SPINCOUNT")).result == {"value": seen}


def test_preloaded_module_is_there():
    with Executor(preload=["decimal", "executor_works"]) as executor:
        assert run(executor, job("give")).status == OK


def test_preload_that_fails_is_every_jobs_reason():
    with Executor(preload=["no_such_module"]) as executor:
        executor.submit(job("give", "second"))
        for outcome in (run(executor, job("give", "first")), executor.outcome("second")):
            assert outcome.status == FAILED
            assert outcome.reason.startswith("preloading 'no_such_module' failed: ModuleNotFoundError")


def test_output_of_every_kind_is_captured(executor):
    lines = run(executor, job("write", unique())).last_lines
    assert lines == ["from print", "from stderr", "from C++", "from a child", "100 %", "red \\x07bell"]


def test_only_the_end_of_much_output_is_kept(executor):
    lines = run(executor, job("write_much", unique())).last_lines
    assert lines[-1] == "line 199999"
    assert len(lines) == 30


def test_progress_arrives_in_order_before_the_outcome():
    seen = []
    with Executor(on_progress=lambda key, said: seen.append((key, said))) as executor:
        assert run(executor, job("progress")).status == OK
    assert seen[:5] == [("progress", {"step": step, "loss": 1.0 / (step + 1)}) for step in range(5)]
    assert seen[5] == ("progress", {"line": "a line", "odd": "odd"})
    assert seen[6][1]["line"].startswith("progress that is no plain data")


def test_large_payload_and_result_travel(executor):
    outcome = run(executor, job("give", unique(), text="y" * 5_000_000))
    assert len(outcome.result["given"]["text"]) == 5_000_000
    assert len(run(executor, job("give_much", unique(), characters=20_000_000)).result["text"]) == 20_000_000


RAISED = [
    ("ValueError", ["rank=0 must be above 0"], FAILED, "ValueError: rank=0 must be above 0"),
    ("ValueError", ["two\nlines"], FAILED, "ValueError: two lines"),
    ("ValueError", [], FAILED, "ValueError"),
    ("SourceError", ["no weights; say --mirror"], FAILED, "no weights; say --mirror"),
    ("CannotRun", ["needs a CUDA device"], NOT_RUN, "needs a CUDA device"),
    ("MemoryError", [], OUT_OF_MEMORY, "MemoryError"),
    ("OutOfMemoryError", ["CUDA out of memory."], OUT_OF_MEMORY, "OutOfMemoryError: CUDA out of memory."),
    (
        "RuntimeError",
        ["[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"],
        OUT_OF_MEMORY,
        "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
    ),
    ("OSError", [12, "Cannot allocate memory"], OUT_OF_MEMORY, "OSError: [Errno 12] Cannot allocate memory"),
]


@pytest.mark.parametrize(("kind", "arguments", "status", "reason"), RAISED)
def test_exception_is_the_status(executor, kind, arguments, status, reason):
    outcome = run(executor, job("raise_it", unique(), kind=kind, arguments=arguments))
    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.result is None
    wants_traceback = kind not in ("SourceError", "CannotRun")
    assert ("Traceback (most recent call last):" in outcome.last_lines) == wants_traceback


def test_error_raised_from_lack_of_memory_is_lack_of_memory(executor):
    assert run(executor, job("raise_from_memory_error", unique())).status == OUT_OF_MEMORY


def test_impossible_allocation_is_lack_of_memory(executor):
    assert run(executor, job("take_impossible_memory", unique())).status == OUT_OF_MEMORY


def test_missing_work_is_said(executor):
    outcome = run(executor, Job(unique(), "no_such_module:run"))
    assert (outcome.status, outcome.reason) == (FAILED, "ModuleNotFoundError: No module named 'no_such_module'")
    with pytest.raises(ValueError, match="'module:function'"):
        Job(unique(), "executor_works")


@pytest.mark.parametrize(("name", "says"), [("give_what_json_cannot_hold", "lock"), ("give_a_list", "expected a dict")])
def test_result_of_the_wrong_kind_is_said(executor, name, says):
    outcome = run(executor, job(name, unique()))
    assert outcome.status == FAILED
    assert says in outcome.reason


def test_payload_that_cannot_travel_is_refused_at_once(executor):
    with pytest.raises(TypeError, match="pickle"):
        executor.submit(job("give", unique(), lock=threading.Lock()))


def test_kill_is_a_crash(executor):
    outcome = run(executor, job("kill_itself", unique()))
    assert (outcome.status, outcome.reason) == (CRASHED, "killed by signal 9 (SIGKILL)")
    assert outcome.last_lines == ["about to die"]


def test_kill_by_the_kernel_is_lack_of_memory(executor, monkeypatch):
    counts = iter([4, 5])
    monkeypatch.setattr(worker_process, "kernel_oom_kills", lambda: next(counts))
    outcome = run(executor, job("kill_itself", unique()))
    assert (outcome.status, outcome.reason) == (OUT_OF_MEMORY, "killed by the kernel's out-of-memory killer")


def test_segfault_is_a_crash_with_a_traceback(executor):
    outcome = run(executor, job("segfault", unique()))
    assert (outcome.status, outcome.reason) == (CRASHED, "killed by signal 11 (SIGSEGV)")
    assert "Fatal Python error: Segmentation fault" in outcome.last_lines
    assert any("executor_works.py" in line and "in segfault" in line for line in outcome.last_lines)


EXITS = [("exit_at_once", {}, 3), ("exit_politely", {"code": 0}, 0), ("exit_politely", {"code": "why"}, 1)]


@pytest.mark.parametrize(("name", "payload", "code"), EXITS)
def test_exit_without_an_answer_is_a_crash(executor, name, payload, code):
    outcome = run(executor, job(name, unique(), **payload))
    assert (outcome.status, outcome.reason) == (CRASHED, f"exited with code {code} before it answered")


def test_endless_loop_times_out_and_says_where(impatient):
    outcome = run(impatient, job("loop"))
    assert (outcome.status, outcome.reason) == (TIMED_OUT, "no answer within 1 s (--case-timeout)")
    assert outcome.seconds < 3
    assert outcome.overhead_seconds < OVERHEAD_SECONDS
    assert any("in loop" in line for line in outcome.last_lines)


@pytest.mark.parametrize("payload", [{}, {"stubborn": True}, {"ends": True}], ids=["hangs", "stubborn", "ends"])
def test_what_a_work_started_ends_with_it(payload):
    pids = []
    with Executor(case_timeout=1, on_progress=lambda key, said: pids.append(said["pid"])) as impatient:
        outcome = run(impatient, job("hang_with_children", **payload))
        assert outcome.status == (OK if payload.get("ends") else TIMED_OUT)
        assert len(pids) == 3
        assert still_there(pids, 1.0) == []


def test_answer_counts_though_the_process_does_not_end(executor, monkeypatch):
    monkeypatch.setattr(worker_process, "EXIT_SECONDS", 0.2)
    outcome = run(executor, job("answer_and_stay", unique()))
    assert outcome.status == OK
    assert still_there([outcome.result["pid"]]) == []


@pytest.mark.parametrize("name", ["take_memory", "take_memory_in_child"])
def test_memory_above_the_limit_ends_the_case(executor, name):
    outcome = run(executor, job(name, unique(), memory_limit_bytes=300 * MEGABYTES))
    assert outcome.status == OUT_OF_MEMORY
    assert outcome.reason.endswith("GB of host memory, above its limit of 0.30 GB")


def test_memory_shared_with_a_fork_counts_once(executor):
    outcome = run(executor, job("share_memory_with_child", unique(), memory_limit_bytes=280 * MEGABYTES))
    assert outcome.status == OK, outcome.reason


def test_default_memory_limit_leaves_a_reserve():
    total, available = memory_room()
    assert 0 < available <= total <= psutil.virtual_memory().total
    assert default_limit() == pytest.approx(available - 0.1 * total, abs=0.05 * total)


CGROUP_FILES = [
    ({"memory.max": "1000", "memory.current": "700", "memory.stat": "inactive_file 50\n"}, (1000, 350)),
    ({"memory.max": "max", "memory.current": "700"}, None),
    ({"memory.limit_in_bytes": "1000", "memory.usage_in_bytes": "400", "memory.stat": ""}, (1000, 600)),
    ({}, None),
]


@pytest.mark.parametrize(("files", "room"), CGROUP_FILES, ids=["version 2", "no limit", "version 1", "none"])
def test_room_in_a_cgroup_is_read(tmp_path, files, room):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cgroup_room(tmp_path) == room


def test_kernels_kills_are_the_cgroups_or_the_machines(tmp_path):
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "vmstat").write_text("pgfault 9\noom_kill 7\n")
    (proc / "self/cgroup").write_text("0::/session.slice\n")
    assert kernel_oom_kills(proc, root) == 7
    (root / "session.slice").mkdir(parents=True)
    (root / "session.slice/memory.events").write_text("oom 3\noom_kill 2\n")
    assert kernel_oom_kills(proc, root) == 2


def test_jobs_run_in_order_and_first_goes_ahead(tmp_path):
    done = []
    with Executor(on_done=lambda outcome: done.append(outcome.key)) as executor:
        executor.submit(job("wait_for_file", "gate", path=str(tmp_path / "open")))
        for key in ("a", "b", "c", "d"):
            executor.submit(job("give", key))
        executor.first("c")
        executor.first("gate")
        (tmp_path / "open").touch()
        assert executor.outcome("d").status == OK
    assert done == ["gate", "c", "a", "b", "d"]


def test_two_workers_run_at_once_and_each_outcome_names_the_other(tmp_path):
    with Executor(workers=2, case_timeout=20) as executor:
        executor.submit(job("wait_for_file", "gate", path=str(tmp_path / "open")))
        beside = run(executor, job("give", "quick"))
        (tmp_path / "open").touch()
        assert (beside.status, beside.beside) == (OK, ("gate",))
        assert executor.outcome("gate").beside == ("quick",)


def test_one_worker_has_the_machine_to_itself_whatever_it_needs(have_cards):
    have_cards(SMALL)
    keys = {unique(): Needs(cards=cards) for cards in (0, 1, 0)}
    with Executor() as executor, Executor() as another:
        for number, (key, needs) in enumerate(keys.items()):
            (executor, another)[number % 2].submit(job("wait", key, needs, seconds=0.1))
        outcomes = [(executor, another)[number % 2].outcome(key) for number, key in enumerate(keys)]
    spans = sorted((outcome.result["began"], outcome.result["ended"]) for outcome in outcomes)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert {outcome.beside for outcome in outcomes} == {()}


def test_each_case_has_a_card_of_its_own_by_its_predicted_need(have_cards, tmp_path):
    """The large case gets the large card, though the small ones were asked for first; the third waits for a card."""
    have_cards(BIG, SMALL)
    gate, large = str(tmp_path / "open"), replace(ONE_CARD, card_memory_bytes=20_000 * MEGABYTES)
    small = replace(ONE_CARD, card_memory_bytes=10_000 * MEGABYTES)
    with Executor(workers=3, case_timeout=20) as executor:
        executor.submit(job("show_cards_and_wait", "small", small, path=gate))
        executor.submit(job("show_cards_and_wait", "large", large, path=gate))
        executor.submit(job("show_cards_and_wait", "late", ONE_CARD, path=gate))
        executor.submit(job("give", "plain"))
        assert executor.outcome("plain").beside == ("large", "small")
        (tmp_path / "open").touch()
        seen = {key: executor.outcome(key) for key in ("small", "large", "late")}
    assert {key: outcome.result["cards"] for key, outcome in seen.items() if key != "late"} == {
        "small": "GPU-small", "large": "GPU-big",
    }  # fmt: skip
    assert seen["large"].environment == {"accelerator": BIG.name, "driver": "580"}
    assert seen["late"].result["began"] >= min(seen[key].result["ended"] for key in ("small", "large"))


def test_cards_are_looked_at_once_for_all_waiting_jobs(have_cards, monkeypatch, tmp_path):
    have_cards(SMALL)
    looks = []
    with Executor(workers=3, case_timeout=20) as executor:
        for key in ("runs", "waits", "waits too"):
            executor.submit(job("wait_for_file", key, ONE_CARD, path=str(tmp_path / "open")))
        monkeypatch.setattr(pool, "cards_now", lambda: looks.append(SMALL) or (SMALL,))
        executor.submit(job("give", "plain"))
        assert len(looks) == 1


def test_session_gets_its_card_when_the_jobs_before_it_have_ended(executor, have_cards, monkeypatch):
    have_cards(SMALL)
    executor.submit(job("wait", before := unique(), ONE_CARD, seconds=0.3))
    busy = replace(SMALL, free_bytes=0, processes=1)
    monkeypatch.setattr(pool, "cards_now", lambda: (busy if MACHINE.running else SMALL,))
    needs = replace(ONE_CARD, card_memory_bytes=10_000 * MEGABYTES)
    with executor.open_session(job("counter", unique(), needs)) as session:
        assert session._worker.job.environment == {"CUDA_VISIBLE_DEVICES": "GPU-small"}
    assert executor.outcome(before).status == OK


def test_card_of_a_case_that_crashed_is_known(have_cards):
    have_cards(BIG, SMALL)
    with Executor() as executor:
        outcome = run(executor, job("kill_itself", needs=ONE_CARD))
    assert (outcome.status, outcome.environment["accelerator"]) == (CRASHED, BIG.name)


def test_case_that_no_card_can_hold_is_not_run_and_the_others_are(have_cards):
    have_cards(SMALL)
    done = []
    with Executor(on_done=done.append) as executor:
        outcome = run(executor, job("give", "large", replace(ONE_CARD, card_memory_bytes=BIG.free_bytes)))
        assert run(executor, job("give", "small", ONE_CARD)).status == OK
    assert outcome.status == NOT_RUN
    assert outcome.reason == "needs a CUDA device with 79.0 GB free; this machine has Tesla T4 with 14.0 GB free"
    assert [one.key for one in done] == ["large", "small"]


def test_case_whose_time_counts_runs_alone(tmp_path):
    with Executor(workers=3, case_timeout=20) as executor:
        executor.submit(job("wait_for_file", "before", path=str(tmp_path / "open")))
        executor.submit(job("wait", "timed", Needs(exclusive=True), seconds=0.1))
        executor.submit(job("give", "after"))
        (tmp_path / "open").touch()
        outcomes = [executor.outcome(key) for key in ("before", "timed", "after")]
    assert [outcome.beside for outcome in outcomes] == [(), (), ()]


def test_cases_that_need_the_same_memory_or_cores_take_turns(monkeypatch):
    monkeypatch.setattr(pool, "memory_room", lambda: (1_000, 1_000))
    monkeypatch.setattr(pool, "machine_cores", lambda: 8)
    with Executor(workers=3) as executor:
        for key, needs in {
            "a": Needs(host_memory_bytes=600), "b": Needs(host_memory_bytes=600), "c": Needs(cores=6), "d": Needs(cores=3),
        }.items():  # fmt: skip
            executor.submit(job("wait", key, needs, seconds=0.2))
        beside = {key: executor.outcome(key).beside for key in "abcd"}
    assert "b" not in beside["a"]
    assert "d" not in beside["c"]


def test_one_worker_runs_one_job_at_a_time(executor):
    keys = [unique() for _ in range(3)]
    for key in keys:
        executor.submit(job("wait", key, seconds=0.05))
    spans = [executor.outcome(key).result for key in keys]
    assert all(before["ended"] <= after["began"] for before, after in itertools.pairwise(spans))


def test_fork_server_that_was_killed_costs_one_case(tmp_path, children_before):
    with Executor(workers=2) as executor:
        executor.submit(job("wait_for_file", "running", path=str(tmp_path / "never")))
        run(executor, job("give"))
        (server,) = set(psutil.Process().children()) - children_before
        workers = server.children(recursive=True)
        server.kill()
        assert executor.outcome("running").status == CRASHED
        assert "fork server was killed" in executor.outcome("running").reason
        assert still_there([worker.pid for worker in workers]) == []
        assert run(executor, job("give", "next")).status == OK


def test_unknown_and_repeated_keys_are_refused(executor):
    key = unique()
    run(executor, job("give", key))
    with pytest.raises(ValueError, match="submitted already"):
        executor.submit(job("give", key))
    with pytest.raises(KeyError, match="no job named 'never'"):
        executor.outcome("never")


def test_error_of_a_callback_is_raised_by_outcome():
    def disk_full(outcome):
        raise OSError("no space left")

    with Executor(on_done=disk_full) as executor:
        executor.submit(job("give"))
        with pytest.raises(OSError, match="no space left"):
            executor.outcome("give")
        assert executor.outcome("give").status == OK


def test_session_calls_one_living_object():
    said = []
    with Executor(on_progress=lambda key, progress: said.append(progress)) as executor:
        with executor.open_session(job("counter")) as session:
            first, second = session.call("add", number=2), session.call("add", number=3)
            assert 0 < session.seconds_of_last_call < 1
        assert (first["total"], second["total"]) == (2, 5)
        assert first["pid"] == second["pid"]
        assert session.outcome.status == OK
        assert still_there([first["pid"]], 0) == []
    assert said == [{"total": 2}, {"total": 5}]


def test_session_survives_errors_of_calls(executor):
    with executor.open_session(job("counter")) as session:
        for method, status, says in (
            ("fail", FAILED, "ValueError: no such step"),
            ("out_of_memory", OUT_OF_MEMORY, "CUDA out of memory"),
            ("unsayable", FAILED, "not JSON serializable"),
            ("missing", FAILED, "no attribute 'missing'"),
        ):
            with pytest.raises(CallFailed, match=says) as caught:
                session.call(method)
            assert caught.value.status == status
        assert session.call("add", number=1)["total"] == 1
    with pytest.raises(RuntimeError, match="closed"):
        session.call("add", number=1)


def test_session_reports_its_workers_death(executor):
    with executor.open_session(job("counter")) as session, pytest.raises(WorkerDied, match="SIGSEGV") as caught:
        session.call("die")
    assert caught.value.outcome.status == CRASHED
    assert "dying" in caught.value.outcome.last_lines
    assert run(executor, job("give", unique())).status == OK


def test_session_call_times_out(impatient):
    session = impatient.open_session(job("counter"))
    time.sleep(1.2)  # an idle session is not late
    assert session.call("add", number=1)["total"] == 1
    with pytest.raises(WorkerDied, match="no answer within 1 s"):
        session.call("hang")
    assert session.outcome.status == TIMED_OUT


def test_session_that_does_not_open_says_why(executor):
    with pytest.raises(WorkerDied, match="say --mirror") as caught:
        executor.open_session(job("counter", mistake=True))
    assert caught.value.outcome.status == FAILED
    assert run(executor, job("give", unique())).status == OK


def test_nothing_starts_beside_a_job_that_runs_alone(tmp_path):
    with Executor(case_timeout=20) as alone, Executor(workers=3, case_timeout=20) as many:
        alone.submit(job("wait_for_file", "gate", path=str(tmp_path / "open")))
        many.submit(job("give", "other"))
        time.sleep(0.3)
        (tmp_path / "open").touch()
        assert alone.outcome("gate").beside == many.outcome("other").beside == ()


def test_executor_that_is_stopped_with_an_open_session_frees_the_machine():
    with Executor() as left:
        left.open_session(job("counter"))
    with Executor() as another:
        assert run(another, job("give", unique())).status == OK


def test_waiting_for_a_job_behind_ones_own_session_is_refused(executor):
    key = unique()
    with executor.open_session(job("counter")):
        executor.submit(job("give", key))
        with pytest.raises(RuntimeError, match="close it first"):
            executor.outcome(key)
    assert executor.outcome(key).status == OK


def test_whatever_a_callback_raises_is_raised_by_outcome():
    def skip(outcome):
        raise SystemExit("a test was skipped")

    with Executor(on_done=skip) as executor:
        executor.submit(job("give"))
        with pytest.raises(SystemExit, match="a test was skipped"):
            executor.outcome("give")


def test_executor_without_jobs_is_forgotten(executor):
    run(executor, job("give", unique()))
    assert executor not in MACHINE.executors


def test_session_has_the_machine_to_itself(executor, have_cards):
    have_cards(SMALL)
    before, during, on_a_card = unique(), unique(), unique()
    executor.submit(job("wait", before, seconds=0.3))
    with executor.open_session(job("counter")) as session:
        opened = time.time()
        executor.submit(job("wait", during, seconds=0.0))
        executor.submit(job("wait", on_a_card, ONE_CARD, seconds=0.0))
        with pytest.raises(RuntimeError, match="the session 'counter' is open"):
            executor.open_session(job("counter", "another"))
        session.call("add", number=1)
        closed = time.time()
    assert executor.outcome(before).result["ended"] <= opened
    assert min(executor.outcome(key).result["began"] for key in (during, on_a_card)) >= closed


def test_stop_kills_drops_and_leaves_no_child(children_before):
    done, pids = [], []
    executor = Executor(on_progress=lambda key, said: pids.append(said["pid"]), on_done=done.append)
    ended = run(executor, job("give"))
    executor.submit(job("hang_with_children"))
    executor.submit(job("give", "waiting"))
    while len(pids) < 3:
        time.sleep(0.02)
    children = set(psutil.Process().children(recursive=True)) - children_before
    assert len(children) >= 4, "fork server, worker and its children"
    began = time.monotonic()
    executor.stop()
    assert time.monotonic() - began < 2
    executor.stop()
    assert still_there([*pids, *(child.pid for child in children)], 0.5) == []
    for key in ("hang_with_children", "waiting"):
        assert (executor.outcome(key).status, executor.outcome(key).reason) == (NOT_RUN, "interrupted")
    assert done == [executor.outcome("give")] == [ended]
    with pytest.raises(RuntimeError, match="stopped"):
        executor.submit(job("give", "late"))


def test_stop_does_not_wait_for_the_preload(tmp_path, monkeypatch):
    (tmp_path / "slow_module.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    with Executor(preload=["slow_module"]) as executor:
        executor.submit(job("give"))
        time.sleep(0.3)
        began = time.monotonic()
        executor.stop()
        assert time.monotonic() - began < 2
        assert executor.outcome("give").status == NOT_RUN


PARENT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
sys.path[:0] = {path!r}
from bench.executor import Executor, Job
def show(*said):
    print(*said, flush=True)
show("main runs", __name__)
executor = Executor(on_progress=lambda key, said: show("pid", said["pid"]), on_done=lambda done: show("done", done.key))
executor.submit(Job("finished", "executor_works:give"))
executor.submit(Job("hanging", "executor_works:hang_with_children"))
try:
    executor.outcome("hanging")
except KeyboardInterrupt:
    began = time.monotonic()
    {on_interrupt}
    show("kept", executor.outcome("finished").status, executor.outcome("hanging").status)
    show("promptly", time.monotonic() - began < 2)
"""


@pytest.fixture
def parent(request):
    """A script without a guard of __main__ whose second job hangs; its lines until then; its processes."""
    script = PARENT.format(path=[str(ROOT), str(TESTS)], on_interrupt=getattr(request, "param", "pass"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(5)]
        family = psutil.Process(process.pid).children(recursive=True)
        family += [psutil.Process(int(line.split()[1])) for line in lines if line.startswith("pid")]
        try:
            yield process, lines, {one.pid for one in family}
        finally:
            process.kill()


@pytest.mark.parametrize("parent", ["executor.stop()"], indirect=True)
def test_interrupt_leaves_nothing_and_keeps_what_is_done(parent):
    process, lines, family = parent
    assert len(family) >= 5, "fork server, worker and its three children"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read().splitlines() == ["kept ok not_run", "promptly True"]
    assert lines[:2] == ["main runs __main__\n", "done finished\n"]
    assert process.wait() == 0
    assert still_there(family, 0.5) == []


@pytest.mark.parametrize("parent", ["sys.exit(5)"], indirect=True)
def test_parent_that_forgets_to_stop_leaves_nothing(parent):
    process, _, family = parent
    process.send_signal(signal.SIGINT)
    assert process.wait() == 5
    assert still_there(family, 0.5) == []


def test_killed_parent_leaves_nothing(parent):
    process, _, family = parent
    process.kill()
    process.wait()
    assert still_there(family) == []


def test_executor_imports_nothing_heavy():
    script = "import sys, bench.executor; print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
