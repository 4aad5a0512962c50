"""What runs on a machine of a cluster: an agent that keeps an executor there, so that libraries are imported once.

An engine starts the agent in a process of its own and calls its methods, `run` from one thread and the others from
more. Everything that goes in and out is plain data.
"""

import os
import platform
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from filelock import FileLock

from bench.core.paths import cache_folder
from bench.core.work import PREPARED, VARIABLES
from bench.executor.cluster.engine import differences
from bench.executor.job import Job, Outcome
from bench.executor.pool import Executor
from bench.executor.resources import Needs, Node
from bench.machine.devices import Card
from bench.records.record import NOT_RUN, OK


@dataclass(frozen=True)
class Setting:
    """What every agent of a session is told.

    environment is the session's own: a machine with other libraries is refused. workers is the number of agents that
    share a machine, and prepare a job that each machine runs before its first, for example to fetch weights.
    """

    environment: dict[str, Any]
    preload: tuple[str, ...] = ()
    case_timeout: float = 600.0
    workers: int = 1
    prepare: Job | None = None
    prepare_preload: tuple[str, ...] = ()
    prepare_seconds: float = 3_600.0


def describe_node(name: str, expected: Mapping[str, Any], cards: int | None = None) -> Node:
    """The machine of this process. It is refused if its libraries differ from what is expected.

    cards is the number of cards that the engine lends here; None if that is all of them.
    """
    (here,) = Executor.resources()
    differ = differences(expected, here.environment)
    return replace(here, name=name, cards=here.cards[:cards], refused=differ)


class Agent:
    """Runs one job after another on its machine, with the machine's own environment and the job's variables."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._said: list[tuple[str, dict[str, Any]]] = []
        self._turn = threading.Lock()  # guards _said
        self._executor = Executor(setting.preload, setting.case_timeout, on_progress=self._note)
        self._prepared: dict[str, str] | None = None  # variables that preparing the machine gave
        self._complaint = ""  # why it could not be prepared

    def cards(self) -> list[dict[str, Any]]:
        """The cards that this agent's jobs can use."""
        return [asdict(card) for node in self._executor.resources() for card in node.cards]

    def run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Run the job; its outcome, and the progress that nobody has asked for yet."""
        asked = job_from(job)
        if (prepared := self._prepare()) is None:
            outcome = Outcome(asked.key, NOT_RUN, f"{platform.node()} could not be prepared: {self._complaint}")
        else:
            cores = max(1, self._executor.resources()[0].cores // self._setting.workers)
            own = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(cores)}
            self._executor.submit(replace(asked, environment={**own, **prepared, **asked.environment}))
            outcome = self._executor.outcome(asked.key)
        return {"outcome": asdict(outcome), "said": self.progress()}

    def progress(self) -> list[tuple[str, dict[str, Any]]]:
        """What jobs have said since the last call."""
        with self._turn:
            said, self._said = self._said, []
        return said

    def stop(self) -> None:
        """End what runs."""
        self._executor.stop()

    def _note(self, key: str, said: dict[str, Any]) -> None:
        with self._turn:
            self._said.append((key, said))

    def _prepare(self) -> dict[str, str] | None:
        """The variables that preparing the machine gave, once; None if it failed. What it found is progress.

        Agents of one machine take turns, so that only the first of them fetches anything.
        """
        setting, job = self._setting, self._setting.prepare
        if job is None or self._prepared is not None:
            return self._prepared or {}
        cache_folder().mkdir(parents=True, exist_ok=True)
        with (
            FileLock(cache_folder() / f".prepare-{platform.node()}.lock"),
            Executor(setting.prepare_preload, setting.prepare_seconds, on_progress=self._note) as executor,
        ):
            executor.submit(job)
            outcome = executor.outcome(job.key)
        if outcome.status != OK or outcome.result is None:
            self._complaint = outcome.reason
            return None
        self._note(job.key, {PREPARED: outcome.result})
        self._prepared = outcome.result.get(VARIABLES, {})
        return self._prepared


def job_from(values: Mapping[str, Any]) -> Job:
    """The job that asdict made these values of."""
    return Job(**{**values, "needs": Needs(**values["needs"])})


def outcome_from(values: Mapping[str, Any]) -> Outcome:
    """The outcome that asdict made these values of."""
    return Outcome(**{**values, "beside": tuple(values["beside"])})


def cards_from(rows: list[dict[str, Any]]) -> tuple[Card, ...]:
    """The cards that asdict made these rows of."""
    return tuple(Card(**row) for row in rows)
