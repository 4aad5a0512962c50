"""The parent's end of the fork server: starts it, asks it for workers, stops it."""

import atexit
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import IO

import psutil

from bench.executor.local.output import Tail

PRELOAD_SECONDS = 300.0
STOP_SECONDS = 5.0
PIPE_BYTES = 1024 * 1024  # large, so that progress is seldom dropped
# libgomp's waiting threads spin for long, which starves a busy machine: steps were seen a hundred times slower
# beside another process. Sleeping at once makes steps 1.8 times slower on an idle machine; a short spin costs almost
# nothing. The variable is read once, when the libraries load, so the server sets it. The user's own value wins.
THREADS_WAIT = {"GOMP_SPINCOUNT": "20000"}
SERVER_ENVIRONMENT = {
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    # makes is_available() ask NVML: asking CUDA would make CUDA unusable in every forked worker
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    # libraries warn on import; a user's "error" is meant for their own code and would fail every case
    "PYTHONWARNINGS": "",
}
BOOTSTRAP = (
    "import json, sys; path, control, preload, parent = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from bench.executor.local.forking import serve; serve(control, preload, parent)"
)


class ServerFailed(RuntimeError):
    """No worker can be started; the message says why and what to do."""


@dataclass(frozen=True)
class Pipes:
    """The parent's ends of a worker's pipes, as file descriptors."""

    requests: int
    answers: int
    output: int
    status: int

    def close(self) -> None:
        for pipe in astuple(self):
            os.close(pipe)


class ForkServer:
    """A process that has imported `preload`; starts with the first worker, and again if it was killed."""

    def __init__(self, preload: Sequence[str]) -> None:
        self.preload = list(preload)
        self._owner = os.getpid()
        self._asking = threading.Lock()  # one request at a time; held while the modules are imported
        self._changing = threading.Lock()  # guards the fields below; held briefly, so that stop need not wait
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._log: IO[bytes] | None = None  # the server's output, to report why it died
        self._ready = False
        self._stopped = False
        self.preload_seconds = 0.0  # import time that its workers save
        self._complaint = ""  # a preload that failed will fail again
        atexit.register(self.stop)

    def start_worker(self) -> Pipes:
        """Start a worker and return its pipes; waits for the preload. Raises ServerFailed."""
        with self._asking:
            control = self._ready_control()
            ours, theirs = make_pipes()
            try:
                socket.send_fds(control, [b"w"], theirs)
            except OSError as error:
                ours.close()
                raise ServerFailed(f"the fork server was lost ({error}); the next case starts it again") from None
            finally:
                for pipe in theirs:
                    os.close(pipe)
            return ours

    def _ready_control(self) -> socket.socket:
        if self._complaint:
            raise ServerFailed(self._complaint)
        with self._changing:
            if self._stopped:
                raise ServerFailed("the executor was stopped")
            if self._process is None or self._process.poll() is not None:
                self._launch()
            process, control, ready = self._process, self._control, self._ready
        assert process is not None  # _launch sets both; this tells mypy
        assert control is not None
        if not ready:
            self._wait_for_preload(process, control)
        return control

    def _launch(self) -> None:
        self._close()
        self._control, theirs = socket.socketpair()
        setting = json.dumps([sys.path, theirs.fileno(), self.preload, os.getpid()])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the server
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-c", BOOTSTRAP, setting],  # unbuffered: a worker's output survives a crash
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**THREADS_WAIT, **os.environ, **SERVER_ENVIRONMENT},
                start_new_session=True,  # the terminal's Ctrl-C is for the parent
            )
        finally:
            theirs.close()
        self._ready = False

    def _close(self) -> None:
        """Close the resources of a server that died."""
        if self._control and self._log:
            self._control.close()
            self._log.close()

    def _wait_for_preload(self, process: subprocess.Popen, control: socket.socket) -> None:
        line, began = b"", time.monotonic()
        try:
            control.settimeout(PRELOAD_SECONDS)
            while not line.endswith(b"\n") and (chunk := control.recv(4096)):
                line += chunk
            control.settimeout(None)
        except TimeoutError:
            kill_tree(process.pid)
            self._complaint = f"preloading {', '.join(self.preload)} took more than {PRELOAD_SECONDS:.0f} s"
            raise ServerFailed(self._complaint) from None
        except OSError:
            line = b""
        if not line:
            raise ServerFailed("the executor was stopped" if self._stopped else self._death(process))
        self._complaint = json.loads(line).get("error", "")
        if self._complaint:
            raise ServerFailed(self._complaint)
        self._ready = True
        self.preload_seconds = time.monotonic() - began

    def _death(self, process: subprocess.Popen) -> str:
        """Why the server ended before it was ready."""
        code = process.wait()
        tail = Tail()
        if self._log:
            self._log.seek(0)
            tail.add(self._log.read())
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"exited with code {code}"
        said = " / ".join(tail.lines()[-3:]) or "nothing"
        return f"the fork server {how} while it imported {', '.join(self.preload) or 'nothing'}; it said: {said}"

    def stop(self) -> None:
        """End the server and every worker it has; idempotent."""
        if os.getpid() != self._owner:  # a fork of the parent that exits
            return
        atexit.unregister(self.stop)
        with self._changing:
            self._stopped = True
            process, control, log, ready = self._process, self._control, self._log, self._ready
            self._process = None
        if process is None or control is None or log is None:
            return
        with contextlib.suppress(OSError):
            control.shutdown(socket.SHUT_RDWR)
        try:
            process.wait(STOP_SECONDS if ready else 0)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait()
        control.close()
        log.close()


def make_pipes() -> tuple[Pipes, list[int]]:
    """The parent's ends and the worker's, each in the order of Pipes."""
    requests_out, requests_in = os.pipe()
    answers_out, answers_in = os.pipe()
    output_out, output_in = os.pipe()
    status_out, status_in = os.pipe()
    for pipe in (answers_out, output_out, status_out):
        os.set_blocking(pipe, False)
        with contextlib.suppress(OSError):  # pipe pages per user are limited; then the pipe stays small
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    ours = Pipes(requests_in, answers_out, output_out, status_out)
    return ours, [requests_out, answers_in, output_in, status_in]


def signal_name(number: int) -> str:
    """The signal in words, as in "signal 9 (SIGKILL)"."""
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def family_of(pid: int) -> list[psutil.Process]:
    """The process and its descendants; none is mistaken for a later process with the same pid."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def kill_tree(pid: int) -> None:
    """Kill a process, its process group and its descendants."""
    family = family_of(pid)
    if family:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    kill(family)


def kill(family: list[psutil.Process]) -> None:
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
