"""A person's own entries for test_plugin.py: a tiny task, and methods with one calamity each.

Given by `--entries toy_entries`, so that pytest and its workers know them.
"""

import ctypes
import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path

from bench.methods import METHODS
from bench.sources.data import DataSpec
from bench.tasks import TASKS

LORA = METHODS["lora"]
SAMPLE = Path(__file__).resolve().parent / "toy_tags.jsonl"
TASK = replace(
    TASKS["pos"], name="toy_tags", data=DataSpec("toy/tags", ("words", "labels"), ("train", "test"), (str(SAMPLE),))
)


def kill_unless_cured(attach):
    if "TOY_CURED" in os.environ:
        return LORA.run(attach)
    print("about to die")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL was survived")


def segfault(attach):
    ctypes.string_at(0)


def loop(attach):
    Path(os.environ["TOY_MARK"]).touch()
    while True:
        pass


def allocate(attach):
    import torch

    torch.empty(1 << 60)


def warn(attach):
    warnings.warn("a library's own", FutureWarning, stacklevel=1)
    return LORA.run(attach)


TASKS.put("toy_tags", TASK)
METHODS.put("toy_warn", replace(LORA, name="toy_warn", run=warn))
METHODS.put("toy_kill", replace(LORA, name="toy_kill", run=kill_unless_cured))
METHODS.put("toy_segfault", replace(LORA, name="toy_segfault", run=segfault))
METHODS.put("toy_loop", replace(LORA, name="toy_loop", run=loop))
METHODS.put("toy_allocate", replace(LORA, name="toy_allocate", run=allocate))
