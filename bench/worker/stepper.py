"""A case's optimizer steps one by one, in the worker, for pytest-benchmark."""

from dataclasses import replace
from typing import Any

from bench.core.work import CaseWork
from bench.machine.environment import describe_worker
from bench.worker.build.adapter import attach
from bench.worker.first_method import base_maker
from bench.worker.setup import set_up
from bench.worker.timeline import Timeline
from bench.worker.train import loop
from bench.worker.train.steps import plan_steps
from bench.worker.train.trainee import Say, Trainee

MOST_TIMED_STEPS = 10_000  # of a stepper; more than any benchmark asks for


class Stepper:
    """A case made ready, whose optimizer steps are driven one by one from outside, for timing."""

    def __init__(self, payload: dict[str, Any], say: Say) -> None:
        setting = set_up(CaseWork.from_plain(payload), say, Timeline())
        model = base_maker(setting, say)(to_attach=True)
        steps = plan_steps(setting.batching, setting.prepared.train, setting.case.seed)
        model = attach(model, setting.entry, setting.method, setting.recipe, len(steps), setting.case.seed)
        recipe = replace(setting.recipe, schedule="constant", warmup_fraction=0.0)
        trainee = Trainee(model, setting.method, recipe, setting.batching, setting.device, setting.case.seed)
        self.environment = {**describe_worker(setting.device), **setting.emulation}
        self._run = loop.each_step(trainee, steps[:1] * MOST_TIMED_STEPS)  # one shape again and again

    def describe(self) -> dict[str, Any]:
        """The worker's environment, for pytest-benchmark's extra_info."""
        return self.environment

    def step(self) -> dict[str, float]:
        """One optimizer step of the first batch: its loss, its seconds by the worker's clock, its tokens."""
        done = next(self._run)
        return {"loss": done.loss, "seconds": done.seconds, "tokens": sum(batch.tokens for batch in done.batches)}
