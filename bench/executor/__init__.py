"""The executor: it runs each case in its own process, so that an out-of-memory, crash or hang is that case's status.

    job.py        Job and Outcome: plain data
    resources.py  Needs of a job, Node: what a machine has, and which cards a job gets
    protocol.py   RunsJobs: what every executor offers
    pool.py       Executor: jobs on this machine, their queue and order
    session.py    Session: calls to an object in a worker
    local/        processes of this machine
    cluster/      jobs on other machines, by Ray or Slurm

It imports neither torch nor transformers; workers do.

May import: core, machine, records.
"""

from bench.executor.job import Job, Outcome
from bench.executor.pool import Executor
from bench.executor.protocol import RunsJobs
from bench.executor.resources import Needs, Node
from bench.executor.session import CallFailed, Session, WorkerDied

__all__ = ["CallFailed", "Executor", "Job", "Needs", "Node", "Outcome", "RunsJobs", "Session", "WorkerDied"]
