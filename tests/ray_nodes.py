"""Machines of Ray for tests: `ray start` on addresses 127.0.0.x of this one, each a node of its own.

A node's cards are a stand-in for NVML on its PYTHONPATH, and its libraries can be a folder put before the real ones.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.core.paths import ROOT

TESTS = ROOT / "tests"
HEAD = "127.0.0.2"
PORT = 6_399
AGENTS = (
    "dashboard-agent-grpc",
    "dashboard-agent-listen",
    "metrics-export",
    "runtime-env-agent",
)  # named, or the node gives up after 30 s
MEMORY = str(80_000_000)  # for Ray's store of objects; the least that it takes
START_SECONDS = 600  # on a machine that does much else; a few seconds on an idle one
STARTED = "Ray runtime started"  # in what `ray start` prints
NVML = '''
"""A stand-in for NVML: a machine with the cards that FAKE_CARDS names, as NAME=GB,NAME=GB."""
import os
from types import SimpleNamespace

class NVMLError(Exception):
    pass

def rows():
    return [one.split("=") for one in os.environ["FAKE_CARDS"].split(",")]

def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlSystemGetDriverVersion(): return "580"
def nvmlDeviceGetCount(): return len(rows())
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetUUID(index): return f"GPU-{index}"
def nvmlDeviceGetName(index): return rows()[index][0]
def nvmlDeviceGetMemoryInfo(index):
    size = int(rows()[index][1]) * 10**9
    return SimpleNamespace(total=size, free=size)
def nvmlDeviceGetComputeRunningProcesses(index): return []
'''


class Nodes:
    """The nodes that a test has started, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *options: str, cards: str = "", before: Path | None = None, **variables: str) -> None:
        """Start a node, the first as the head. cards: NAME=GB,…; before: a folder put before its libraries."""
        number = len(self.processes) + 2
        path = [str(before)] if before else []
        if cards:
            folder = self.folder / name
            folder.mkdir()
            (folder / "pynvml.py").write_text(NVML)
            path.append(str(folder))
            options = (*options, f"--num-gpus={len(cards.split(','))}")
            variables["FAKE_CARDS"] = cards
        where = [f"--address={HEAD}:{PORT}"] if self.processes else ["--head", f"--port={PORT}"]
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats", *where, *options,
            f"--node-ip-address=127.0.0.{number}", f"--node-name={name}", f"--object-store-memory={MEMORY}",
            *(f"--{one}-port={PORT + 10 * number + index}" for index, one in enumerate(AGENTS)),
            *(["--include-dashboard=false", f"--temp-dir={self.folder / 'ray'}"] if not self.processes else []),
        ]  # fmt: skip
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join([*path, str(ROOT), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "RAY_memory_monitor_refresh_ms": "0",
            "RAY_raylet_start_wait_time_s": str(START_SECONDS), "RAY_gcs_rpc_server_connect_timeout_s": str(START_SECONDS), **variables,
        }  # fmt: skip
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self, name: str) -> None:
        """Wait until the node has started. Raises TimeoutError with what it said."""
        until = time.monotonic() + START_SECONDS
        while STARTED not in (said := (self.folder / f"{name}.log").read_text(errors="replace")):
            if time.monotonic() > until or self.processes[name].poll() is not None:
                raise TimeoutError(f"Ray's node {name} did not start: {said[-1_000:]}")
            time.sleep(0.1)

    def kill(self, name: str) -> None:
        """Kill the node as a power cut would: all of its processes at once."""
        process = psutil.Process(self.processes[name].pid)
        for one in [*process.children(recursive=True), process]:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue

    def stop(self) -> None:
        for name in self.processes:
            if self.processes[name].poll() is None:
                self.kill(name)
            self.processes[name].wait()


@contextmanager
def ray_nodes():
    """An empty set of nodes, all of which are gone afterwards. Ray's sockets need a short folder."""
    with tempfile.TemporaryDirectory(prefix="lbr", ignore_cleanup_errors=True) as folder:
        nodes = Nodes(Path(folder))
        try:
            yield nodes
        finally:
            nodes.stop()
