"""Slurm as an engine, by submitit: one task of an array per case, and Slurm decides when and where.

Cases that need the same are one array. The partition is the first in which the case's predicted need fits, and the time
is the case's own limit and what starting takes, so lorabench's limit ends a case before Slurm does. Slurm repeats
nothing (--no-requeue). The folder for what goes in and out lies in the cache, which the machines must share.
"""

import itertools
import json
import math
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import submitit

from bench.core.paths import cache_folder
from bench.core.units import gigabytes
from bench.executor.cluster.agent import Agent, Setting, describe_node, outcome_from
from bench.executor.cluster.engine import Attempt, Ended, Event, Lost, Said, why_no_node
from bench.executor.job import Outcome
from bench.executor.resources import Needs, Node, choose_cards
from bench.machine.cards import CARDS
from bench.machine.devices import Card
from bench.machine.environment import describe_machine
from bench.records.record import CRASHED, FAILED, NOT_RUN, OUT_OF_MEMORY, TIMED_OUT

WAIT_SECONDS = 0.2  # between two looks at the folder
SQUEUE_SECONDS = 5.0  # between two questions to Slurm
PROGRESS_SECONDS = 1.0
RETRY_SECONDS = 30.0  # after Slurm refused an array: a limit of waiting tasks passes
LONGEST_ARRAY = 1_000  # Slurm's MaxArraySize is 1,001 where nobody has changed it
SILENT_SECONDS = 300.0  # that squeue may fail before the cluster counts as lost
START_SECONDS = 600.0  # allowed for starting Python and importing the libraries, beside the case's own limit
STOP_SECONDS = 30.0  # for processes of this machine to end after they were told to
LATE_SECONDS = 30.0  # from a task's end to its result: a network disk may show it late
KEPT_LINES = 30  # of the error of a task
ANY_BYTES = 2**62  # memory of a card whose kind is not known: the task itself sees whether it is enough
UNLIMITED = ("infinite", "n/a", "UNLIMITED")
ENDED_STATES = {
    "TIMEOUT": TIMED_OUT, "DEADLINE": TIMED_OUT, "OUT_OF_MEMORY": OUT_OF_MEMORY, "CANCELLED": NOT_RUN,
    "FAILED": CRASHED, "COMPLETED": CRASHED,
}  # fmt: skip
LOST_STATES = ("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED")


def run_task(setting: Setting, job: dict[str, Any], said_path: str) -> dict[str, Any]:
    """A task of an array: run the job here. Progress goes into a file, as lines of JSON."""
    node = describe_node(platform.node(), setting.environment)
    if node.refused:
        outcome = Outcome(job["key"], NOT_RUN, f"{node.name} is left out ({node.refused})")
        return {"outcome": asdict(outcome), "node": node.name, "environment": node.environment}
    agent, over = Agent(replace(setting, workers=1)), threading.Event()  # a task has its share of the machine

    def pass_on() -> None:
        with Path(said_path).open("a", encoding="utf-8") as file:
            for key, said in agent.progress():
                file.write(json.dumps([key, said]) + "\n")

    def keep_passing_on() -> None:
        while not over.wait(PROGRESS_SECONDS):
            pass_on()

    thread = threading.Thread(target=keep_passing_on, daemon=True)
    thread.start()
    try:
        answer = agent.run(job)
    finally:
        over.set()
        thread.join()
        agent.stop()
    with Path(said_path).open("a", encoding="utf-8") as file:
        for key, said in answer["said"]:
            file.write(json.dumps([key, said]) + "\n")
    return {"outcome": answer["outcome"], "node": node.name, "environment": node.environment}


@dataclass(frozen=True)
class Partition:
    """A partition of Slurm and what its machines have; seconds is its time limit."""

    name: str
    node: Node
    seconds: float

    def holds(self, needs: Needs, seconds: float) -> bool:
        return (
            seconds <= self.seconds
            and choose_cards(needs, self.node.cards, ()) is not None
            and needs.host_memory_bytes <= self.node.memory_bytes
            and needs.cores <= self.node.cores
        )


def read_partitions(text: str, named: Sequence[str]) -> list[Partition]:
    """The partitions in the output of sinfo, those that are named or all; those without cards and with the least
    memory first.

    Each line is partition|availability|time limit|megabytes|cores|gres.
    """
    found = []
    for line in filter(None, text.splitlines()):
        name, available, limit, megabytes, cores, gres = line.split("|")
        if available != "up" or (named and name not in named):
            continue
        cards = tuple(itertools.chain.from_iterable(map(cards_of_gres, gres.split(","))))
        node = Node(name, cards, int(cores.rstrip("+")), int(megabytes.rstrip("+")) * 2**20)
        found.append(Partition(name, node, seconds_of(limit)))
    return sorted(found, key=lambda one: (sum(card.total_bytes for card in one.node.cards), one.node.memory_bytes))


def cards_of_gres(text: str) -> list[Card]:
    """The cards of one entry of gres: gpu:4, gpu:a100:4 or gpu:a100:4(S:0-1); none for other resources."""
    words = text.partition("(")[0].split(":")
    if words[0] != "gpu":
        return []
    kind, count = (words[1] if len(words) > 2 else ""), int(words[-1]) if words[-1].isdigit() else 1
    size = memory_of_kind(kind)
    return [Card(kind or "GPU", size, size, "", uuid=str(number)) for number in range(count)]


def memory_of_kind(kind: str) -> int:
    """The least memory that a card of this name has; ANY_BYTES for a name that bench.machine.cards does not know."""
    words = kind.lower().replace("-", "_")
    known = [card for card in CARDS if card.name.split("_")[0] in words.split("_")]
    exact = [card for card in known if all(word in words.split("_") for word in card.name.split("_"))]
    return min((card.total_bytes for card in exact or known), default=ANY_BYTES)


def seconds_of(limit: str) -> float:
    """Slurm's time limit in seconds: days-hours:minutes:seconds, or less of it."""
    if limit in UNLIMITED:
        return math.inf
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, seconds = [*parts, 0, 0][:3] if days else [0, 0, *parts][-3:]
    return int(days or 0) * 86_400 + hours * 3_600 + minutes * 60 + seconds


def read_states(text: str) -> dict[str, tuple[str, str, str]]:
    """State, node and reason of each task in squeue's output. Raises ValueError for a line that has other columns."""
    rows = [line.split("|", 3) for line in text.splitlines()]
    return {number: (state, node, why) for number, state, node, why in rows}


class SlurmCluster:
    """Slurm's partitions, those of these names or all."""

    def __init__(self, partitions: Sequence[str] = ()) -> None:
        self._named = tuple(partitions)
        self._found: list[Partition] | None = None

    def partitions(self) -> list[Partition]:
        """Raises ConnectionError without Slurm, and for a partition that it does not have."""
        if self._found is None:
            if missing := [name for name in ("sbatch", "srun", "squeue", "sinfo") if shutil.which(name) is None]:
                raise ConnectionError(
                    f"there is no Slurm here: {', '.join(missing)} cannot be found; run it on a login node"
                )
            self._found = read_partitions(ask_slurm("sinfo", "-h", "-o", "%R|%a|%l|%m|%c|%G"), self._named)
            if lost := sorted(set(self._named) - {one.name for one in self._found}):
                raise ConnectionError(f"Slurm has no partition {', '.join(lost)} that is up; `sinfo` lists them")
        return self._found

    def nodes(self) -> tuple[Node, ...]:
        """What the machines of each partition have. Their libraries are this machine's, from the shared disk."""
        return tuple(replace(one.node, environment=describe_machine()) for one in self.partitions())

    def close(self) -> None:
        """Nothing is open."""


def ask_slurm(*words: str) -> str:
    """The output of Slurm's command. Raises ConnectionError with what it complains about."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConnectionError(f"{words[0]} failed: {' '.join(done.stderr.split())}")
    return done.stdout


@dataclass
class Task:
    """A case that Slurm has: submitit's handle, its progress file and how much of it was read."""

    attempt: Attempt
    handle: Any
    said: Path
    read: int = 0
    gone_at: float = 0.0  # when Slurm said that it had ended


def is_running(task: Task) -> bool:
    """Whether the process of a task of this machine lives; it is reaped if not."""
    return bool(task.handle.get_info()["jobState"] == "RUNNING")


class SlurmEngine:
    """Submits cases as arrays, and reads their results from the shared folder.

    carrier is submitit's: "slurm", or "local" for processes of this machine, at_once at a time.
    """

    def __init__(self, cluster: SlurmCluster, setting: Setting, carrier: str = "slurm", at_once: int = 0) -> None:
        self._cluster = cluster
        self._setting = setting
        self._carrier = carrier
        self._at_once = at_once
        self._folder = cache_folder().absolute() / "slurm" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        self._tasks: dict[str, Task] = {}
        self._numbers = itertools.count()
        self._asked = 0.0
        self._silent_since = 0.0  # when squeue began to fail; 0 while it answers
        self._refused: dict[str, tuple[float, str]] = {}  # key -> when and why Slurm did not take it
        self._whole_seconds = setting.case_timeout + START_SECONDS

    def nodes(self) -> tuple[Node, ...]:
        return self._cluster.nodes()

    def start(self, attempts: Sequence[Attempt]) -> Collection[str]:
        """Submit all of them, an array for those that need the same."""
        if self._at_once:
            attempts = attempts[: max(self._at_once - len(self._tasks), 0)]
        ready = [one for one in attempts if self._carrier == "local" or self._partition(one)]
        late = time.monotonic() - RETRY_SECONDS
        ready = [one for one in ready if self._refused.get(one.job.key, (late, ""))[0] <= late]
        alike = lambda one: (repr(one.job.needs), one.avoid)  # noqa: E731
        started: list[str] = []
        for _, group in itertools.groupby(sorted(ready, key=alike), key=alike):
            rows = list(group)
            for begin in range(0, len(rows), LONGEST_ARRAY):
                started += self._submit(rows[begin : begin + LONGEST_ARRAY])
        return started

    def why_waiting(self, attempt: Attempt) -> str:
        """Why no partition takes the attempt; Slurm's own words if it refused it.

        Slurm may refuse it because it has enough of this session's tasks: then it waits for their end.
        """
        if refused := self._refused.get(attempt.job.key):
            return "" if self._tasks else f"Slurm refused it: {refused[1]}"
        if self._carrier == "local" or self._partition(attempt):
            return ""
        minutes, memory = self._whole_seconds / 60, gigabytes(attempt.job.needs.host_memory_bytes, 1)
        have = why_no_node(attempt, self._cluster.nodes()).removeprefix("needs ")
        return f"needs {minutes:.0f} minutes, {memory} of host memory and {have}; `sinfo` shows the partitions' limits"

    def events(self) -> list[Event]:
        """What has arrived in the folder, and what Slurm says of tasks that ended without a result."""
        time.sleep(WAIT_SECONDS)
        found: list[Event] = []
        for key, task in list(self._tasks.items()):
            ended = task.handle.paths.result_pickle.exists()
            found += read_said(task)
            if ended:
                found.append(self._result(key, task))
        if self._carrier == "local":
            return found + [one for task in list(self._tasks.values()) if (one := self._local_end(task))]
        if self._tasks and time.monotonic() - self._asked >= SQUEUE_SECONDS:
            found += self._ask_states()
        return found

    def stop(self) -> None:
        """Cancel what waits or runs."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.handle.cancel(check=False)
        until = time.monotonic() + STOP_SECONDS
        while self._carrier == "local" and any(map(is_running, tasks.values())) and time.monotonic() < until:
            time.sleep(WAIT_SECONDS)

    def _partition(self, attempt: Attempt) -> Partition | None:
        return next(
            (one for one in self._cluster.partitions() if one.holds(attempt.job.needs, self._whole_seconds)), None
        )

    def _submit(self, attempts: Sequence[Attempt]) -> list[str]:
        """Submit these as one array, or as smaller ones if Slurm refuses it; the keys of those that Slurm took."""
        try:
            self._submit_array(attempts)
        except (subprocess.CalledProcessError, RuntimeError) as error:  # what submitit raises when sbatch fails
            half = len(attempts) // 2
            started = self._submit(attempts[:half]) if half else []
            if half and len(started) == half:
                return started + self._submit(attempts[half:])
            now = time.monotonic()
            self._refused |= {one.job.key: (now, " ".join(str(error).split())) for one in attempts[half:]}
            return started
        return [one.job.key for one in attempts]

    def _submit_array(self, attempts: Sequence[Attempt]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(self._folder, cluster=self._carrier)
        executor.update_parameters(**self._parameters(attempts[0]))
        said = [self._folder / f"{next(self._numbers)}.jsonl" for _ in attempts]
        rows = ([self._setting] * len(attempts), [asdict(one.job) for one in attempts], [str(path) for path in said])
        handles = executor.map_array(run_task, *rows)
        for one, handle, path in zip(attempts, handles, said, strict=True):
            self._tasks[one.job.key] = Task(one, handle, path)
            self._refused.pop(one.job.key, None)

    def _parameters(self, attempt: Attempt) -> dict[str, Any]:
        """submitit's names for what these attempts need."""
        needs = attempt.job.needs
        found: dict[str, Any] = {"timeout_min": math.ceil(self._whole_seconds / 60), "name": "lorabench"}
        if self._carrier == "local":
            return found
        partition = self._partition(attempt)
        assert partition is not None  # start() submits only what a partition holds
        found |= {"nodes": 1, "tasks_per_node": 1, "slurm_partition": partition.name}
        found["cpus_per_task"] = needs.cores or max(1, partition.node.cores // max(len(partition.node.cards), 1))
        if needs.host_memory_bytes:
            found["mem_gb"] = math.ceil(needs.host_memory_bytes / 2**30)
        if needs.cards:
            found["gpus_per_node"] = needs.cards
        more: dict[str, Any] = {"no-requeue": True}
        if avoid := ",".join(filter(None, attempt.avoid)):  # Slurm may not have said where a task was lost
            more["exclude"] = avoid
        if needs.exclusive:
            more["exclusive"] = True
        return found | {"slurm_additional_parameters": more}

    def _result(self, key: str, task: Task) -> Event:
        del self._tasks[key]
        try:
            answer = task.handle.result()
        except Exception as error:  # of the task itself, or of reading its file
            paths, node = task.handle.paths, self._node_of(task)
            if not paths.result_pickle.exists():
                return Lost(key, node, " ".join(str(error).split()))
            reason = f"its task failed outside the case ({paths.stderr})"
            return Ended(Outcome(key, FAILED, reason, str(error).splitlines()[-KEPT_LINES:], node=node))
        outcome = outcome_from(answer["outcome"])
        environment = {**answer["environment"], **outcome.environment}
        return Ended(replace(outcome, node=answer["node"], environment=environment))

    def _local_end(self, task: Task) -> Event | None:
        """What became of a task of this machine that ended without a result."""
        if is_running(task) or task.handle.paths.result_pickle.exists():
            return None
        key = task.attempt.job.key
        del self._tasks[key]
        return Lost(key, platform.node(), f"its task ended without a result ({task.handle.paths.stderr})")

    def _ask_states(self) -> list[Event]:
        """What Slurm says of tasks that have ended without a result; nothing while squeue fails for a moment.

        Raises ConnectionError once it has failed for SILENT_SECONDS.
        """
        self._asked = time.monotonic()
        found: list[Event] = []
        try:
            states = read_states(ask_slurm("squeue", "-h", "-r", "-t", "all", "--me", "-o", "%i|%T|%N|%r"))
        except (OSError, ValueError) as error:
            self._silent_since = self._silent_since or self._asked
            if self._asked - self._silent_since < SILENT_SECONDS:
                return []
            raise ConnectionError(f"squeue has given no answer for {SILENT_SECONDS / 60:g} minutes: {error}") from None
        self._silent_since = 0.0
        for key, task in list(self._tasks.items()):
            state, node, why = states.get(task.handle.job_id, ("COMPLETED", "", "Slurm has forgotten it"))
            if state not in ENDED_STATES and state not in LOST_STATES:
                task.gone_at = 0.0
                continue
            task.gone_at = task.gone_at or time.monotonic()
            if time.monotonic() - task.gone_at < LATE_SECONDS:
                continue
            del self._tasks[key]
            reason = f"Slurm ended the task without a result: {state}, {why} ({task.handle.paths.stderr})"
            if state in LOST_STATES:
                found.append(Lost(key, node, reason))
            else:
                found.append(Ended(Outcome(key, ENDED_STATES[state], reason, node=node)))
        return found

    def _node_of(self, task: Task) -> str:
        return (
            platform.node() if self._carrier == "local" else str(task.handle.get_info(mode="cache").get("NodeList", ""))
        )


def read_said(task: Task) -> list[Event]:
    """The progress that was written since the last look; a half-written line waits."""
    try:
        with task.said.open("rb") as file:
            file.seek(task.read)
            lines = file.read()
    except OSError:  # not there yet
        return []
    whole = lines[: lines.rfind(b"\n") + 1]
    task.read += len(whole)
    return [Said(*json.loads(line)) for line in whole.splitlines()]
