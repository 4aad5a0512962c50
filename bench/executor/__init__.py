"""Runs each case in its own process, so that an out-of-memory, a crash or a hang is that case's status.

    job.py            Job and Outcome: plain data
    pool.py           Executor: queues, order, stop
    session.py        Session: calls to an object in a worker
    process.py        the parent's side of one worker
    fork_server.py    the parent's side of the process that forks workers
    forking.py        that process
    worker.py         inside a worker
    failure.py        what an exception means
    output.py         the end of what a worker wrote
    memory_limit.py   host memory: free, held, and the kernel's killer

Linux only: it reads /proc and asks the kernel for death signals. Imports neither torch nor transformers.
"""

from bench.executor.job import Job, Outcome
from bench.executor.pool import Executor
from bench.executor.session import CallFailed, Session, WorkerDied

__all__ = ["CallFailed", "Executor", "Job", "Outcome", "Session", "WorkerDied"]
