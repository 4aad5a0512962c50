"""Margins: how far a task's quality may drop before it counts as worse, read from fixtures/gate.toml.

The quality of every task is compared in margins, so one rule covers both F1, which lies between 0 and 1, and a loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.files import BadFile, read_toml
from bench.core.paths import FIXTURES
from bench.tasks import TASKS, Task

FILE = FIXTURES / "gate.toml"
FRACTION, LOSS = "fraction", "loss"  # keys of the margins for tasks that the file does not name


@dataclass(frozen=True)
class Noise:
    """A variance over seeds, in squared margins, and its degrees of freedom."""

    variance: float
    degrees: float


@dataclass(frozen=True)
class Gate:
    """The contents of the file, checked."""

    margins: Mapping[str, float]
    prior: Noise  # for a case without any seed

    def margin(self, task: Task) -> float:
        """Absolute for a metric between 0 and 1, relative for a loss."""
        for name in (task.name, task.variant_of, FRACTION if task.greater_is_better else LOSS):
            if name in self.margins:
                return self.margins[name]
        raise AssertionError("read_gate requires both defaults")

    def margins_lost(self, task: str, before: float, after: float) -> float:
        """How many margins worse the metric has become; negative if it is better."""
        entry = TASKS[task]
        unit = self.margin(entry) * (1.0 if entry.greater_is_better else abs(before))
        lost = -entry.improvement(before, after)
        return lost / unit if unit else 0.0 if lost == 0 else float("inf") if lost > 0 else float("-inf")


@cache
def read_gate(path: Path = FILE) -> Gate:
    """The gate's settings. Raises BadFile naming the key for a wrong field or value."""
    tables = read_toml(path)
    if tables.keys() != {"margins", "noise"}:
        raise BadFile(f"{path}: must have exactly the tables margins and noise")
    margins, noise = tables["margins"], tables["noise"]
    for name in (FRACTION, LOSS):
        if name not in margins:
            raise BadFile(f"{path} [margins]: must have {name}, the margin of tasks that it does not name")
    if noise.keys() != {"deviation", "degrees"}:
        raise BadFile(f"{path} [noise]: must have exactly the keys deviation and degrees")
    for where, table in (("margins", margins), ("noise", noise)):
        for name, value in table.items():
            check_positive(f"{path} [{where}]", name, value)
    return Gate(margins, Noise(noise["deviation"] ** 2, noise["degrees"]))


def check_positive(where: str, name: str, value: Any) -> None:
    if type(value) is not float or not 0 < value < float("inf"):
        raise BadFile(f"{where}: {name} = {value!r} must be a number with decimals above 0")
