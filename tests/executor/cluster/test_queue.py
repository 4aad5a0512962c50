"""The queue of a cluster, with an engine that does what each test tells it to; tests/executor/test_conformance.py runs
it with real ones.
"""

import threading
import time
from dataclasses import replace

import pytest

from bench.executor import Job, Outcome
from bench.executor.cluster.engine import Attempt, Ended, Lost, Said, differences, why_no_node
from bench.executor.cluster.queue import ClusterExecutor
from bench.executor.resources import Needs, Node
from bench.machine.devices import Card
from bench.records.record import CRASHED, FAILED, NOT_RUN, OK

GB = 10**9
NODES = (
    Node("small", (Card("Tesla T4", 15 * GB, 14 * GB, "580", "GPU-1"),)),
    Node("other", refused="torch 2.12.0 there, 2.13.0 here"),
    Node("plain"),
)


class Script:
    """An engine of one place. `does` maps a job's key to what becomes of each of its attempts."""

    def __init__(self, does=None, why="", places=1):
        self.does = does or {}
        self.why = why
        self.places = places
        self.started = []  # (key, number of the attempt, nodes to avoid)
        self.waiting_events = []
        self.gate = threading.Event()
        self.gate.set()
        self.stopped = False

    def nodes(self):
        return NODES

    def start(self, attempts):
        if not self.gate.is_set():
            return []
        taken = [] if self.why else list(attempts)[: self.places - len(self.waiting_events)]
        for attempt in taken:
            key = attempt.job.key
            self.started.append((key, attempt.number, attempt.avoid))
            self.waiting_events.append(self.does.get(key, [ended])[attempt.number - 1](attempt))
        return [attempt.job.key for attempt in taken]

    def why_waiting(self, attempt):
        return self.why

    def events(self):
        time.sleep(0.005)
        found, self.waiting_events = [event for events in self.waiting_events for event in events], []
        return found

    def stop(self):
        self.stopped = True


def ended(attempt):
    key = attempt.job.key
    return [Said(key, {"line": "runs"}), Ended(Outcome(key, OK, result={}, node="small", environment={"cores": 8}))]


def lost(attempt):
    return [Lost(attempt.job.key, f"node{attempt.number}", "it died", {"cores": attempt.number})]


def nothing(attempt):
    return []


def job(key, needs=None):
    return Job(key, "some.module:work", needs=needs or Needs())


def keys_of(script):
    return [key for key, _, _ in script.started]


def test_a_lost_job_is_started_once_more_on_another_node():
    script = Script({"a": [lost, ended]})
    with ClusterExecutor(script, 5.0) as executor:
        executor.submit(job("a"))
        outcome = executor.outcome("a")
    assert script.started == [("a", 1, ()), ("a", 2, ("node1",))]
    assert (outcome.status, outcome.attempt, outcome.node) == (OK, 2, "small")
    assert outcome.earlier == "attempt 1 was lost with node1: it died"


def test_a_job_that_is_lost_twice_crashed_where_it_was_last():
    script = Script({"a": [lost, lost, ended]})
    with ClusterExecutor(script, 5.0) as executor:
        executor.submit(job("a"))
        outcome = executor.outcome("a")
    assert (outcome.status, outcome.attempt, outcome.node) == (CRASHED, 2, "node2")
    assert outcome.environment == {"cores": 2}
    assert outcome.reason == "attempt 1 was lost with node1: it died; attempt 2 was lost with node2: it died"


@pytest.mark.parametrize("status", [CRASHED, FAILED, NOT_RUN])
def test_what_a_job_does_itself_is_never_repeated(status):
    script = Script({"a": [lambda attempt: [Ended(Outcome("a", status, "its own fault"))], ended]})
    with ClusterExecutor(script, 5.0) as executor:
        executor.submit(job("a"))
        assert executor.outcome("a").status == status
    assert keys_of(script) == ["a"]


def test_first_outcome_counts_and_a_late_one_is_dropped():
    """After a machine is lost, what it ran may still report."""

    def twice(attempt):
        return [*ended(attempt), Ended(Outcome("a", CRASHED, "late")), Lost("a", "node1", "late")]

    done = []
    with ClusterExecutor(Script({"a": [twice]}), 5.0, on_done=done.append) as executor:
        executor.submit(job("a"))
        assert executor.outcome("a").status == OK
        executor.submit(job("b"))
        executor.outcome("b")
    assert [outcome.key for outcome in done] == ["a", "b"]


def test_a_job_that_fits_nowhere_is_given_up_with_the_reason():
    with ClusterExecutor(Script(why="needs 90 GB; no machine has that"), 0.1) as executor:
        executor.submit(job("a"))
        outcome = executor.outcome("a")
    assert outcome.status == NOT_RUN
    assert outcome.reason == "needs 90 GB; no machine has that; waited 0.1 s for a machine (--placement-timeout)"


def test_a_lost_job_for_which_no_other_machine_is_left_crashed():
    script = Script({"a": [lost]})
    with ClusterExecutor(script, 0.1, on_progress=lambda key, said: None) as executor:
        executor.submit(job("a"))
        while not script.started:
            time.sleep(0.005)
        script.why = "the cluster has no node"
        outcome = executor.outcome("a")
    assert outcome.status == CRASHED
    assert outcome.reason.startswith("attempt 1 was lost with node1: it died; the cluster has no node; waited 0.1 s")


def test_waiting_for_ones_turn_has_no_deadline():
    script = Script()
    script.gate.clear()
    with ClusterExecutor(script, 0.05) as executor:
        executor.submit(job("a"))
        time.sleep(0.3)
        script.gate.set()
        assert executor.outcome("a").status == OK


def test_first_goes_ahead():
    script = Script()
    script.gate.clear()
    with ClusterExecutor(script, 5.0) as executor:
        for key in "abc":
            executor.submit(job(key))
        executor.first("c")
        script.gate.set()
        assert executor.outcome("b").status == OK
    assert keys_of(script) == ["c", "a", "b"]


def test_progress_comes_before_the_outcome():
    said = []
    with ClusterExecutor(Script(), 5.0, lambda *message: said.append(message), said.append) as executor:
        executor.submit(job("a"))
        outcome = executor.outcome("a")
    assert said == [("a", {"line": "runs"}), outcome]


def test_error_of_a_callback_is_raised_by_outcome():
    def disk_full(outcome):
        raise OSError("no space left")

    with ClusterExecutor(Script(), 5.0, on_done=disk_full) as executor:
        executor.submit(job("a"))
        with pytest.raises(OSError, match="no space left"):
            executor.outcome("a")
        assert executor.outcome("a").status == OK


def test_error_of_the_engine_ends_every_job():
    def broken(attempt):
        raise ConnectionError("the head node is gone")

    with ClusterExecutor(Script({"a": [broken]}), 5.0) as executor:
        executor.submit(job("a"))
        executor.submit(job("b"))
        for key in "ab":
            assert executor.outcome(key).reason == "the cluster was lost: ConnectionError: the head node is gone"
        executor.submit(job("c"))
        assert executor.outcome("c").status == OK, "the next job tries again"


def test_stop_drops_what_waits_and_runs_and_says_nothing_of_it():
    script, done = Script({"a": [nothing]}), []
    executor = ClusterExecutor(script, 5.0, on_done=done.append)
    executor.submit(job("a"))
    executor.submit(job("b"))
    executor.stop()
    executor.stop()
    assert script.stopped
    assert [executor.outcome(key).reason for key in "ab"] == ["interrupted"] * 2
    assert done == []
    with pytest.raises(RuntimeError, match="stopped"):
        executor.submit(job("c"))


def test_thousands_of_jobs_cost_milliseconds_each():
    script = Script(places=50)
    with ClusterExecutor(script, 5.0) as executor:
        began = time.monotonic()
        for number in range(2_000):
            executor.submit(job(str(number)))
        assert executor.outcome("1999").status == OK
        assert time.monotonic() - began < 8
    assert len(set(keys_of(script))) == len(script.started) == 2_000


def test_reason_names_what_each_machine_has():
    wanted = Attempt(job("a", Needs(cards=1, card_memory_bytes=20 * GB)), (Lost("a", "plain", "it died"),))
    assert why_no_node(wanted, NODES) == (
        "needs 1 CUDA device with 20.0 GB free; small has Tesla T4 with 14.0 GB free; "
        "other is left out (torch 2.12.0 there, 2.13.0 here); plain lost an attempt"
    )
    assert why_no_node(Attempt(job("a")), ()) == "needs no CUDA devices; the cluster has no node"


HERE = {"python": "3.11.9", "code": "sha256:a", "libraries": {"torch": "2.13.0", "peft": "0.21.2"}}


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({}, ""),
        ({"processor": "another", "cores": 96}, ""),
        ({"libraries": {"torch": "2.12.0", "peft": "0.21.2"}}, "torch 2.12.0 there, 2.13.0 here"),
        ({"libraries": {"torch": "2.13.0", "peft": None}}, "peft is missing there, 0.21.2 here"),
        ({"python": "3.12.1"}, "Python 3.12.1 there, 3.11.9 here"),
        ({"code": "sha256:b"}, "another version of lorabench there"),
    ],
)
def test_machines_with_other_libraries_are_named_with_both_versions(there, says):
    assert differences(HERE, {**HERE, **there}) == says


def test_attempts_count_from_one():
    again = replace(Attempt(job("a")), lost=(Lost("a", "node1", "it died"),))
    assert (Attempt(job("a")).number, again.number, again.avoid) == (1, 2, ("node1",))
