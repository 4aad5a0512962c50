"""The life of a worker, from the fork to the exit.

Requests arrive as pickles through one pipe, and answers leave as lines of JSON through another. Everything written to
stdout and stderr, by C++ too, goes through a third.
"""

import atexit
import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from bench.executor.local.failure import describe
from bench.records.record import FAILED

Say = Callable[[dict[str, Any]], None]

CLOSE = ""  # the method that ends an interactive worker
KILLED_FIRST = "500"  # of 1000, added to the kernel's score: a worker goes before pytest does
SET_PARENT_DEATH_SIGNAL = 1  # prctl's number
LONGEST_PROGRESS = 64 * 1024  # bytes; a longer message could block on the parent


class Answers:
    """The pipe to the parent. The work's threads may share it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._turn = threading.Lock()
        self._room = select.poll()
        self._room.register(pipe, select.POLLOUT)

    def say(self, progress: dict[str, Any]) -> None:
        """Report progress to the parent; dropped if it does not listen, and never an error of the work."""
        try:
            line = json.dumps({"progress": progress}, default=plain)
        except (TypeError, ValueError, RecursionError) as error:
            line = json.dumps({"progress": {"line": f"progress that is no plain data: {error}"}})
        if len(line) > LONGEST_PROGRESS:
            return
        with self._turn, contextlib.suppress(OSError):
            if self._room.poll(0):
                self._write(line)

    def send(self, answer: dict[str, Any]) -> None:
        """Send the parent an answer, or the reason why it cannot be sent. A parent that is gone needs no answer."""
        try:
            line = json.dumps(answer)
        except (TypeError, ValueError, RecursionError) as error:
            line = json.dumps({"status": FAILED, "reason": f"the work returned what JSON cannot hold: {error}"})
        with self._turn, contextlib.suppress(BrokenPipeError):
            self._write(line)

    def _write(self, line: str) -> None:
        rest = memoryview(line.encode() + b"\n")
        while rest:
            rest = rest[os.write(self._pipe, rest) :]


def plain(value: Any) -> Any:
    """A numpy or torch scalar as a plain number; any other value as text."""
    return value.item() if hasattr(value, "item") else str(value)


def live(requests: int, answers: int, output: int) -> NoReturn:
    """Run the worker from start to exit; never returns to the fork server."""
    code = 1
    try:
        separate(output)
        with os.fdopen(requests, "rb") as pipe:
            answer_requests(pipe, Answers(answers))
        code = 0
    except SystemExit as error:
        code = exit_code(error)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def separate(output: int) -> None:
    """Detach the process from the fork server: new session, output and signals; but let it die with the server."""
    os.setsid()
    die_with_parent()
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(output)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable()
    faulthandler.register(signal.SIGTERM, all_threads=False, chain=True)  # a timeout shows where it hung
    os.register_at_fork(after_in_child=lambda: faulthandler.unregister(signal.SIGTERM))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(KILLED_FIRST)


def die_with_parent() -> None:
    """Have the kernel kill this process if the fork server is killed, as the server then cannot."""
    server = os.getppid()
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)


def answer_requests(requests: BinaryIO, answers: Answers) -> None:
    """Do the first request's work; if it is interactive, serve calls on the returned object until the pipe ends."""
    try:
        request = pickle.load(requests)
        settle(request)
        module, _, name = request["work"].partition(":")
        work = getattr(importlib.import_module(module), name)
        payload = pickle.loads(request["payload"])
        gc.freeze()  # library objects stay; a collection that scans them takes a quarter of a second
        answers.send({"began": True})
        began = time.perf_counter()
        value = work(payload, answers.say)
        seconds = time.perf_counter() - began
    except Exception as error:
        answers.send(failure(error))
        return
    if request["interactive"]:
        answers.send({"opened": True})
        answer_calls(value, requests, answers)
        answers.send({"result": {}})
    elif isinstance(value, dict):
        answers.send({"result": value, "work_seconds": seconds})
    else:
        reason = f"{request['work']} returned {type(value).__name__}, expected a dict"
        answers.send({"status": FAILED, "reason": reason})


def answer_calls(target: Any, requests: BinaryIO, answers: Answers) -> None:
    """Call the target's methods as requested; an error is the call's answer and does not end the worker."""
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            return
        if method == CLOSE:
            return
        try:
            called, values = getattr(target, method), pickle.loads(arguments)
            began = time.perf_counter()
            value = called(**values)
            seconds = time.perf_counter() - began
            json.dumps(value)
        except Exception as error:
            answers.send({"call_failed": failure(error)})
        else:
            answers.send({"answer": value, "call_seconds": seconds})


def settle(request: dict[str, Any]) -> None:
    """Take over the parent's import path, folder and environment, which may differ from the fork server's."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.environ.pop("PYTHONWARNINGS", None)  # as in the fork server, for programs that the worker starts
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # NVML's order, by default
    sys.path[:] = request["import_path"]
    importlib.invalidate_caches()
    os.chdir(request["folder"])


def failure(error: Exception) -> dict[str, Any]:
    """The answer for an exception; the traceback goes to stderr if it helps."""
    status, reason, wants_traceback = describe(error)
    if wants_traceback:
        traceback.print_exception(error)
    return {"status": status, "reason": reason}


def exit_code(error: SystemExit) -> int:
    """The code that Python itself would exit with."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def leave(code: int) -> NoReturn:
    """Exit without tearing down the interpreter, which is slow with torch and may hang."""
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
