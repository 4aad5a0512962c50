"""An interactive worker: requests to an object that lives in it, for timing training steps one by one."""

import pickle
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from bench.executor.job import Outcome
from bench.executor.local.child import CLOSE
from bench.executor.local.process import EXIT_SECONDS, INTERRUPTED, WorkerProcess
from bench.records.record import NOT_RUN


class CallFailed(RuntimeError):
    """The call raised in the worker, which continues. status is a record's (out_of_memory, failed, …)."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class WorkerDied(RuntimeError):
    """The worker has ended; outcome says how."""

    def __init__(self, outcome: Outcome) -> None:
        said = "".join(f"\n    {line}" for line in outcome.last_lines)
        super().__init__(f"the worker of {outcome.key} is gone ({outcome.status}): {outcome.reason}{said}")
        self.outcome = outcome


class Session:
    """A handle to the object that a job's work returned in its process. Only one thread may call it.

    seconds_of_last_call is the worker's own time for the call, without the transfer there and back.
    """

    def __init__(self, worker: WorkerProcess, release: Callable[[], None]) -> None:
        self.seconds_of_last_call = 0.0
        self.outcome: Outcome | None = None
        self._worker = worker
        self._release = release
        self._waiting = False
        self._closed = False
        self._thread = threading.Thread(target=self._live, name=f"session {worker.job.key}", daemon=True)

    def open(self) -> None:
        """Start the worker and wait for its object. Raises WorkerDied."""
        self._thread.start()
        self._reply()

    def call(self, method: str, /, **arguments: Any) -> Any:
        """Return what target.method(**arguments) returns in the worker: JSON types. Raises CallFailed or WorkerDied."""
        if self._closed:
            raise RuntimeError(f"the session of {self._worker.job.key} is closed; open another to call {method!r}")
        self._worker.request(method, pickle.dumps(arguments), self._worker.timeout)
        reply = self._reply()
        if failed := reply.get("call_failed"):
            raise CallFailed(failed["status"], failed["reason"])
        self.seconds_of_last_call = reply["call_seconds"]
        return reply["answer"]

    def close(self) -> None:
        """End the worker, immediately if it is in the middle of a call; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._thread.ident is not None:
                self._end()
        finally:
            self._release()

    def _end(self) -> None:
        if not self._waiting:
            self._worker.request(CLOSE, b"", EXIT_SECONDS)
            self._thread.join(EXIT_SECONDS)
        if self._thread.is_alive():
            self._worker.end(NOT_RUN, INTERRUPTED)
            self._thread.join(EXIT_SECONDS)  # it cannot end while modules are imported; its worker will be killed

    def _live(self) -> None:
        self.outcome = self._worker.run()

    def _reply(self) -> dict[str, Any]:
        self._waiting = True  # stays True if Ctrl-C arrives here: the worker is busy
        reply = self._worker.replies.get()
        self._waiting = False
        self._worker.rest()
        if reply is None:
            assert self._worker.outcome is not None  # set before the None is put
            self.close()
            raise WorkerDied(self._worker.outcome)
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
