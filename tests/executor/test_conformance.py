"""What every executor does alike: this machine's, Ray's (two nodes on this machine) and Slurm's (submitit's local tasks).

The works are in tests/executor_works.py. Every test runs once for each executor; where a library is not installed, its
part is skipped.
"""

import time

import psutil
import pytest

from bench.executor import Job
from bench.records.record import CRASHED, FAILED, NOT_RUN, OK, OUT_OF_MEMORY, TIMED_OUT

MEGABYTES = 1_000_000
HANG_SECONDS = 2.0


def job(name, key="", memory_limit_bytes=0, **payload):
    return Job(key or name, f"executor_works:{name}", payload, memory_limit_bytes=memory_limit_bytes)


CALAMITIES = {
    "give": (job("give", number=1, text="ü"), OK, ""),
    "raise_it": (job("raise_it", kind="ValueError", arguments=["rank=0"]), FAILED, "ValueError: rank=0"),
    "segfault": (job("segfault"), CRASHED, "killed by signal 11 (SIGSEGV)"),
    "kill_itself": (job("kill_itself"), CRASHED, "killed by signal 9 (SIGKILL)"),
    "exit_at_once": (job("exit_at_once"), CRASHED, "exited with code 3 before it answered"),
    "lose_answer": (job("lose_answer"), CRASHED, "exited with code 1 before it answered"),
    "take_memory": (
        job("take_memory", memory_limit_bytes=300 * MEGABYTES), OUT_OF_MEMORY, "above its limit of 0.30 GB",
    ),
    "progress": (job("progress"), OK, ""),
}  # fmt: skip


def test_every_calamity_is_its_cases_status_and_nothing_runs_twice(make):
    """One executor for all, so that each calamity is followed by the next job's work."""
    said, done = [], []
    with make(on_progress=lambda key, word: said.append((key, word)), on_done=done.append) as executor:
        for asked, _, _ in CALAMITIES.values():
            executor.submit(asked)
        outcomes = {name: executor.outcome(asked.key) for name, (asked, _, _) in CALAMITIES.items()}
    for name, (_, status, reason) in CALAMITIES.items():
        found = outcomes[name]
        assert found.status == status, f"{name}: {found.status}, {found.reason}"
        assert found.reason.endswith(reason), f"{name}: {found.reason}"
        assert found.attempt == 1, f"{name} was started {found.attempt} times"
    assert outcomes["give"].result["given"] == {"number": 1, "text": "ü"}
    assert sorted(one.key for one in done) == sorted(CALAMITIES)
    steps = [word["step"] for key, word in said if key == "progress" and "step" in word]
    assert steps == [0, 1, 2, 3, 4]
    assert any("Segmentation fault" in line for line in outcomes["segfault"].last_lines)


def test_a_case_that_hangs_is_ended_once(make):
    with make(case_timeout=HANG_SECONDS) as executor:
        executor.submit(job("loop"))
        found = executor.outcome("loop")
    assert (found.status, found.attempt) == (TIMED_OUT, 1)
    assert found.reason == f"no answer within {HANG_SECONDS:g} s (--case-timeout)"
    assert any("in loop" in line for line in found.last_lines)


def test_two_sessions_run_at_once(make):
    with make() as one, make() as another:
        for number, executor in enumerate((one, another)):
            executor.submit(job("wait", f"job {number}", seconds=0.1))
        assert [executor.outcome(f"job {n}").status for n, executor in enumerate((one, another))] == [OK, OK]


def test_stop_ends_what_runs_and_drops_what_waits(make):
    """What Ctrl-C does to a session: nothing is left of a hanging job, whatever it started."""
    pids, done = [], []
    executor = make(on_progress=lambda key, said: pids.append(said["pid"]), on_done=done.append)
    executor.submit(job("hang_with_children"))
    until = time.monotonic() + 60
    while len(pids) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(pids) == 3
    executor.submit(job("give", "waiting"))
    executor.stop()
    executor.stop()
    found = executor.outcome("hang_with_children")
    assert (found.status, found.reason) == (NOT_RUN, "interrupted")
    assert executor.outcome("waiting").status in (NOT_RUN, OK)
    assert "hang_with_children" not in [one.key for one in done]
    while (left := [pid for pid in pids if runs(pid)]) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []
    with pytest.raises(RuntimeError, match="stopped"):
        executor.submit(job("give", "late"))


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_executors_name_their_machines(make):
    """Slurm's partitions are read from its own commands, which this machine may lack."""
    with make() as executor:
        try:
            found = executor.resources()
        except ConnectionError as error:
            pytest.skip(str(error))
        assert found
        assert all(node.name and node.cores for node in found if not node.refused)
