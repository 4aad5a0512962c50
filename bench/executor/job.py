"""What is asked of the executor, and what it answers: plain data."""

import re
from dataclasses import dataclass, field
from typing import Any

from bench.records.record import OK

WORK = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Job:
    """One piece of work for one process.

    work is "module:function", imported in the worker with the parent's sys.path and called as
    function(payload, say); it returns a dict of JSON types. payload is picklable plain data; none of its
    classes may live in __main__, which a worker does not have. environment is added to the parent's
    os.environ before the work is imported; a library that was preloaded has read its variables already.
    memory_limit_bytes is host memory; 0 takes what is free when the worker starts, less a tenth of all.
    """

    key: str
    work: str
    payload: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    environment: dict[str, str] = field(default_factory=dict)
    memory_limit_bytes: int = 0

    def __post_init__(self) -> None:
        if not WORK.fullmatch(self.work):
            raise ValueError(f"work={self.work!r} must be 'module:function', as 'bench.worker.case:run_case'")


@dataclass(frozen=True)
class Outcome:
    """What became of a job. status is one of record.STATUSES; reason is empty when it is ok.

    seconds is wall time with the start of the process, overhead_seconds what of it was not the work. beside names
    the jobs that ran on the machine at some moment of it, so that its seconds are not its own.
    """

    key: str
    status: str
    reason: str = ""
    last_lines: list[str] = field(default_factory=list)
    result: dict[str, Any] | None = None
    seconds: float = 0.0
    overhead_seconds: float = 0.0
    beside: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.status == OK
