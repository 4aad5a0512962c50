"""The fork server's own code: a process that has imported the heavy modules and forks a worker on demand.

It does not use multiprocessing's forkserver, because there is only one of that for the whole parent. It also runs the
parent's __main__ again in every worker (pytest's, or a script without a guard), does not report a failed import, and
leaves a worker's children behind.

The parent sends four file descriptors for each worker. The answer goes to the last of them, as lines of JSON:
{"pid": …}, then {"exit": …}. When the parent closes the socket or dies, everything here is killed.
"""

import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import psutil

from bench.core.registry import register_entry
from bench.executor.local.child import live

SET_CHILD_SUBREAPER = 36  # prctl's number
PARENT_POLL_SECONDS = 1.0
PIPES_OF_A_WORKER = 4  # requests, answers, output, status


def serve(control: int, preload: Sequence[str], parent: int) -> NoReturn:
    """Import, then fork a worker for each request until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)  # a dead worker's orphans become children here, to be killed
    server = Server(socket.socket(fileno=control))
    try:
        if complaint := import_all(preload):
            server.control.sendall(json.dumps({"error": complaint}).encode() + b"\n")
        else:
            gc.collect()
            gc.freeze()  # otherwise a collection in a worker would copy every page it marks
            server.control.sendall(b'{"ready": true}\n')
            while os.getppid() == parent and server.answer_next():
                pass
    finally:
        server.kill_all()
        os._exit(0)


def import_all(preload: Sequence[str]) -> str:
    """Import the modules, or call MODULE:FUNCTION ARGUMENT. Returns why not to fork, or "" if nothing is wrong."""
    for name in preload:
        try:
            register_entry(name)
        except Exception as error:
            name = name.partition(" ")[0]
            return f"preloading {name!r} failed: {type(error).__name__}: {error}; install it or take it out of preload"
    if any("/dev/nvidia-uvm" in target for target in open_files()):
        return f"preloading {', '.join(preload)} initialised CUDA, which no forked process could use then; preload less"
    return ""


def open_files() -> list[str]:
    """This process's open files, as the kernel names them."""
    targets = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            targets.append(str(entry.readlink()))
    return targets


class Server:
    """The workers of this process by pid, each with the pipe that reports its exit."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.statuses: dict[int, int] = {}
        self.wakeup, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector = selectors.DefaultSelector()
        self.selector.register(control, selectors.EVENT_READ)
        self.selector.register(self.wakeup, selectors.EVENT_READ)
        self.wake = wake

    def answer_next(self) -> bool:
        """Wait for a request or an exit, at most a second; False if the parent has closed the socket."""
        ready = [key.fileobj for key, _ in self.selector.select(PARENT_POLL_SECONDS)]
        if self.wakeup in ready:
            os.read(self.wakeup, 4096)
        self.reap()
        if self.control not in ready:
            return True
        try:
            request, pipes, _, _ = socket.recv_fds(self.control, 1, PIPES_OF_A_WORKER)
        except ConnectionError:
            return False
        if request:
            self.fork(pipes)
        return bool(request)

    def fork(self, pipes: list[int]) -> None:
        requests, answers, output, status = pipes
        for pipe in pipes:
            os.set_inheritable(pipe, False)  # programs that the work starts must not inherit them
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            report(status, {"error": f"no process could be forked: {error}"})
            for pipe in pipes:
                os.close(pipe)
            return
        if pid == 0:
            self.become_worker(requests, answers, output, status)
        for pipe in (requests, answers, output):
            os.close(pipe)
        self.statuses[pid] = status
        report(status, {"pid": pid})

    def become_worker(self, requests: int, answers: int, output: int, status: int) -> NoReturn:
        """In the child: close what belongs to the server, then run the worker."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.selector.close()
            self.control.close()
            for pipe in (self.wakeup, self.wake, status, *self.statuses.values()):
                os.close(pipe)
            live(requests, answers, output)
        finally:
            os._exit(1)

    def reap(self) -> None:
        """Report ended workers, after killing what they left running in their session."""
        while ended := ended_child():
            if ended in self.statuses:
                kill_group(ended)  # before its pid can be reused by another process
            _, wait_status = os.waitpid(ended, 0)
            if (pipe := self.statuses.pop(ended, None)) is not None:
                if not self.statuses:
                    kill_children()  # orphans that had left the session
                report(pipe, {"exit": os.waitstatus_to_exitcode(wait_status)})
                os.close(pipe)

    def kill_all(self) -> None:
        for pid in self.statuses:
            kill_group(pid)
        kill_children()


def ended_child() -> int:
    """The pid of a child that has ended and is not reaped; 0 if there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0


def report(pipe: int, message: dict[str, int | str]) -> None:
    """Send the message to the parent; a parent that no longer listens is not an error."""
    with contextlib.suppress(OSError):
        os.write(pipe, json.dumps(message).encode() + b"\n")


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_children() -> None:
    """Kill every descendant. Their orphans become children of this process, so it repeats until none is left."""
    for _ in range(20):
        living = [child for child in psutil.Process().children(recursive=True) if is_alive(child)]
        if not living:
            return
        for child in living:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(living, timeout=0.5)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
