"""Toy works for test_executor.py, one calamity each. A worker imports this with the parent's sys.path."""

import builtins
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

MEGABYTE = 1024 * 1024


class SourceError(Exception):
    """A person's mistake, by its name."""


class CannotRun(Exception):
    """What a work raises where its machine lacks something."""


class OutOfMemoryError(RuntimeError):
    """Stands for torch.OutOfMemoryError."""


def give(payload, say):
    return {"given": payload, "pid": os.getpid()}


def started_with(payload, say):
    """What the process had in its environment when its libraries loaded, whatever it has now."""
    words = Path("/proc/self/environ").read_text(encoding="utf-8").split("\0")
    return {"value": dict(word.split("=", 1) for word in words if "=" in word).get(payload["variable"])}


def wait(payload, say):
    time.sleep(payload["seconds"])
    return {"began": time.time() - payload["seconds"], "ended": time.time()}


def wait_for_file(payload, say):
    while not Path(payload["path"]).exists():
        time.sleep(0.01)
    return {}


def show_cards_and_wait(payload, say):
    began = time.time()
    while not Path(payload["path"]).exists():
        time.sleep(0.01)
    return {"cards": os.environ.get("CUDA_VISIBLE_DEVICES"), "began": began, "ended": time.time()}


def surroundings(payload, say):
    return {
        "environment": {name: os.environ.get(name) for name in payload["names"]},
        "folder": str(Path.cwd()),
        "session": os.getsid(0) == os.getpid(),
        "has_torch": "torch" in sys.modules,
        "main": sys.modules["__main__"].__spec__ is None and not hasattr(sys.modules["__main__"], "__file__"),
        "inherited": [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)],  # noqa: PTH115
    }


def write(payload, say):
    print("from print")
    print("from stderr", file=sys.stderr)
    os.write(2, b"from C++\n")
    subprocess.run(["echo", "from a child"], check=True)
    sys.stdout.write("\r10 %\r50 %\r100 %\n\x1b[31mred\x1b[0m \x07bell\n")
    return {}


def write_much(payload, say):
    for number in range(200_000):
        print("line", number)
    return {}


def progress(payload, say):
    for step in range(5):
        say({"step": step, "loss": 1.0 / (step + 1)})
    say({"line": "a line", "odd": Path("odd")})
    say({("no", "key"): 1})
    return {}


def raise_it(payload, say):
    kind = globals().get(payload["kind"]) or getattr(builtins, payload["kind"])
    raise kind(*payload["arguments"])


def raise_from_memory_error(payload, say):
    try:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
    except OutOfMemoryError as error:
        raise ValueError("could not build the model") from error


def kill_itself(payload, say):
    print("about to die", flush=True)
    os.kill(os.getpid(), payload.get("signal", signal.SIGKILL))
    time.sleep(60)


def segfault(payload, say):
    ctypes.string_at(0)


def exit_at_once(payload, say):
    os._exit(3)


def exit_politely(payload, say):
    sys.exit(payload["code"])


def loop(payload, say):
    while True:
        pass


def hang_with_children(payload, say):
    """A child, one that left the session, and one whose parent is gone, none of which ends by itself."""
    for options in ({}, {"start_new_session": True}):
        say({"pid": subprocess.Popen(["sleep", "600"], **options).pid})
    said = subprocess.run(
        ["setsid", "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True
    )
    say({"pid": int(said.stdout)})
    if payload.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(0 if payload.get("ends") else 600)
    return {}


def take_memory(payload, say):
    taken = []
    while True:
        taken.append(b"x" * (20 * MEGABYTE))
        time.sleep(0.02)


def take_memory_in_child(payload, say):
    code = "import time; held = b'x' * (400 * 1024 * 1024); time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], check=True)


def share_memory_with_child(payload, say):
    """A forked child has the parent's pages: the sum of both is more than the machine gives."""
    held = b"x" * (150 * MEGABYTE)
    if os.fork() == 0:
        time.sleep(1.5)
        os._exit(len(held) % 2)
    os.wait()
    return {}


def take_impossible_memory(payload, say):
    return {"size": len(bytearray(1 << 60))}


def give_what_json_cannot_hold(payload, say):
    return {"thread": threading.Lock()}


def give_a_list(payload, say):
    return [1, 2]


def give_much(payload, say):
    return {"text": "x" * payload["characters"]}


def answer_and_stay(payload, say):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return {"pid": os.getpid()}


class Counter:
    """What an interactive work returns: it lives between calls."""

    def __init__(self, say):
        self.total = 0
        self.say = say

    def add(self, number):
        self.total += number
        self.say({"total": self.total})
        return {"total": self.total, "pid": os.getpid()}

    def fail(self):
        raise ValueError("no such step")

    def out_of_memory(self):
        raise OutOfMemoryError("CUDA out of memory")

    def die(self):
        print("dying", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)

    def hang(self):
        time.sleep(600)

    def unsayable(self):
        return threading.Lock()


def counter(payload, say):
    if payload.get("mistake"):
        raise SourceError("no weights named 'x'; say --mirror")
    return Counter(say)


def lose_answer(payload, say):
    """End well, with nothing to send the answer through."""
    os.closerange(3, 256)
    return {}


def report_place(payload, say):
    """What a work on another machine sees of it."""
    return {
        "cards": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "environment": {name: os.environ.get(name) for name in payload["names"]},
    }


def prepare(payload, say):
    """Prepare a machine: note that it was done, and give a variable to the jobs after it."""
    with Path(payload["log"]).open("a") as file:
        file.write("prepared\n")
    return {"variables": {"PREPARED": "1"}}


def log_and_wait(payload, say):
    """Add a line for each start, then wait for a file."""
    with Path(payload["log"]).open("a") as file:
        file.write("started\n")
    while not Path(payload["path"]).exists():
        time.sleep(0.05)
    return {}
