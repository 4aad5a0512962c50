"""Slurm's partitions read and chosen, and its engine with submitit's local tasks in place of Slurm's.

With a real Slurm on this machine (sinfo lists a partition that is up), one array of it runs too.
"""

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.executor import Job
from bench.executor.cluster.agent import Setting
from bench.executor.cluster.engine import Attempt, Ended, Lost
from bench.executor.resources import Needs
from bench.machine.environment import describe_machine

on_slurm = pytest.importorskip("bench.executor.cluster.on_slurm", reason="needs submitit, the extra slurm")

from bench.executor.cluster.on_slurm import (  # noqa: E402
    ANY_BYTES,
    SlurmCluster,
    SlurmEngine,
    cards_of_gres,
    memory_of_kind,
    read_partitions,
    seconds_of,
)
from bench.executor.cluster.queue import ClusterExecutor  # noqa: E402
from bench.machine.cards import CARDS  # noqa: E402
from bench.records.record import FAILED, NOT_RUN, OK, TIMED_OUT  # noqa: E402

SINFO = """\
debug|up|30:00|128000|64|(null)
long|up|7-00:00:00|128000+|64|(null)
t4|up|1-00:00:00|64000|32|gpu:t4:4(S:0-1)
a100|up|infinite|512000|128|gpu:nvidia_a100-sxm4-80gb:8,nvme:1
old|down|infinite|512000|128|gpu:h100:8
any|up|infinite|512000|128|gpu:2
"""
GB = 10**9
HOUR = 3_600.0
CPU = Needs(host_memory_bytes=8 * GB)


def needs(gigabytes):
    return Needs(cards=1, card_memory_bytes=gigabytes * GB)


def test_partitions_are_read_with_their_cards():
    found = {one.name: one for one in read_partitions(SINFO, ())}
    assert list(found) == ["debug", "long", "t4", "a100", "any"]
    assert (found["debug"].seconds, found["long"].seconds, found["any"].seconds) == (1_800, 604_800, math.inf)
    assert len(found["a100"].node.cards) == 8
    assert found["a100"].node.cards[0].total_bytes == CARDS["a100_80gb"].total_bytes
    assert found["t4"].node.memory_bytes == 64_000 * 2**20


@pytest.mark.parametrize(
    ("asked", "seconds", "named", "chosen"),
    [
        (CPU, 600, (), "debug"),
        (CPU, 2 * HOUR, (), "long"),
        (CPU, 2 * HOUR, ("t4", "a100"), "t4"),
        (replace(CPU, host_memory_bytes=200 * GB), HOUR, (), "a100"),
        (needs(10), HOUR, (), "t4"),
        (needs(40), HOUR, (), "a100"),
        (needs(100), HOUR, (), "any"),  # its cards are not known: the task sees
        (needs(100), HOUR, ("t4", "a100"), None),
    ],
)
def test_partition_is_chosen_by_what_a_case_needs(asked, seconds, named, chosen):
    found = [one.name for one in read_partitions(SINFO, named) if one.holds(asked, seconds)]
    assert (found or [None])[0] == chosen


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ("30:00", 1_800),
        ("1:00:00", 3_600),
        ("2-12:00:00", 216_000),
        ("1-0", 86_400),
        ("infinite", math.inf),
        ("45", 45),
    ],
)
def test_time_limits_are_read(limit, seconds):
    assert seconds_of(limit) == seconds


@pytest.mark.parametrize(
    ("text", "count"), [("gpu:4", 4), ("gpu:a100:2(S:0)", 2), ("gpu", 1), ("nvme:1", 0), ("(null)", 0)]
)
def test_cards_are_counted(text, count):
    assert len(cards_of_gres(text)) == count


@pytest.mark.parametrize(
    ("kind", "card"),
    [("t4", "t4"), ("tesla_t4", "t4"), ("a100", "a100_40gb"), ("a100_80gb", "a100_80gb"), ("L40S", "l40s")],
)
def test_memory_of_a_kind_of_card_is_known(kind, card):
    assert memory_of_kind(kind) == CARDS[card].total_bytes
    assert memory_of_kind("mystery") == ANY_BYTES


class Partitions(SlurmCluster):
    """The partitions of SINFO, without asking Slurm."""

    def partitions(self):
        return read_partitions(SINFO, self._named)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path))
    return SlurmEngine(Partitions(), Setting(describe_machine(), case_timeout=1_200.0))


def test_array_asks_slurm_for_what_its_cases_need(engine):
    asked = Attempt(Job("a", "x:y", needs=replace(needs(40), host_memory_bytes=20 * 2**30, exclusive=True)))
    assert engine._parameters(asked) == {
        "name": "lorabench", "timeout_min": 30, "nodes": 1, "tasks_per_node": 1, "slurm_partition": "a100",
        "cpus_per_task": 16, "mem_gb": 20, "gpus_per_node": 1,
        "slurm_additional_parameters": {"no-requeue": True, "exclusive": True},
    }  # fmt: skip


def make_handle(number="7_0", result_pickle=Path("no result"), **more):
    """submitit's handle of a task of Slurm."""
    paths = SimpleNamespace(result_pickle=result_pickle, stderr="log.err")
    return SimpleNamespace(job_id=number, paths=paths, get_info=lambda mode: {}, **more)


def give_task(engine, key="a", *handle, **more):
    """Let the engine have a task with Slurm, and return it."""
    engine._tasks[key] = on_slurm.Task(Attempt(Job(key, "x:y")), make_handle(*handle, **more), engine._folder / "said")
    return engine._tasks[key]


@pytest.mark.parametrize("answer", [ConnectionError("squeue failed: timed out"), "slurm_load_jobs: a warning"])
def test_squeue_that_fails_for_a_moment_says_nothing_of_the_tasks(engine, monkeypatch, answer):
    def ask(*words):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(on_slurm, "ask_slurm", ask)
    task = give_task(engine)
    assert engine._ask_states() == []
    assert task.gone_at == 0.0
    monkeypatch.setattr(on_slurm, "SILENT_SECONDS", 0.0)
    with pytest.raises(ConnectionError, match="squeue has given no answer for 0 minutes: "):
        engine._ask_states()


def test_task_that_slurm_ended_is_known_by_its_state(engine, monkeypatch):
    monkeypatch.setattr(on_slurm, "LATE_SECONDS", 0.0)
    monkeypatch.setattr(
        on_slurm, "ask_slurm", lambda *_: "7_0|TIMEOUT|n1|a|reason\n7_1|RUNNING|n1|None\n7_2|NODE_FAIL|n2|x"
    )
    for number, key in enumerate("abc"):
        give_task(engine, key, f"7_{number}")
    ended, lost = engine._ask_states()
    assert (ended.outcome.key, ended.outcome.status, ended.outcome.node) == ("a", TIMED_OUT, "n1")
    assert (lost.key, lost.node) == ("c", "n2")
    assert list(engine._tasks) == ["b"]


@pytest.fixture
def take_at_most(engine, monkeypatch):
    """Let Slurm have at most this many tasks of the engine."""

    def at_most(limit):
        def map_array(work, settings, *_):
            if len(engine._tasks) + len(settings) > limit:
                raise RuntimeError("sbatch: error: QOSMaxSubmitJobPerUserLimit")
            return [make_handle() for _ in settings]

        executor = SimpleNamespace(update_parameters=lambda **_: None, map_array=map_array)
        monkeypatch.setattr(on_slurm.submitit, "AutoExecutor", lambda *_, **__: executor)

    return at_most


def test_array_above_slurms_limit_is_submitted_in_parts(engine, take_at_most):
    take_at_most(5)
    attempts = [Attempt(Job(str(number), "x:y")) for number in range(8)]
    assert engine.start(attempts) == ["0", "1", "2", "3", "4"]
    assert {engine.why_waiting(one) for one in attempts[5:]} == {""}, "they wait for the session's own tasks"
    engine._tasks.clear()
    assert engine.why_waiting(attempts[5]) == "Slurm refused it: sbatch: error: QOSMaxSubmitJobPerUserLimit"
    assert engine.start(attempts[5:]) == [], "Slurm is not asked again at once"


def test_case_that_slurm_took_later_is_no_longer_refused(engine, take_at_most, monkeypatch):
    monkeypatch.setattr(on_slurm, "RETRY_SECONDS", 0.0)
    one = Attempt(Job("a", "x:y"))
    take_at_most(0)
    assert engine.start([one]) == []
    take_at_most(1)
    assert engine.start([one]) == ["a"]
    assert engine._refused == {}


@pytest.mark.parametrize(("left_a_result", "kind"), [(True, Ended), (False, Lost)])
def test_only_a_task_that_left_no_result_is_lost(engine, tmp_path, left_a_result, kind):
    def result():
        raise RuntimeError("Job failed with trace:\nModuleNotFoundError: no module named bench")

    path = tmp_path / "result"
    if left_a_result:
        path.touch()
    found = engine._result("a", give_task(engine, result_pickle=path, result=result))
    assert isinstance(found, kind)
    if left_a_result:
        assert (found.outcome.status, found.outcome.reason) == (FAILED, "its task failed outside the case (log.err)")
        assert found.outcome.last_lines[-1] == "ModuleNotFoundError: no module named bench"


@pytest.mark.parametrize(("nodes", "excluded"), [(["n1", "", "n2"], "n1,n2"), ([""], None)])
def test_array_excludes_the_machines_that_are_known(engine, nodes, excluded):
    asked = Attempt(Job("a", "x:y"), tuple(Lost("a", node, "gone") for node in nodes))
    assert engine._parameters(asked)["slurm_additional_parameters"].get("exclude") == excluded


def test_task_does_not_share_its_cores_with_other_cases(monkeypatch, tmp_path):
    class OneJob(on_slurm.Agent):
        def run(self, job):
            return {"outcome": {"workers": self._setting.workers}, "said": []}

    monkeypatch.setattr(on_slurm, "Agent", OneJob)
    answer = on_slurm.run_task(Setting(describe_machine(), workers=4), {"key": "a"}, str(tmp_path / "said"))
    assert answer["outcome"] == {"workers": 1}


def test_case_that_fits_no_partition_says_what_it_needs_and_what_there_is(monkeypatch, tmp_path):
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path))
    engine = SlurmEngine(Partitions(["t4"]), Setting(describe_machine(), case_timeout=1_200.0))
    with ClusterExecutor(engine, 0.1) as executor:
        executor.submit(Job("large", "x:y", needs=needs(40)))
        outcome = executor.outcome("large")
    assert outcome.status == NOT_RUN
    assert outcome.reason.startswith(
        "needs 30 minutes, 0.0 GB of host memory and 1 CUDA device with 40.0 GB free; t4 has"
    )


def test_machine_without_slurm_is_said(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConnectionError, match="there is no Slurm here: sbatch, srun, squeue, sinfo cannot be found"):
        SlurmCluster().nodes()


def test_task_on_a_machine_with_other_libraries_is_not_run(tmp_path):
    setting = Setting({**describe_machine(), "libraries": {"torch": "1.0.0"}})
    answer = on_slurm.run_task(setting, {"key": "a"}, str(tmp_path / "said"))
    assert answer["outcome"]["status"] == NOT_RUN
    assert "is left out (" in answer["outcome"]["reason"]


def has_slurm():
    if shutil.which("sinfo") is None or shutil.which("sbatch") is None:
        return False
    done = subprocess.run(["sinfo", "-h", "-o", "%a"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "up" in done.stdout


@pytest.mark.skipif(not has_slurm(), reason="needs Slurm with a partition that is up")
def test_real_slurm_runs_an_array(monkeypatch, tmp_path):
    monkeypatch.setenv("LORABENCH_CACHE", str(tmp_path))
    engine = SlurmEngine(SlurmCluster(), Setting(describe_machine(), case_timeout=30.0))
    with ClusterExecutor(engine, 60.0) as executor:
        for key in ("a", "b"):
            executor.submit(Job(key, "executor_works:give", {"number": 1}))
        outcomes = [executor.outcome(key) for key in ("a", "b")]
    assert [outcome.status for outcome in outcomes] == [OK, OK]
    assert all(isinstance(outcome.node, str) and outcome.node for outcome in outcomes)
