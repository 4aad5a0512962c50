"""The executor, which decides where and when each job runs. No other module knows where a case runs.

Seconds are comparable only if nothing else ran meanwhile. So all executors of a process share one count of running
jobs: an executor with one worker starts a job only while no other job runs, and no other job starts beside it. The
same holds for an exclusive job of any executor. A job on a card has the card to itself.
"""

import pickle
import platform
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import TracebackType
from typing import Any, Self

from bench.executor.job import Job, Outcome
from bench.executor.local.fork_server import ForkServer
from bench.executor.local.memory_limit import memory_room
from bench.executor.local.process import INTERRUPTED, WorkerProcess
from bench.executor.resources import Node, cards_environment, choose_cards, environment_of, why_no_cards
from bench.executor.session import Session
from bench.machine.devices import Card, cards, cards_now
from bench.machine.environment import describe_machine
from bench.records.record import NOT_RUN

TOUCHES_CUDA = {"transformers", "peft", "accelerate", "bitsandbytes", "bench"}  # packages


def before_forking(preload: Sequence[str]) -> list[str]:
    """The modules of preload that may be imported before forking; with a card, none that imports bitsandbytes.

    bitsandbytes queries each card's capability on import, and peft and transformers import it. After that, no forked
    process can use CUDA. On such a machine workers import these modules themselves, in about six seconds.
    """
    return [name for name in preload if not cards() or name.split(".")[0] not in TOUCHES_CUDA]


class NoCards(RuntimeError):
    """The machine's cards cannot hold a job; the message says what it needs and what there is."""


def ignore(*_: Any) -> None:
    """Default callback: do nothing."""


@dataclass
class Running:
    """A running worker, the limit of the executor that started it, its cards, and the jobs that ran beside it."""

    worker: WorkerProcess
    limit: int
    cards: tuple[Card, ...]
    beside: set[str]


@dataclass
class Machine:
    """All that this process runs on the machine, whichever executor started it. `changed` guards every field."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    running: list[Running] = field(default_factory=list)
    executors: list["Executor"] = field(default_factory=list)  # those with waiting jobs, the newest last
    session: WorkerProcess | None = None  # runs alone, or waits until it can

    def has_room_for(self, job: Job, limit: int) -> bool:
        """Whether this job, of an executor with this limit, may start as far as its cards are not asked."""
        if self.session is not None:
            return False
        beside = [one.worker.job.needs for one in self.running]
        limits = [limit, *(one.limit for one in self.running)]
        alone = job.needs.exclusive or any(needs.exclusive for needs in beside)
        if len(beside) >= (1 if alone else min(limits)):
            return False
        return not beside or (
            fits_beside(job.needs.cores, [needs.cores for needs in beside], machine_cores())
            and fits_beside(
                job.needs.host_memory_bytes, [needs.host_memory_bytes for needs in beside], memory_room()[0]
            )
        )

    def cards_for(self, job: Job, limit: int, look: Callable[[], tuple[Card, ...]]) -> tuple[Card, ...] | None:
        """The cards that the job gets now, of those that look() finds; None if it has to wait.

        Raises NoCards if waiting would not help.
        """
        if not job.needs.cards:
            return ()
        there, used = look(), {card.uuid for one in self.running for card in one.cards}
        chosen = choose_cards(job.needs, there, used, limit)
        if chosen is None and (why := why_no_cards(job.needs, there, used)):
            raise NoCards(why)
        return chosen

    def note_start(self, worker: WorkerProcess, limit: int, used: tuple[Card, ...]) -> None:
        beside = {one.worker.job.key for one in self.running}
        for one in self.running:
            one.beside.add(worker.job.key)
        self.running.append(Running(worker, limit, used, beside))

    def note_end(self, worker: WorkerProcess) -> Running:
        """Remove it, and return its cards and the jobs that ran beside it at some moment."""
        (own,) = [one for one in self.running if one.worker is worker]
        self.running.remove(own)
        return own

    def start_waiting(self) -> None:
        """Start queued jobs, those of the newest executor first, because its caller waits for them now."""
        look = cache(cards_now)  # one question to the driver for all of them
        for executor in reversed(list(self.executors)):
            executor.start_waiting(look)


MACHINE = Machine()


def fits_beside(wanted: int, others: Sequence[int], there: int) -> bool:
    """Whether the sum stays within what is there; a job that says 0 counts for nothing."""
    return not wanted or wanted + sum(others) <= there


def machine_cores() -> int:
    return int(describe_machine()["cores"])


class Executor:
    """Runs jobs in order, at most `workers` at a time on the machine, each job in a fresh process.

    An outcome names the jobs that ran beside its own.

    The executor's threads call on_progress(key, what the work said) and on_done(outcome), one call at a time.
    on_done is called before outcome() returns the outcome, and never for a job that stop() cut short. outcome(key)
    raises again what they raise.
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        case_timeout: float = 600.0,
        workers: int = 1,
        on_progress: Callable[[str, dict[str, Any]], None] = ignore,
        on_done: Callable[[Outcome], None] = ignore,
    ) -> None:
        if workers < 1 or case_timeout <= 0:
            raise ValueError(f"workers={workers} and case_timeout={case_timeout} must be above 0")
        self._server = ForkServer(before_forking(preload))
        self._timeout = case_timeout
        self._workers = workers
        self._on_progress = on_progress
        self._on_done = on_done
        self._callbacks = threading.Lock()
        # MACHINE.changed guards all fields below
        self._queue: list[Job] = []
        self._payloads: dict[str, bytes] = {}
        self._own_workers: set[WorkerProcess] = set()
        self._threads: set[threading.Thread] = set()
        self._outcomes: dict[str, Outcome] = {}
        self._errors: dict[str, BaseException] = {}
        self._own_session_thread = 0  # the thread that opened the session
        self._stopped = False

    @property
    def preload_seconds(self) -> float:
        """Seconds to import the preload, once for all jobs and not part of any job's seconds; 0 until it is done."""
        return self._server.preload_seconds

    @staticmethod
    def resources() -> tuple[Node, ...]:
        """This machine."""
        return (Node(platform.node(), cards(), machine_cores(), memory_room()[0], describe_machine()),)

    def submit(self, job: Job) -> None:
        """Queue the job. Raises what pickle raises for a payload that it cannot pickle."""
        payload = pickle.dumps(job.payload)
        with MACHINE.changed:
            self._refuse_if_stopped()
            if job.key in self._payloads:
                raise ValueError(f"a job named {job.key!r} was submitted already; ask for its outcome")
            self._payloads[job.key] = payload
            self._queue.append(job)
            if self not in MACHINE.executors:
                MACHINE.executors.append(self)
            MACHINE.start_waiting()

    def first(self, key: str) -> None:
        """Move a queued job to the front; does nothing if it runs or is done."""
        with MACHINE.changed:
            self._known(key)
            self._queue.sort(key=lambda job: job.key != key)  # stable: the others keep their order

    def outcome(self, key: str) -> Outcome:
        """Wait for the job and return its outcome. Raises KeyError for a key that was not submitted."""
        with MACHINE.changed:
            self._known(key)
            while key not in self._outcomes:
                if MACHINE.session in self._own_workers and self._own_session_thread == threading.get_ident():
                    raise RuntimeError(f"{key!r} waits for the session that this thread holds open; close it first")
                MACHINE.changed.wait()
            if error := self._errors.pop(key, None):
                raise error
            return self._outcomes[key]

    def open_session(self, job: Job) -> Session:
        """Open an interactive worker. It waits until nothing runs on the machine, and runs alone until it is closed.

        Raises WorkerDied if the work raises, RuntimeError if a session is open already.
        """
        payload = pickle.dumps(job.payload)
        worker = WorkerProcess(job, payload, self._server, self._timeout, self._tell_progress, interactive=True)
        with MACHINE.changed:
            self._refuse_if_stopped()
            if other := MACHINE.session:
                raise RuntimeError(f"the session {other.job.key!r} is open; close it before {job.key!r}")
            MACHINE.session = worker
            self._own_session_thread = threading.get_ident()
            self._own_workers.add(worker)
        session = Session(worker, lambda: self._release(worker))
        try:
            with MACHINE.changed:
                while MACHINE.running and not self._stopped:
                    MACHINE.changed.wait()
                self._refuse_if_stopped()
            if job.needs.cards:  # chosen now, when the jobs before it have left their cards
                shown = cards_environment(choose_cards(job.needs, cards_now(), ()) or ())
                worker.job = replace(job, environment={**job.environment, **shown})
            session.open()
        except BaseException:
            session.close()
            raise
        return session

    def stop(self) -> None:
        """Kill running jobs, drop waiting ones (not_run, "interrupted"), and leave no process behind; idempotent."""
        with MACHINE.changed:
            self._stopped = True
            if self in MACHINE.executors:
                MACHINE.executors.remove(self)
            for job in self._queue:
                self._outcomes[job.key] = Outcome(job.key, NOT_RUN, INTERRUPTED)
            self._queue.clear()
            workers = list(self._own_workers)
            threads = self._threads - {threading.current_thread()}
            if MACHINE.session in self._own_workers:
                self._release(MACHINE.session)
            MACHINE.changed.notify_all()
        for worker in workers:
            worker.end(NOT_RUN, INTERRUPTED)
        self._server.stop()
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _known(self, key: str) -> None:
        if key not in self._payloads:
            raise KeyError(f"no job named {key!r} was submitted; there are {len(self._payloads)} others")

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise RuntimeError("the executor was stopped; make another one")

    def start_waiting(self, look: Callable[[], tuple[Card, ...]]) -> None:
        """Start queued jobs as far as the machine has room for them; the caller holds MACHINE.changed.

        A job that waits for a card lets the jobs behind it go ahead. One that waits to be alone does not, because it
        would wait until the end.
        """
        for job in list(self._queue):
            if not MACHINE.has_room_for(job, self._workers):
                break
            try:
                chosen = MACHINE.cards_for(job, self._workers, look)
            except NoCards as error:
                self._queue.remove(job)
                self._start_thread(self._finish, job, Outcome(job.key, NOT_RUN, str(error)))
                continue
            if chosen is not None:
                self._queue.remove(job)
                self._start(job, chosen)
        if not self._queue and self in MACHINE.executors:
            MACHINE.executors.remove(self)

    def _start(self, job: Job, chosen: tuple[Card, ...]) -> None:
        job = replace(job, environment={**job.environment, **cards_environment(chosen)})
        worker = WorkerProcess(job, self._payloads[job.key], self._server, self._timeout, self._tell_progress)
        self._start_thread(self._run, worker)  # waits for MACHINE.changed before it ends
        MACHINE.note_start(worker, self._workers, chosen)
        self._own_workers.add(worker)

    def _start_thread(self, target: Callable[..., None], *arguments: Any) -> None:
        """Raises RuntimeError where the system has no thread left."""
        thread = threading.Thread(target=target, args=arguments, name="worker", daemon=True)
        thread.start()
        self._threads.add(thread)

    def _run(self, worker: WorkerProcess) -> None:
        outcome = worker.run()
        with MACHINE.changed:
            ended = MACHINE.note_end(worker)
            outcome = replace(outcome, beside=tuple(sorted(ended.beside)), environment=environment_of(ended.cards))
            cut_short = self._stopped and outcome.reason == INTERRUPTED
        self._finish(worker.job, outcome, cut_short)
        self._release(worker)

    def _finish(self, job: Job, outcome: Outcome, cut_short: bool = False) -> None:
        """Give the outcome to on_done, unless stop() cut its job short, and then to those who wait for it."""
        try:
            if not cut_short:
                with self._callbacks:
                    self._on_done(outcome)
        except BaseException as error:  # not lost: outcome() raises it
            self._errors.setdefault(job.key, error)
        with MACHINE.changed:
            self._outcomes[job.key] = outcome
            self._threads.discard(threading.current_thread())
            MACHINE.changed.notify_all()

    def _let_go(self, worker: WorkerProcess) -> None:
        """Remove a worker that has ended, so that others may start. The caller holds MACHINE.changed."""
        self._own_workers.discard(worker)
        MACHINE.start_waiting()
        MACHINE.changed.notify_all()

    def _tell_progress(self, key: str, progress: dict[str, Any]) -> None:
        try:
            with self._callbacks:
                self._on_progress(key, progress)
        except Exception as error:  # not lost: outcome() raises it
            self._errors.setdefault(key, error)

    def _release(self, worker: WorkerProcess) -> None:
        with MACHINE.changed:
            if MACHINE.session is worker:
                MACHINE.session = None
            self._let_go(worker)
