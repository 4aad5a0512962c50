"""Sessions of `pytest suites` in processes of their own, for tests of what a person meets at the command line."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.core.paths import ROOT
from bench.records.record import read_records

TESTS = Path(__file__).resolve().parent
ONE_TEST = "suites/test_cost.py::test_trainable_parameters"


@dataclass(frozen=True)
class Done:
    code: int
    text: str
    seconds: float
    runs: Path

    @property
    def folder(self):
        """Its only run's folder."""
        (found,) = self.runs.iterdir()
        return found

    def records(self):
        return read_records(self.folder / "records.jsonl")[0]


def surroundings(runs, **more):
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LORABENCH_", "GITHUB_", "CI", "OMP_"))
    }
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "LORABENCH_RUNS": str(runs), "CUDA_VISIBLE_DEVICES": "", **more}


def command(*words):
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, words)]


def start(runs, *words, **environment):
    began = time.perf_counter()
    done = subprocess.run(
        command(*words), cwd=ROOT, env=surroundings(runs, **environment), capture_output=True, text=True
    )
    return Done(done.returncode, done.stdout + done.stderr, time.perf_counter() - began, runs)
