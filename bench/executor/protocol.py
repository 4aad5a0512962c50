"""What every executor offers, whichever machine its jobs run on: the session and the judges use nothing else of one.

`pool.Executor` runs jobs on this machine. An executor for other machines offers the same, and gives the cards of the
machines that it would use.
"""

from typing import Protocol

from bench.executor.job import Job, Outcome
from bench.executor.session import Session
from bench.machine.devices import Card


class RunsJobs(Protocol):
    """Runs each submitted job once, in a process of its own, and ends with its outcome whatever becomes of it."""

    @property
    def preload_seconds(self) -> float:
        """Seconds to import the heavy libraries, once for all jobs; 0 until it is done."""

    def submit(self, job: Job) -> None:
        """Queue the job. Raises ValueError for a key that was submitted before, RuntimeError after stop()."""

    def first(self, key: str) -> None:
        """Move a queued job to the front; does nothing if it runs or is done."""

    def outcome(self, key: str) -> Outcome:
        """Wait for the job and return its outcome. Raises KeyError for a key that was not submitted."""

    def open_session(self, job: Job) -> Session:
        """Open a worker that answers calls, alone where it runs, until it is closed. Raises WorkerDied."""

    def stop(self) -> None:
        """End running jobs, drop waiting ones (status not_run), and leave no process behind; idempotent."""

    @staticmethod
    def cards() -> tuple[Card, ...]:
        """The cards that jobs can run on, the one that a job would get first; asked before an executor is made."""
