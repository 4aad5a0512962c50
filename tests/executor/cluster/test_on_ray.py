"""Ray's machines: what is lost with them, what they are asked, which are left out. Each is a `ray start` on this one.

tests/executor/test_conformance.py runs what Ray's executor has in common with the others.
"""

import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs Ray, the extra ray")

from ray.exceptions import OutOfMemoryError, RayActorError

from bench.executor import Job
from bench.executor.cluster.agent import Setting
from bench.executor.cluster.on_ray import RayCluster, RayEngine, is_memory_monitors
from bench.executor.cluster.queue import ClusterExecutor
from bench.executor.resources import Needs
from bench.machine.environment import describe_machine
from bench.records.record import NOT_RUN, OK

GB = 10**9
ON_CARD = Needs(cards=1, card_memory_bytes=10 * GB)
SECONDS = 120


def job(name, key="", needs=ON_CARD, environment=None, **payload):
    return Job(key or name, f"executor_works:{name}", payload, needs, environment or {})


@pytest.fixture
def make(cluster):
    """A function that makes an executor on Ray's machines."""

    def executor(patience=60.0, prepare=None, **callbacks):
        setting = Setting(describe_machine(), case_timeout=60.0, workers=2, prepare=prepare)
        return ClusterExecutor(RayEngine(cluster, setting), patience, **callbacks)

    return executor


def wait_until(happened):
    until = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


def test_case_of_a_machine_that_is_lost_runs_once_more_on_another(nodes, cluster, make, tmp_path):
    """Node two has the smaller card, which is taken first; then only node one is left."""
    nodes.start("two", "--num-cpus=2", cards="Tesla P4=14")
    wait_until(lambda: "two" in {node.name for node in cluster.nodes()})
    log, gate = tmp_path / "log", tmp_path / "open"
    done = []
    with make(on_done=done.append) as executor:
        executor.submit(job("log_and_wait", log=str(log), path=str(gate)))
        wait_until(log.exists)
        nodes.kill("two")
        wait_until(lambda: len(log.read_text().splitlines()) == 2)
        gate.touch()
        outcome = executor.outcome("log_and_wait")
    assert (outcome.status, outcome.node, outcome.attempt) == (OK, "one", 2)
    assert outcome.earlier.startswith("attempt 1 was lost with two: ")
    assert outcome.environment["accelerator"] == "Tesla T4"
    assert done == [outcome]
    assert len(log.read_text().splitlines()) == 2


def test_case_sees_its_card_and_the_variables_that_were_named(make, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "secret")
    asked = job("report_place", environment={"NAMED": "1"}, names=["A_TOKEN", "NAMED", "FAKE_CARDS"])
    with make() as executor:
        executor.submit(asked)
        outcome = executor.outcome("report_place")
    assert outcome.status == OK, outcome.reason
    assert outcome.result["cards"] == "GPU-0"
    assert outcome.result["environment"] == {"A_TOKEN": None, "NAMED": "1", "FAKE_CARDS": "Tesla T4=15"}


def test_each_machine_is_prepared_before_its_first_case(make, tmp_path):
    log = tmp_path / "log"
    prepare = Job("prepare", "executor_works:prepare", {"log": str(log)})
    with make(prepare=prepare) as executor:
        for key in ("a", "b"):
            executor.submit(job("report_place", key, names=["PREPARED"]))
        outcomes = [executor.outcome(key) for key in ("a", "b")]
    assert [outcome.result["environment"] for outcome in outcomes] == [{"PREPARED": "1"}] * 2
    assert Path(log).read_text().splitlines() == ["prepared"]


def test_case_that_fits_no_machine_is_not_run_with_what_each_has(make):
    with make(patience=0.5) as executor:
        executor.submit(job("give", needs=replace(ON_CARD, card_memory_bytes=90 * GB)))
        outcome = executor.outcome("give")
    assert outcome.status == NOT_RUN
    assert outcome.reason.startswith("needs 1 CUDA device with 90.0 GB free; one has Tesla T4 with 15.0 GB free; ")


def test_machine_with_other_libraries_is_left_out_by_name(nodes, cluster, tmp_path):
    (tmp_path / "peft-9.9.9.dist-info").mkdir()
    (tmp_path / "peft-9.9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: peft\nVersion: 9.9.9\n")
    nodes.start("three", "--num-cpus=1", before=tmp_path)
    wait_until(lambda: "three" in {node.name for node in cluster.nodes()})
    (three,) = [node for node in cluster.nodes() if node.name == "three"]
    assert three.refused == f"peft 9.9.9 there, {describe_machine()['libraries']['peft']} here"
    nodes.kill("three")


@pytest.mark.parametrize(
    ("error", "is_theirs"),
    [
        (OutOfMemoryError("1 worker(s) were killed due to the node running low on memory."), True),
        (RayActorError(error_msg="Worker exit type: NODE_OUT_OF_MEMORY"), True),
        (RayActorError(error_msg="Some common causes include: (1) the process was killed by the OOM killer"), False),
    ],
)
def test_what_rays_memory_monitor_ends_is_not_a_lost_machine(error, is_theirs):
    assert is_memory_monitors(error) is is_theirs


def test_no_ray_at_the_address_is_said(monkeypatch):
    import ray

    def refuse(*_, **__):
        raise ConnectionError("Failed to connect to Ray cluster at 127.0.0.9:1")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(ConnectionError, match="there is no Ray at 127.0.0.9:1 .*; start it by `ray start`"):
        RayCluster("127.0.0.9:1").nodes()
