"""An entry of a campaign as a session of pytest in a process of its own, which ends at its deadline.

Records are stored as their cases finish, so a session that is cut off keeps those that it finished.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.campaign.entries import Entry
from bench.core.paths import INSTALLED, PACKAGE, ROOT, RUNS
from bench.executor.local.fork_server import kill_tree
from bench.records.figures import FIGURES
from bench.records.record import OUT_OF_MEMORY, Record, read_records
from bench.records.stored_runs import runs_in

SLACK = 2.5  # times its predicted seconds, after which an entry is cut off; how far an estimate may be off
GRACE_SECONDS = 15  # between the signal that ends a session in order and the one that kills it
CUT_OFF, DONE, FAILED = "cut off", "done", "failed"
CLEAN = 0


@dataclass(frozen=True)
class Ended:
    """How an entry's session ended. says: what failed or was reached; run: the folder of its records."""

    state: str
    says: str
    seconds: float
    run: Path | None

    @property
    def words(self) -> str:
        return f"{self.state} after {self.seconds:.0f} s{f': {self.says}' if self.says else ''}"


def run_name(entry: Entry) -> str:
    return f"campaign-{entry.name}"


def command_of(entry: Entry, mirror: str, entries: Sequence[str], case_seconds: float) -> list[str]:
    """The session's command line."""
    if entry.tests:
        return [sys.executable, "-m", "pytest", *(str(ROOT / path) for path in entry.tests), "-q"]
    own = ["--entries", ",".join(entries)] if entries else []
    limits = ["--run-name", run_name(entry), "--case-timeout", f"{max(1.0, case_seconds):.0f}"]
    words = [*entry.suites, *entry.options(mirror), *own, *limits, "-q"]
    return [sys.executable, "-P", "-m", "bench", "test", *words]


def run_entry(entry: Entry, mirror: str, entries: Sequence[str], seconds: float) -> Ended:
    """Run the entry's session for at most so many seconds; its output goes to stderr."""
    before, began = set(runs_in(RUNS)), time.monotonic()
    path = os.pathsep.join(filter(None, ["" if INSTALLED else str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]))
    variables = {name: value for name, value in os.environ.items() if name not in ("GITHUB_STEP_SUMMARY", "PYTHONPATH")}
    process = subprocess.Popen(
        command_of(entry, mirror, entries, seconds),
        env={**variables, **({"PYTHONPATH": path} if path else {})},
        cwd=ROOT if entry.tests else None,
        stdout=sys.stderr,
        start_new_session=True,
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        code = None
        end(process)
    except BaseException:
        end(process)
        raise
    new = [name for name in sorted(runs_in(RUNS).keys() - before) if is_run_of(entry, name)]
    run = RUNS / new[-1] if new else None
    records = list(read_records(run / "records.jsonl")[0].values()) if run else []
    return Ended(*outcome_of(entry, records, code), time.monotonic() - began, run)


def is_run_of(entry: Entry, folder: str) -> bool:
    """Whether a folder has the run name of the entry: TIME-NAME, or TIME-NAME-2 if sessions start in one second."""
    return re.fullmatch(rf"[^-]+-{re.escape(run_name(entry))}(-\d+)?", folder) is not None


def end(process: "subprocess.Popen[bytes]") -> None:
    """End the session in order, and kill it with its workers if it does not end."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        process.wait()


def outcome_of(entry: Entry, records: Sequence[Record], code: int | None) -> tuple[str, str]:
    """The state of a session and what to say of it. code: its exit code, None if it was cut off."""
    if entry.out_of_memory and records:
        ran = [record.case for record in records if record.status != OUT_OF_MEMORY]
        return (FAILED, f"{ran[0]} was to run out of memory") if ran else (DONE, "out of memory, as expected")
    broken = [f"{one.case} {one.status.replace('_', ' ')} ({one.reason})" for one in records if not one.ok]
    if code is None:
        return CUT_OFF, "; ".join([f"{len(records)} of {len(entry.cases)} cases have a record", *broken])
    if broken or code != CLEAN:
        return FAILED, "; ".join(broken) or f"its tests ended with exit code {code}"
    return DONE, reached(entry, records)


def reached(entry: Entry, records: Sequence[Record]) -> str:
    """The best value of the figure that the entry is run for, beside the one that it is to reach."""
    if not entry.figure:
        return ""
    values = [value for record in records if (value := FIGURES[entry.figure].value(record)) is not None]
    return f"{entry.figure} {max(values):.3f}, {entry.least:g} wanted" if values else ""
