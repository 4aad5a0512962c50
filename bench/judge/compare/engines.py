"""A timing of both engines on the same case, each in a fresh process: is our loop as fast as transformers.Trainer?

    python -m bench engines pos-minilm_l6-lora-cpu-s0

The engines take turns, so that a machine that is busy for a while slows both.
"""

import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.core.case import Case
from bench.core.work import PRELOAD_FOR_CASES, RUN_CASE, CaseWork
from bench.executor import Executor, Job, Needs
from bench.recipes.files import CHOICES
from bench.recipes.of_case import recipe_for

TURNS = 3
STEPS = 30
TIMEOUT_SECONDS = 1_800.0


@dataclass(frozen=True)
class Timing:
    """Median seconds of an optimizer step in each turn, and the last turn's last loss."""

    engine: str
    seconds_per_step: list[float]
    last_loss: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds_per_step)


def compare(case: Case, mirror: Path | None, data: str, entries: tuple[str, ...]) -> list[Timing]:
    """Time STEPS steps by each engine, TURNS times. Raises RuntimeError if a run does not end well.

    entries: modules that register a user's own entries, for the worker.
    """
    seconds: dict[str, list[float]] = {engine: [] for engine in CHOICES["engine"]}
    losses: dict[str, float] = {}
    with Executor((*PRELOAD_FOR_CASES, *entries), TIMEOUT_SECONDS) as executor:
        for engine, job in jobs(case, mirror, data):
            executor.submit(job)
            outcome = executor.outcome(job.key)
            if outcome.result is None:
                raise RuntimeError(f"{job.key}: {outcome.status}, {outcome.reason}")
            seconds[engine].append(outcome.result["noisy"]["seconds_per_step"])
            losses[engine] = outcome.result["losses"][-1]
    return [Timing(engine, values, losses[engine]) for engine, values in seconds.items()]


def jobs(case: Case, mirror: Path | None, data: str) -> Iterator[tuple[str, Job]]:
    """One job for each turn and engine."""
    for turn in range(1, TURNS + 1):
        for engine in CHOICES["engine"]:
            recipe = recipe_for(case, data, engine=engine, max_steps=STEPS, evaluation_examples=16)
            work = CaseWork(case, recipe, mirror, threads=os.cpu_count() or 0)
            needs = Needs(cards=0 if case.device == "cpu" else 1, exclusive=True)
            yield engine, Job(f"{case.id}, {engine}, turn {turn}", RUN_CASE, work.to_plain(), needs)
