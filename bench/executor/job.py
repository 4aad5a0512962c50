"""Requests to the executor and its answers, as plain data."""

import re
from dataclasses import dataclass, field
from typing import Any

from bench.executor.resources import Needs
from bench.records.record import OK

WORK = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Job:
    """One piece of work for one process.

    work is "module:function". The worker imports it with the parent's sys.path and calls function(payload, say),
    which returns a dict of JSON types. payload is picklable plain data; none of its classes may be defined in
    __main__, which a worker does not have. environment is added to the parent's os.environ before the work is
    imported; a preloaded library has read its variables already. needs is what it needs of a machine.
    memory_limit_bytes is host memory; 0 means the memory that is free when the worker starts, less a tenth of all
    memory.
    """

    key: str
    work: str
    payload: dict[str, Any] = field(default_factory=dict)
    needs: Needs = field(default_factory=Needs)
    environment: dict[str, str] = field(default_factory=dict)
    memory_limit_bytes: int = 0

    def __post_init__(self) -> None:
        if not WORK.fullmatch(self.work):
            raise ValueError(f"work={self.work!r} must be 'module:function', as 'bench.worker.case:run_case'")


@dataclass(frozen=True)
class Outcome:
    """The result of a job. status is one of record.STATUSES; reason is empty if the status is ok.

    seconds is wall time including the start of the process; overhead_seconds is the part of it outside the work.
    beside names the jobs that ran on the machine at any moment of this one, which makes its seconds unreliable.
    environment is what the executor knows of the machine and the cards that it ran on, whatever became of it. node is
    the machine's name if the executor has several, attempt counts the machines that it was started on, and earlier says
    how earlier attempts were lost.
    """

    key: str
    status: str
    reason: str = ""
    last_lines: list[str] = field(default_factory=list)
    result: dict[str, Any] | None = None
    seconds: float = 0.0
    overhead_seconds: float = 0.0
    beside: tuple[str, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    node: str = ""
    attempt: int = 1
    earlier: str = ""

    @property
    def ok(self) -> bool:
        return self.status == OK
