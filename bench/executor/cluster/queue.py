"""The queue of jobs for other machines: order, deadlines, second attempts and outcomes, the same for every engine.

A job is started at most twice, and only if the machine of the first attempt was lost with it: what a job itself does
(crash, hang, take too much memory) is its outcome. The first outcome of a job counts.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from bench.executor.cluster.engine import Attempt, Ended, Engine, Event, Said
from bench.executor.job import Job, Outcome
from bench.executor.local.process import INTERRUPTED
from bench.executor.pool import ignore
from bench.executor.resources import Needs, Node
from bench.records.record import CRASHED, FAILED, NOT_RUN

MOST_ATTEMPTS = 2
GATHER_SECONDS = 0.1  # from a job's submission to its start: jobs submitted together are started together
STOP_SECONDS = 30.0


class ClusterExecutor:
    """Runs jobs on the machines of an engine. Its one thread calls the engine, on_progress and on_done.

    patience_seconds is how long a job may wait while no machine can take it.
    """

    def __init__(
        self,
        engine: Engine,
        patience_seconds: float,
        on_progress: Callable[[str, dict[str, Any]], None] = ignore,
        on_done: Callable[[Outcome], None] = ignore,
    ) -> None:
        self.preload_seconds = 0.0  # each machine imports the libraries, while it waits for its first job
        self._engine = engine
        self._patience = patience_seconds
        self._on_progress = on_progress
        self._on_done = on_done
        self._thread = threading.Thread(target=self._serve, name="cluster", daemon=True)
        self._changed = threading.Condition()  # guards all fields below
        self._waiting: dict[str, Attempt] = {}  # in their order
        self._unplaced_since: dict[str, float] = {}
        self._running: dict[str, Attempt] = {}
        self._known: set[str] = set()
        self._outcomes: dict[str, Outcome] = {}
        self._errors: dict[str, BaseException] = {}
        self._stopped = False

    def resources(self) -> tuple[Node, ...]:
        """The machines of the cluster."""
        return self._engine.nodes()

    def submit(self, job: Job) -> None:
        """Queue the job. Raises ValueError for a key that was submitted before, RuntimeError after stop()."""
        with self._changed:
            if self._stopped:
                raise RuntimeError("the executor was stopped; make another one")
            if job.key in self._known:
                raise ValueError(f"a job named {job.key!r} was submitted already; ask for its outcome")
            self._known.add(job.key)
            self._waiting[job.key] = Attempt(job)
            if self._thread.ident is None:
                self._thread.start()
            self._changed.notify_all()

    def first(self, key: str) -> None:
        """Move a queued job to the front; does nothing if it runs or is done."""
        with self._changed:
            self._refuse_unknown(key)
            if key in self._waiting:
                self._waiting = {key: self._waiting.pop(key), **self._waiting}

    def outcome(self, key: str) -> Outcome:
        """Wait for the job and return its outcome. Raises KeyError for an unknown key, and what a callback raised."""
        with self._changed:
            self._refuse_unknown(key)
            while key not in self._outcomes:
                self._changed.wait()
            if error := self._errors.pop(key, None):
                raise error
            return self._outcomes[key]

    def stop(self) -> None:
        """End running jobs, drop waiting ones (status not_run), and leave nothing on the machines; idempotent."""
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        self._engine.stop()
        with self._changed:
            for key in self._known - self._outcomes.keys():
                self._outcomes[key] = Outcome(key, NOT_RUN, INTERRUPTED)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _refuse_unknown(self, key: str) -> None:
        if key not in self._known:
            raise KeyError(f"no job named {key!r} was submitted; there are {len(self._known)} others")

    def _serve(self) -> None:
        while self._wait_for_work():
            try:
                self._start_waiting()
                for event in self._engine.events():
                    self._take(event)
            except Exception as error:  # of the engine: every job that has no outcome gets this one
                with self._changed:
                    left = [*self._waiting, *self._running]
                for key in left:
                    self._finish(Outcome(key, FAILED, f"the cluster was lost: {type(error).__name__}: {error}"))

    def _wait_for_work(self) -> bool:
        """Wait until a job waits or runs; False when the executor was stopped."""
        with self._changed:
            idle = not (self._waiting or self._running)
            while not (self._stopped or self._waiting or self._running):
                self._changed.wait()
            if idle and not self._stopped:
                self._changed.wait_for(lambda: self._stopped, GATHER_SECONDS)
            return not self._stopped

    def _start_waiting(self) -> None:
        with self._changed:
            attempts = list(self._waiting.values())
        started = set(self._engine.start(attempts)) if attempts else set()
        with self._changed:
            for key in started:
                self._running[key] = self._waiting.pop(key)
                self._unplaced_since.pop(key, None)
        whys: dict[tuple[Needs, tuple[str, ...]], str] = {}  # one answer for thousands of cases that need the same
        for attempt in attempts:
            if attempt.job.key not in started:
                alike = (attempt.job.needs, attempt.avoid)
                if alike not in whys:
                    whys[alike] = self._engine.why_waiting(attempt)
                self._keep_waiting(attempt, whys[alike])

    def _keep_waiting(self, attempt: Attempt, why: str) -> None:
        """Give up an attempt that no machine could take for too long."""
        if not why:
            self._unplaced_since.pop(attempt.job.key, None)
            return
        now = time.monotonic()
        if now - self._unplaced_since.setdefault(attempt.job.key, now) >= self._patience:
            reason = f"{why}; waited {self._patience:g} s for a machine (--placement-timeout)"
            self._finish(self._lost(attempt, reason) if attempt.lost else Outcome(attempt.job.key, NOT_RUN, reason))

    def _take(self, event: Event) -> None:
        if isinstance(event, Said):
            try:
                self._on_progress(event.key, event.progress)
            except Exception as error:  # not lost: outcome() raises it
                self._errors.setdefault(event.key, error)
        elif isinstance(event, Ended):
            if attempt := self._running.get(event.outcome.key):  # else it has an outcome already
                self._finish(replace(event.outcome, attempt=attempt.number, earlier=attempt.earlier))
        elif attempt := self._running.pop(event.key, None):
            attempt = replace(attempt, lost=(*attempt.lost, event))
            if attempt.number > MOST_ATTEMPTS:
                self._finish(self._lost(attempt))
            else:
                with self._changed:
                    self._waiting = {event.key: attempt, **self._waiting}

    @staticmethod
    def _lost(attempt: Attempt, more: str = "") -> Outcome:
        """The outcome of a job whose attempts were all lost; more: why there is no other one."""
        last = attempt.lost[-1]
        reason = "; ".join(filter(None, (attempt.earlier, more)))
        outcome = Outcome(attempt.job.key, CRASHED, reason, node=last.node, environment=last.environment)
        return replace(outcome, attempt=len(attempt.lost))

    def _finish(self, outcome: Outcome) -> None:
        """Give the outcome to on_done, and then to those who wait for it."""
        try:
            if not self._stopped:
                self._on_done(outcome)
        except BaseException as error:  # not lost: outcome() raises it
            self._errors.setdefault(outcome.key, error)
        with self._changed:
            self._waiting.pop(outcome.key, None)
            self._running.pop(outcome.key, None)
            self._unplaced_since.pop(outcome.key, None)
            self._outcomes.setdefault(outcome.key, outcome)
            self._changed.notify_all()
