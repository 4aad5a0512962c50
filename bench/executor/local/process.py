"""The parent's side of one worker: it reads the pipes, ends the worker if necessary, and returns the outcome."""

import contextlib
import json
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import psutil

from bench.executor.job import Job, Outcome
from bench.executor.local.failure import OUT_OF_MEMORY_TEXTS
from bench.executor.local.fork_server import (
    PIPE_BYTES,
    ForkServer,
    Pipes,
    ServerFailed,
    family_of,
    kill,
    kill_tree,
    signal_name,
)
from bench.executor.local.memory_limit import default_limit, held_bytes, kernel_oom_kills
from bench.executor.local.output import Lines, Tail
from bench.records.record import CRASHED, FAILED, OK, OUT_OF_MEMORY, TIMED_OUT

POLL_SECONDS = 0.5  # between checks of memory and of a deadline set by another thread; pipes need no polling
PAUSE_SECONDS = 0.1  # between two checks of a process that does not die
TERMINATE_SECONDS = 2.0  # from SIGTERM to SIGKILL
EXIT_SECONDS = 5.0  # from the answer to the exit
CHUNK = 64 * 1024
DRAIN_READS = 2 * PIPE_BYTES // CHUNK  # an escaped process may write forever
GIVE_UP_SECONDS = 30.0  # from SIGKILL; a process that hangs in a driver cannot be killed
INTERRUPTED = "interrupted"


class WorkerProcess:
    """One job in one process. `run` blocks in the caller's thread; the rest may be called from others."""

    def __init__(
        self,
        job: Job,
        payload: bytes,
        server: ForkServer,
        timeout: float,
        on_progress: Callable[[str, dict[str, Any]], None],
        interactive: bool = False,
    ) -> None:
        self.job = job
        self.timeout = timeout
        self.interactive = interactive
        self.replies: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()  # None: it has ended
        self.outcome: Outcome | None = None
        self._payload = payload
        self._server = server
        self._on_progress = on_progress
        self._pipes: Pipes | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._verdict: tuple[str, str] | None = None  # why the parent ended it; overrides the worker's answer
        self._answer: dict[str, Any] | None = None
        self._answer_lines = Lines()
        self._status_lines = Lines()
        self._tail = Tail()
        self._exit: int | str | None = None
        self._began = 0.0
        self._work_began = 0.0
        self._work_seconds = 0.0
        self._deadline = float("inf")
        self._kill_at = float("inf")
        self._family: list[psutil.Process] = []  # the processes at SIGTERM, to find those that outlive the worker

    def run(self) -> Outcome:
        """Start the process, wait for its end, and return the job's outcome; raises nothing."""
        self._began = time.monotonic()
        try:
            self._run()
        except Exception as error:  # of this machine: no file descriptors, no folder; the work's own are answers
            self.end(FAILED, f"no worker could be started or watched: {type(error).__name__}: {error}")
        status, reason = self._judge()
        seconds = time.monotonic() - self._began
        result = self._answer.get("result") if self._answer and status == OK else None
        overhead = seconds - self._work_seconds
        self.outcome = Outcome(self.job.key, status, reason, self._tail.lines(), result, seconds, overhead)
        self.replies.put(None)
        return self.outcome

    def _run(self) -> None:
        self._oom_kills = kernel_oom_kills()
        self._limit = self.job.memory_limit_bytes or default_limit()
        try:
            self._pipes = self._server.start_worker()
            self._began = time.monotonic()  # the server's imports serve all workers and count for none
        except ServerFailed as error:
            self._answer = {"status": FAILED, "reason": str(error)}
            return
        try:
            self._set_deadline(self.timeout)
            self._send_request()
            self._watch(self._pipes)
        finally:
            with self._lock:
                self._pipes.close()
                self._pipes = None

    def end(self, status: str, reason: str) -> None:
        """Kill the worker and what it started, with this outcome unless it has answered already."""
        with self._lock:
            if self._verdict is None and self._answer is None:
                self._verdict = (status, reason)
            self._kill_at = min(self._kill_at, time.monotonic())
            pid = self._pid if self._exit is None else 0
        if pid:
            kill_tree(pid)

    def request(self, method: str, arguments: bytes, timeout: float) -> None:
        """Ask an interactive worker for a call; the reply comes through `replies`."""
        self._set_deadline(timeout)
        self._write(pickle.dumps((method, arguments)))

    def rest(self) -> None:
        """Remove the deadline while no request is running."""
        self._deadline = float("inf")

    def _set_deadline(self, seconds: float) -> None:
        self._allowed = seconds
        self._deadline = time.monotonic() + seconds

    def _send_request(self) -> None:
        request = {
            "work": self.job.work,
            "payload": self._payload,
            "interactive": self.interactive,
            "environment": {**os.environ, **self.job.environment},
            "import_path": list(sys.path),
            "folder": str(Path.cwd()),
        }
        self._write(pickle.dumps(request))

    def _write(self, request: bytes) -> None:
        with self._lock:
            pipe = os.dup(self._pipes.requests) if self._pipes else -1
        if pipe < 0:
            return
        try:
            with os.fdopen(pipe, "wb") as file:
                file.write(request)
        except BrokenPipeError:
            pass  # the worker is dead, and its exit code says more

    def _watch(self, pipes: Pipes) -> None:
        """Read the pipes until the process is gone and they are empty."""
        streams = {pipes.answers: self._read_answers, pipes.output: self._tail.add, pipes.status: self._read_status}
        checked = 0.0
        while self._exit is None:
            due = min(checked + POLL_SECONDS, max(checked + PAUSE_SECONDS, min(self._deadline, self._kill_at)))
            ready = wait(list(streams), timeout=max(due - time.monotonic(), 0.0))
            for pipe in [pipe for pipe in streams if pipe in ready]:
                if not read_into(pipe, streams[pipe]):
                    del streams[pipe]
            if pipes.status not in streams and self._exit is None:
                self._lose_server()
            if self._exit is None and time.monotonic() >= due:
                self._check()
                checked = time.monotonic()
        for pipe, reader in streams.items():
            for _ in range(DRAIN_READS):
                if read_into(pipe, reader) <= 0:
                    break
        if self._answer is None:
            self._work_seconds = self._seconds_of_work()
        kill(self._family)

    def _check(self) -> None:
        """End the worker if it is late or holds too much memory."""
        now = time.monotonic()
        if now >= self._kill_at + GIVE_UP_SECONDS:
            self._exit = f"process {self._pid} is still there {GIVE_UP_SECONDS:g} s after SIGKILL"
        elif not self._pid:
            if now >= self._deadline:
                self._exit = f"the fork server gave no process within {self._allowed:g} s (--case-timeout)"
        elif now >= self._kill_at:
            kill_tree(self._pid)
        elif now >= self._deadline:
            reason = f"no answer within {self._allowed:g} s (--case-timeout)"
            with self._lock:
                self._verdict = self._verdict or (TIMED_OUT, reason)
            self._deadline, self._kill_at = float("inf"), now + TERMINATE_SECONDS
            self._family = family_of(self._pid)
            with contextlib.suppress(psutil.Error, IndexError):  # it has just ended
                self._family[0].send_signal(signal.SIGTERM)
        elif self._answer is None and (held := held_bytes(self._pid, self._limit)) > self._limit:
            whose = "its limit" if self.job.memory_limit_bytes else "what was free at its start, less a tenth of all,"
            figures = f"held {held / 1e9:.2f} GB of host memory, above {whose} of {self._limit / 1e9:.2f} GB"
            self.end(OUT_OF_MEMORY, figures)

    def _read_answers(self, chunk: bytes) -> None:
        for message in map(json.loads, self._answer_lines.add(chunk)):
            if "progress" in message:
                self._on_progress(self.job.key, message["progress"])
            elif "began" in message:
                self._work_began = time.monotonic()
            elif message.keys() & {"opened", "answer", "call_failed"}:
                self.replies.put(message)
            else:
                with self._lock:
                    self._answer = message
                self._work_seconds = message.get("work_seconds", self._seconds_of_work())
                self._deadline, self._kill_at = float("inf"), time.monotonic() + EXIT_SECONDS

    def _read_status(self, chunk: bytes) -> None:
        for message in map(json.loads, self._status_lines.add(chunk)):
            if "pid" in message:
                with self._lock:
                    self._pid = message["pid"]
                if self._verdict:  # ended before it was born
                    kill_tree(self._pid)
            else:
                self._exit = message.get("exit", message.get("error"))

    def _seconds_of_work(self) -> float:
        """Seconds since the work was called; 0 if it was not."""
        return time.monotonic() - self._work_began if self._work_began else 0.0

    def _lose_server(self) -> None:
        """Handle the death of the fork server; the kernel kills its workers with it."""
        if self._pid:
            kill_tree(self._pid)
        self._exit = "the fork server was killed, and the worker with it"

    def _judge(self) -> tuple[str, str]:
        """The status and the reason: the parent's verdict, else the worker's answer, else its exit."""
        if self._verdict:
            return self._verdict
        if self._answer is not None:
            return self._answer.get("status", OK), self._answer.get("reason", "")
        if isinstance(self._exit, str):
            return CRASHED, self._exit
        code = self._exit or 0
        if code == -signal.SIGKILL and kernel_oom_kills() > self._oom_kills:
            return OUT_OF_MEMORY, "killed by the kernel's out-of-memory killer"
        if code < 0:
            reason = f"killed by {signal_name(-code)}"
            no_memory = [line for line in self._tail.lines() if any(text in line for text in OUT_OF_MEMORY_TEXTS)]
            return (OUT_OF_MEMORY, f"{reason}: {no_memory[-1]}") if no_memory else (CRASHED, reason)
        return CRASHED, f"exited with code {code} before it answered"


def read_into(pipe: int, reader: Callable[[bytes], None]) -> int:
    """Read once without waiting; 1 if something came, -1 if nothing is there now, 0 at the end of the pipe."""
    try:
        chunk = os.read(pipe, CHUNK)
    except BlockingIOError:
        return -1
    if chunk:
        reader(chunk)
    return 1 if chunk else 0
