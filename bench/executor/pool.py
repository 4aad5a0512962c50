"""The executor: which job runs where and when. The only place that knows where a case runs."""

import pickle
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from bench.devices import cards
from bench.executor.fork_server import ForkServer
from bench.executor.job import Job, Outcome
from bench.executor.process import INTERRUPTED, WorkerProcess
from bench.executor.session import Session
from bench.record import NOT_RUN

TOUCHES_CUDA = {"transformers", "peft", "accelerate", "bitsandbytes", "bench"}  # packages


def before_forking(preload: Sequence[str]) -> list[str]:
    """What of it may be imported before workers are forked: beside a card, nothing that imports bitsandbytes.

    bitsandbytes asks each card what it can do as soon as it is imported, and peft and transformers import it; no
    forked process could use CUDA then. Workers import these themselves there, in about six seconds.
    """
    return [name for name in preload if not cards() or name.split(".")[0] not in TOUCHES_CUDA]


def ignore(*_: Any) -> None:
    """For who does not listen."""


class Executor:
    """Runs jobs in order, `workers` at a time on each device, each job in a fresh process.

    on_progress(key, what the work said) and on_done(outcome) are called one at a time, in threads of the
    executor; on_done before outcome() returns it, and never for a job that stop() cut short. What they
    raise is raised again by outcome(key).
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
        self._changed = threading.Condition()  # guards all below
        self._queues: dict[str, list[Job]] = {}
        self._payloads: dict[str, bytes] = {}
        self._running: dict[str, dict[str, WorkerProcess]] = {}
        self._sessions: dict[str, WorkerProcess] = {}
        self._threads: set[threading.Thread] = set()
        self._outcomes: dict[str, Outcome] = {}
        self._errors: dict[str, Exception] = {}
        self._stopped = False

    def submit(self, job: Job) -> None:
        """Queue the job. Raises what pickle raises for a payload that cannot travel."""
        payload = pickle.dumps(job.payload)
        with self._changed:
            self._refuse_if_stopped()
            if job.key in self._payloads:
                raise ValueError(f"a job named {job.key!r} was submitted already; ask for its outcome")
            self._payloads[job.key] = payload
            self._queues.setdefault(job.device, []).append(job)
            self._start_next(job.device)

    def first(self, key: str) -> None:
        """Move a queued job to the front; nothing if it runs or is done."""
        with self._changed:
            self._known(key)
            for queue in self._queues.values():
                for job in [job for job in queue if job.key == key]:
                    queue.remove(job)
                    queue.insert(0, job)

    def outcome(self, key: str) -> Outcome:
        """What became of the job; waits for it. Raises KeyError for a key that was not submitted."""
        with self._changed:
            self._known(key)
            while key not in self._outcomes:
                self._changed.wait()
            if error := self._errors.pop(key, None):
                raise error
            return self._outcomes[key]

    def open_session(self, job: Job) -> Session:
        """An interactive worker. Waits until nothing runs on its device and holds the queue until it is closed.

        Raises WorkerDied if the work raises, RuntimeError if the device has a session already.
        """
        payload = pickle.dumps(job.payload)
        worker = WorkerProcess(job, payload, self._server, self._timeout, self._tell_progress, interactive=True)
        with self._changed:
            self._refuse_if_stopped()
            if other := self._sessions.get(job.device):
                raise RuntimeError(f"{job.device} has the session {other.job.key!r} open; close it before {job.key!r}")
            self._sessions[job.device] = worker
        session = Session(worker, lambda: self._release(job.device))
        try:
            with self._changed:
                while self._running.get(job.device) and not self._stopped:
                    self._changed.wait()
                self._refuse_if_stopped()
            session.open()
        except BaseException:
            session.close()
            raise
        return session

    def stop(self) -> None:
        """Kill what runs, drop what waits (not_run, "interrupted"), leave no process behind; idempotent."""
        with self._changed:
            self._stopped = True
            for job in (job for queue in self._queues.values() for job in queue):
                self._outcomes[job.key] = Outcome(job.key, NOT_RUN, INTERRUPTED)
            self._queues.clear()
            workers = [worker for running in self._running.values() for worker in running.values()]
            workers += self._sessions.values()
            threads = self._threads - {threading.current_thread()}
            self._changed.notify_all()
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

    def _start_next(self, device: str) -> None:
        """Start queued jobs of the device as far as it has free workers; the caller holds the lock."""
        running, queue = self._running.setdefault(device, {}), self._queues.get(device, [])
        while queue and len(running) < self._workers and device not in self._sessions and not self._stopped:
            job = queue.pop(0)
            worker = WorkerProcess(job, self._payloads[job.key], self._server, self._timeout, self._tell_progress)
            running[job.key] = worker
            thread = threading.Thread(target=self._run, args=(worker,), name=f"worker {job.key}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _run(self, worker: WorkerProcess) -> None:
        outcome = worker.run()
        job = worker.job
        with self._changed:
            cut_short = self._stopped and outcome.reason == INTERRUPTED
        try:
            if not cut_short:
                with self._callbacks:
                    self._on_done(outcome)
        except Exception as error:  # not lost: outcome() raises it
            self._errors.setdefault(job.key, error)
        with self._changed:
            self._outcomes[job.key] = outcome
            del self._running[job.device][job.key]
            self._threads.discard(threading.current_thread())
            self._start_next(job.device)
            self._changed.notify_all()

    def _tell_progress(self, key: str, progress: dict[str, Any]) -> None:
        try:
            with self._callbacks:
                self._on_progress(key, progress)
        except Exception as error:  # not lost: outcome() raises it
            self._errors.setdefault(key, error)

    def _release(self, device: str) -> None:
        with self._changed:
            self._sessions.pop(device, None)
            self._start_next(device)
            self._changed.notify_all()
