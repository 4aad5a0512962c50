"""The executor: it runs each case in its own process, so that an out-of-memory, crash or hang is that case's status.

    job.py       Job and Outcome: plain data
    protocol.py  RunsJobs: what every executor offers
    pool.py      Executor: queues, order, stop
    session.py   Session: calls to an object in a worker
    local/       processes of this machine

It imports neither torch nor transformers; workers do.

May import: core, machine, records.
"""

from bench.executor.job import Job, Outcome
from bench.executor.pool import Executor
from bench.executor.protocol import RunsJobs
from bench.executor.session import CallFailed, Session, WorkerDied

__all__ = ["CallFailed", "Executor", "Job", "Outcome", "RunsJobs", "Session", "WorkerDied"]
