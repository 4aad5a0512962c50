"""The training loop: a plain loop over steps that are fixed before it starts."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from bench.worker.device import synchronise
from bench.worker.train.backward import backward
from bench.worker.train.batches import Batch
from bench.worker.train.optimizer import (
    apply_gradients,
    make_optimizer,
    make_scaler,
    make_schedule,
    optimized_parameters,
)
from bench.worker.train.steps import Step
from bench.worker.train.trainee import Say, Trainee


class Done(NamedTuple):
    """An optimizer step that was taken, its number from 0, and its batches.

    data_seconds: of making those; cpu_seconds: of all threads of the process, in the step.
    """

    number: int
    step: Step
    loss: float
    seconds: float
    data_seconds: float
    batches: list[Batch]
    cpu_seconds: float


@dataclass
class Training:
    """The result of training, one entry per step: losses in nats per label, seconds without data loading.

    data_seconds: of making all batches.
    """

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    padded_tokens: list[int] = field(default_factory=list)
    data_seconds: float = 0.0


def seed_dropout(trainee: Trainee) -> None:
    """Seed the random numbers of dropout, so that what was drawn before the first step does not matter."""
    torch.manual_seed(trainee.seed)


def each_step(trainee: Trainee, steps: Sequence[Step]) -> Iterator[Done]:
    """Train, yielding after each step. Raises FloatingPointError if the loss is not finite."""
    optimizer = make_optimizer(trainee)
    schedule = make_schedule(optimizer, trainee.recipe, len(steps))
    scaler = make_scaler(trainee)
    trained = optimized_parameters(optimizer)
    trainee.model.train()
    seed_dropout(trainee)
    for number, step in enumerate(steps):
        asked = time.perf_counter()
        batches = [trainee.batching.collate(items) for items in step.micro_batches]
        data_seconds = time.perf_counter() - asked
        on_device = [batch.to(trainee.device) for batch in batches]  # outside the clock, as Trainer copies them
        synchronise(trainee.device)
        started, spent = time.perf_counter(), time.process_time()
        loss = backward(trainee, on_device, scaler)
        refuse_infinite(loss, number + 1)
        if apply_gradients(trainee.recipe, optimizer, trained, scaler):
            schedule.step()
            if trainee.method.after_step:
                trainee.method.after_step(trainee.model, number)
        optimizer.zero_grad(set_to_none=True)
        synchronise(trainee.device)  # kernels are queued; without this the clock stops early
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - spent
        yield Done(number, step, loss, seconds, data_seconds, batches, cpu_seconds)


def train(trainee: Trainee, steps: Sequence[Step], say: Say, on_epoch: Callable[[int], None]) -> Training:
    """Run all steps; on_epoch(epoch) is called when an epoch's last step is done, outside the clock."""
    training = Training()
    for done in each_step(trainee, steps):
        training.data_seconds += done.data_seconds
        keep(training, done.loss, done.seconds, done.batches, done.cpu_seconds)
        if finish_step(training, steps, done.number, say, on_epoch):
            trainee.model.train()  # evaluating left it in evaluation
    return training


def refuse_infinite(loss: float, step: int) -> None:
    """Raises FloatingPointError for a loss that is not finite; step counts from 1."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss} at step {step}; lower learning_rate in the recipe")


def keep(training: Training, loss: float, seconds: float, batches: Sequence[Batch], cpu_seconds: float) -> None:
    """Add a step's figures to the run's."""
    training.losses.append(loss)
    training.seconds.append(seconds)
    training.cpu_seconds.append(cpu_seconds)
    training.tokens.append(sum(batch.tokens for batch in batches))
    training.padded_tokens.append(sum(batch.input_ids.numel() for batch in batches))


def finish_step(
    training: Training, steps: Sequence[Step], number: int, say: Say, on_epoch: Callable[[int], None]
) -> bool:
    """Report the progress, and end the epoch if this was its last step; whether it was. number counts from 0."""
    say(progress(training, number + 1, len(steps)))
    if ended := ends_epoch(steps, number):
        on_epoch(steps[number].epoch)
    return ended


def ends_epoch(steps: Sequence[Step], number: int) -> bool:
    """Whether this step, counted from 0, is the last one of its epoch that is taken."""
    return number + 1 == len(steps) or steps[number + 1].epoch != steps[number].epoch


def progress(training: Training, step: int, steps: int) -> dict[str, Any]:
    """What a progress line shows; the time left is at the speed of the last twenty steps."""
    recent = training.seconds[-20:]
    return {
        "step": step,
        "steps": steps,
        "loss": training.losses[-1],
        "tokens_per_second": sum(training.tokens[-20:]) / sum(recent),
        "seconds_left": (steps - step) * sum(recent) / len(recent),
    }
