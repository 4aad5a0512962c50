"""Ray as an engine: an agent per case that a machine runs at once, in an actor that holds its share of the machine.

Ray never repeats anything by itself: actors are made with max_restarts=0 and max_task_retries=0, because it cannot tell
a case that crashes from a machine that is lost. Its memory monitor is switched off where lorabench starts Ray itself;
elsewhere what it ends is out_of_memory. A machine that is gone is Lost to the queue, which starts the job again.
"""

import os
import signal
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.executor.cluster.agent import Agent, Setting, cards_from, describe_node, outcome_from
from bench.executor.cluster.engine import Attempt, Ended, Event, Lost, Said, why_no_node
from bench.executor.job import Outcome
from bench.executor.resources import Node, choose_cards
from bench.machine.devices import Card
from bench.machine.environment import describe_machine
from bench.records.record import FAILED, OUT_OF_MEMORY

DESCRIBE_SECONDS = 60.0  # for a machine's first answer, which starts a process there
REFRESH_SECONDS = 1.0  # between two looks at which machines there are
WAIT_SECONDS = 0.2  # for something to happen
REPORT_SECONDS = 60.0  # from asking Ray for a place to saying that there is none
PROGRESS_SECONDS = 1.0  # between two questions for a case's progress
STOP_SECONDS = 5.0
MOST_FAILURES = 2  # agents that may fail to start before a machine is left out
METHODS_AT_ONCE = 4  # of an agent: run, progress, cards, stop
OUT_OF_MEMORY_WORDS = ("NODE_OUT_OF_MEMORY", "running low on memory")  # every death of an actor names "the OOM killer"


def describe_here(name: str, expected: dict[str, Any], cards: int) -> Node:
    """The machine of this task, which Ray lends no card and would therefore show none."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        del os.environ["CUDA_VISIBLE_DEVICES"]
    return describe_node(name, expected, cards)


def first_line(error: BaseException) -> str:
    """The error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def is_memory_monitors(error: BaseException) -> bool:
    """Whether Ray's memory monitor ended the process; the death of a machine is another error."""
    return isinstance(error, OutOfMemoryError) or any(words in str(error) for words in OUT_OF_MEMORY_WORDS)


class RayCluster:
    """The connection to Ray, and the machines that it has. Several threads may call it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._turn = threading.Lock()
        self._nodes: dict[str, Node] = {}  # by Ray's id
        self._asked: dict[str, Any] = {}  # Ray's id -> the answer to come
        self._resources: dict[str, dict[str, float]] = {}
        self._looked = 0.0

    def nodes(self) -> tuple[Node, ...]:
        """The machines that are there, described by themselves; connects to Ray if that has not happened.

        Raises ConnectionError if there is no Ray at the address.
        """
        with self._turn:
            self._connect()
            self._look(DESCRIBE_SECONDS)
            return tuple(self._nodes.values())

    def nodes_by_id(self) -> dict[str, Node]:
        """The machines that have described themselves by now, by Ray's id."""
        with self._turn:
            self._connect()
            if time.monotonic() - self._looked >= REFRESH_SECONDS:
                self._look(0.0)
            return dict(self._nodes)

    def lent(self, node_id: str, resource: str) -> int:
        """How much of CPU or GPU Ray lends on this machine."""
        return int(self._resources[node_id].get(resource, 0))

    def refuse(self, node_id: str, reason: str) -> None:
        """Send no more jobs to the machine."""
        with self._turn:
            if node_id in self._nodes:
                self._nodes[node_id] = replace(self._nodes[node_id], refused=reason)

    def close(self) -> None:
        """Disconnect, and end Ray if it was started here; idempotent."""
        if ray.is_initialized():
            ray.shutdown()

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        main = threading.current_thread() is threading.main_thread()
        terminate = signal.getsignal(signal.SIGTERM)
        os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # read by a Ray that is started here
        try:
            ray.init(self._address or None, log_to_driver=False, include_dashboard=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = f"at {self._address}" if self._address else "on this machine"
            raise ConnectionError(f"there is no Ray {where} ({first_line(error)}); start it by `ray start`") from None
        finally:
            if main:
                signal.signal(signal.SIGTERM, terminate)  # pytest's session ends in order, Ray's handler exits at once

    def _look(self, seconds: float) -> None:
        """Ask new machines to describe themselves, waiting this long for answers, and forget those that are gone."""
        self._looked = time.monotonic()
        there = {row["NodeID"]: row for row in ray.nodes() if row["Alive"]}
        for node_id in [node_id for node_id in self._nodes if node_id not in there]:
            del self._nodes[node_id]
        for node_id, row in there.items():
            self._resources[node_id] = row["Resources"]
            if node_id not in self._nodes and node_id not in self._asked:
                name = row["NodeName"]
                # max_calls: the next process of this worker would remember the cards that it sees now
                task = ray.remote(num_cpus=0, max_retries=0, max_calls=1)(describe_here)
                task = task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False))
                self._asked[node_id] = task.remote(name, describe_machine(), self.lent(node_id, "GPU"))
        if self._asked:
            ray.wait(list(self._asked.values()), num_returns=len(self._asked), timeout=seconds)
        for node_id, answer in list(self._asked.items()):
            if node_id in there:
                self._read(node_id, answer, there[node_id]["NodeName"], seconds)
            else:
                del self._asked[node_id]

    def _read(self, node_id: str, answer: Any, name: str, waited: float) -> None:
        try:
            self._nodes[node_id] = ray.get(answer, timeout=0)
        except GetTimeoutError:
            if waited:  # it may still come
                self._nodes.setdefault(node_id, Node(name, refused=f"it did not describe itself within {waited:g} s"))
            return
        except RayError as error:
            self._nodes[node_id] = Node(name, refused=f"it could not describe itself: {first_line(error)}")
        del self._asked[node_id]


@dataclass(eq=False)
class Held:
    """An agent on a machine: coming (until it is ready), idle, or with a job."""

    node_id: str
    node: Node
    actor: Any
    cards_asked: int
    ready: Any  # the answer to come; None once it is ready
    cards: tuple[Card, ...] = ()
    attempt: Attempt | None = None
    result: Any = None  # the outcome to come
    progress: Any = None  # the answer to come
    asked_at: float = 0.0  # for its place, then for progress
    reported: bool = False  # that others use its machine
    beside: set[str] = field(default_factory=set)

    def suits(self, attempt: Attempt) -> bool:
        """Whether the agent's job could be this one, as far as its machine is not asked."""
        cards = self.node.cards if self.ready is not None else self.cards
        enough = attempt.job.needs.cards <= self.cards_asked
        return self.node.name not in attempt.avoid and enough and choose_cards(attempt.job.needs, cards, ()) is not None


class RayEngine:
    """Keeps agents on Ray's machines and gives them jobs; at most setting.workers on a machine."""

    def __init__(self, cluster: RayCluster, setting: Setting) -> None:
        self._cluster = cluster
        self._setting = setting
        self._agents: list[Held] = []
        self._failures: dict[str, int] = {}

    def nodes(self) -> tuple[Node, ...]:
        return self._cluster.nodes()

    def start(self, attempts: Sequence[Attempt]) -> Collection[str]:
        """Give jobs to idle agents, the smallest card that holds a job first; make agents for those left over."""
        started: list[str] = []
        coming = [agent for agent in self._agents if agent.ready is not None]
        for attempt in attempts:
            if agent := self._idle_agent(attempt):
                self._run(agent, attempt)
                started.append(attempt.job.key)
            elif found := next((agent for agent in coming if agent.suits(attempt)), None):
                coming.remove(found)  # this attempt waits for it
            elif not self._make_agent(attempt) and not self._may_start_more(coming):
                break
        return started

    def why_waiting(self, attempt: Attempt) -> str:
        """Why no agent can take the attempt, now or after its job. Others may use the machine for long."""
        if any(agent.suits(attempt) for agent in self._agents):
            return ""  # Ray will find it a place when those who use the machine are done
        return why_no_node(attempt, list(self._cluster.nodes_by_id().values()))

    def events(self) -> list[Event]:
        """What agents have reported within WAIT_SECONDS, and what machines took with them that are gone."""
        found = self._lost_with_machines()
        for agent in self._agents:
            if agent.ready is not None and not agent.reported and time.monotonic() - agent.asked_at >= REPORT_SECONDS:
                agent.reported = True
                found.append(Said(agent.node.name, {"line": "others use what Ray lends there; waiting for it"}))
        for agent in self._agents:
            if agent.attempt and agent.progress is None and time.monotonic() - agent.asked_at >= PROGRESS_SECONDS:
                agent.progress, agent.asked_at = agent.actor.progress.remote(), time.monotonic()
        refs = [ref for agent in self._agents for ref in (agent.ready, agent.result, agent.progress) if ref is not None]
        if not refs:
            time.sleep(WAIT_SECONDS)
            return found
        ray.wait(refs, num_returns=1, timeout=WAIT_SECONDS)
        done = set(ray.wait(refs, num_returns=len(refs), timeout=0)[0])
        for agent in list(self._agents):
            if agent.ready in done:
                self._welcome(agent)
            if agent.progress in done:
                found += self._said(agent)
            if agent.result in done:
                found += self._ended(agent)
        return found

    def stop(self) -> None:
        """End the agents and what they run."""
        agents, self._agents = self._agents, []
        if not (agents and ray.is_initialized()):
            return
        ray.wait([agent.actor.stop.remote() for agent in agents], num_returns=len(agents), timeout=STOP_SECONDS)
        for agent in agents:
            ray.kill(agent.actor)

    def _idle_agent(self, attempt: Attempt) -> Held | None:
        found = [
            agent
            for agent in self._agents
            if agent.ready is None
            and agent.attempt is None
            and agent.suits(attempt)
            and self._has_peace(agent, attempt)
        ]
        return min(
            found, key=lambda agent: (agent.cards_asked, sum(card.total_bytes for card in agent.cards)), default=None
        )

    def _has_peace(self, agent: Held, attempt: Attempt) -> bool:
        """Whether neither the attempt nor a job of the agent's machine has to be alone there."""
        others = [other.attempt for other in self._agents if other.node_id == agent.node_id and other.attempt]
        return not others or not any(one.job.needs.exclusive for one in (attempt, *others))

    def _may_start_more(self, coming: Sequence[Held]) -> bool:
        return bool(coming) or any(agent.ready is None and agent.attempt is None for agent in self._agents)

    def _make_agent(self, attempt: Attempt) -> bool:
        """Ask Ray for an agent on the machine with the smallest cards that can hold the job; False if none can."""
        needs = attempt.job.needs
        places = []
        for node_id, node in self._cluster.nodes_by_id().items():
            own = [agent for agent in self._agents if agent.node_id == node_id]
            chosen = choose_cards(needs, node.cards, ())
            cards_left = self._cluster.lent(node_id, "GPU") - sum(agent.cards_asked for agent in own)
            if node.refused or node.name in attempt.avoid or chosen is None:
                continue
            if len(own) >= self._setting.workers or cards_left < needs.cards:
                if not (spare := self._spare_agent(own, needs.cards, cards_left)):
                    continue
            else:
                spare = None
            places.append((sum(card.total_bytes for card in chosen), len(own), node_id, node, spare))
        if not places:
            return False
        *_, node_id, node, spare = min(places, key=lambda place: place[:2])
        if spare:
            self._drop(spare)
        cores = self._cluster.lent(node_id, "CPU") // self._setting.workers
        actor = ray.remote(Agent).options(
            num_cpus=cores, num_gpus=needs.cards, max_restarts=0, max_task_retries=0, max_concurrency=METHODS_AT_ONCE,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
        ).remote(self._setting)  # fmt: skip
        self._agents.append(Held(node_id, node, actor, needs.cards, actor.cards.remote(), asked_at=time.monotonic()))
        return True

    def _spare_agent(self, own: Sequence[Held], cards: int, cards_left: int) -> Held | None:
        """An idle agent with too few cards, whose place an agent with enough of them can take."""
        idle = [agent for agent in own if agent.ready is None and agent.attempt is None]
        return next((one for one in idle if one.cards_asked < cards <= cards_left + one.cards_asked), None)

    def _run(self, agent: Held, attempt: Attempt) -> None:
        agent.attempt, agent.asked_at = attempt, time.monotonic()
        agent.beside = set()
        for other in self._agents:
            if other is not agent and other.node_id == agent.node_id and other.attempt:
                other.beside.add(attempt.job.key)
                agent.beside.add(other.attempt.job.key)
        agent.result = agent.actor.run.remote(asdict(attempt.job))

    def _welcome(self, agent: Held) -> None:
        """Note that the agent is ready, or leave out a machine on which agents do not start."""
        try:
            agent.cards = cards_from(ray.get(agent.ready))
            agent.ready = None
        except RayError as error:
            self._drop(agent)
            self._failures[agent.node_id] = self._failures.get(agent.node_id, 0) + 1
            if self._failures[agent.node_id] >= MOST_FAILURES:
                self._cluster.refuse(agent.node_id, f"no agent starts there: {first_line(error)}")

    def _said(self, agent: Held) -> list[Event]:
        answer, agent.progress = agent.progress, None
        try:
            return [Said(key, said) for key, said in ray.get(answer)]
        except RayError:  # the result tells more
            return []

    def _ended(self, agent: Held) -> list[Event]:
        """The job's outcome, after the progress that was still on its way."""
        assert agent.attempt is not None
        key, result = agent.attempt.job.key, agent.result
        before = self._said(agent) if agent.progress is not None else []
        try:
            answer = ray.get(result)
        except RayTaskError as error:
            outcome = Outcome(key, FAILED, f"the agent on {agent.node.name} failed: {first_line(error)}")
        except (OutOfMemoryError, RayActorError) as error:
            self._drop(agent)
            if not is_memory_monitors(error):
                return [*before, self._lost(agent, first_line(error))]
            outcome = Outcome(
                key,
                OUT_OF_MEMORY,
                f"ended by Ray's memory monitor on {agent.node.name}; switch it off: RAY_memory_monitor_refresh_ms=0",
            )
        except RayError as error:  # the result was lost on its way
            self._drop(agent)
            return [*before, self._lost(agent, first_line(error))]
        else:
            before += [Said(key, said) for key, said in answer["said"]]
            outcome = outcome_from(answer["outcome"])
        beside = tuple(sorted({*outcome.beside, *agent.beside}))
        environment = {**agent.node.environment, **outcome.environment}
        agent.attempt = agent.result = None
        return [*before, Ended(replace(outcome, node=agent.node.name, environment=environment, beside=beside))]

    def _lost(self, agent: Held, reason: str) -> Lost:
        assert agent.attempt is not None
        return Lost(agent.attempt.job.key, agent.node.name, reason, agent.node.environment)

    def _lost_with_machines(self) -> list[Event]:
        """The jobs of machines that Ray no longer has; a machine that cannot be reached does not answer either."""
        there = self._cluster.nodes_by_id()
        gone = [agent for agent in self._agents if agent.node_id not in there]
        for agent in gone:
            self._drop(agent)
        return [self._lost(agent, "Ray no longer has this machine") for agent in gone if agent.attempt]

    def _drop(self, agent: Held) -> None:
        """Give up the agent; if its process is still there, it ends with what it runs."""
        self._agents.remove(agent)
        ray.kill(agent.actor)
