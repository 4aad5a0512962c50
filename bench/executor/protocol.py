"""What every executor offers, wherever its jobs run: the session and the judges use nothing else of one.

`pool.Executor` runs jobs on this machine, and `cluster.ClusterExecutor` on the machines of Ray or Slurm.
"""

from typing import Protocol

from bench.executor.job import Job, Outcome
from bench.executor.resources import Node


class RunsJobs(Protocol):
    """Gives each submitted job one outcome, whatever becomes of it; each job runs in a process of its own."""

    @property
    def preload_seconds(self) -> float:
        """Seconds to import the heavy libraries, once for all jobs; 0 until it is done, or if jobs contain it."""

    def submit(self, job: Job) -> None:
        """Queue the job. Raises ValueError for a key that was submitted before, RuntimeError after stop()."""

    def first(self, key: str) -> None:
        """Move a queued job to the front; does nothing if it runs or is done."""

    def outcome(self, key: str) -> Outcome:
        """Wait for the job and return its outcome. Raises KeyError for a key that was not submitted."""

    def stop(self) -> None:
        """End running jobs, drop waiting ones (status not_run), and leave no process behind; idempotent."""

    def resources(self) -> tuple[Node, ...]:
        """The machines that jobs can run on."""
