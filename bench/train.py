"""Training: a plain loop over steps that are fixed before it starts.

The mean of a step is over its labels, not over its micro-batches, so gradient accumulation gives the
gradient of the large batch exactly, padding or not.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.batches import Batch, Batching, Extent
from bench.chunks import chunked_loss, route
from bench.lean import bare_head, checkpoints_on_host
from bench.losses import summed_loss
from bench.measure.clock import synchronise
from bench.methods import Method
from bench.precision import autocast
from bench.recipe import Recipe
from bench.tasks import Example

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Step:
    """One optimizer step: its micro-batches as lists of examples (or packed rows), and its epoch from 1."""

    epoch: int
    micro_batches: list[list[Any]]


class Done(NamedTuple):
    """An optimizer step that was taken, its number from 0, and its batches. data_seconds: of making those."""

    number: int
    step: Step
    loss: float
    seconds: float
    data_seconds: float
    batches: list[Batch]


@dataclass
class Training:
    """What a run of the loop gave: one entry a step. Losses in nats a label, seconds without data loading.

    data_seconds: of making all batches.
    """

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    padded_tokens: list[int] = field(default_factory=list)
    data_seconds: float = 0.0


@dataclass
class Trainee:
    """All that an engine needs: the model on its device, its method, how batches are made, and dropout's seed."""

    model: Any
    method: Method
    recipe: Recipe
    batching: Batching
    device: str
    seed: int = 0


def plan_steps(batching: Batching, examples: Sequence[Example], seed: int) -> list[Step]:
    """All optimizer steps of the run in order; max_steps cuts them, or repeats epochs until it is reached."""
    recipe = batching.recipe
    steps: list[Step] = []
    epoch = 0
    while epoch < recipe.epochs or len(steps) < recipe.max_steps:
        batches = batching.epoch(examples, seed, epoch)
        each = recipe.gradient_accumulation_steps
        steps += [Step(epoch + 1, batches[start : start + each]) for start in range(0, len(batches), each)]
        epoch += 1
        if recipe.max_steps and len(steps) >= recipe.max_steps:
            return steps[: recipe.max_steps]
    return steps


def heaviest(batching: Batching, steps: Sequence[Step]) -> list[Extent]:
    """The micro-batches that can hold most: of most positions and of most labels, with and without a mask."""
    extents = {batching.extent(items) for step in steps for items in step.micro_batches}
    found = []
    for masked in (True, False):
        own = [extent for extent in extents if extent.whole is not masked]
        if own:
            found.append(max(own, key=lambda extent: (extent.positions, extent.length, extent.scored)))
            found.append(max(own, key=lambda extent: (extent.scored, extent.positions, extent.length)))
    return list(dict.fromkeys(found))


def make_optimizer(trainee: Trainee) -> torch.optim.Optimizer:
    """AdamW over what trains; norms and biases without weight decay, a new head at its own rate."""
    recipe = trainee.recipe
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in trainee.model.named_parameters():
        if not parameter.requires_grad:
            continue
        head = "classifier" in name
        rate = recipe.head_learning_rate if head and recipe.head_learning_rate else recipe.learning_rate
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    if not groups:
        raise ValueError(f"{trainee.method.name} left nothing to train")
    found = [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]
    if recipe.optimizer == "paged_adamw_8bit":
        return eight_bit_adamw(found, trainee.device)
    return torch.optim.AdamW(found, fused=trainee.device.startswith("cuda"))


def make_scaler(trainee: Trainee, scale: float = 2.0**16) -> Any:
    """What scales the loss of a training in float16, from this scale on (torch's own); None for other precisions."""
    if trainee.recipe.precision != "float16":
        return None
    return torch.amp.GradScaler(trainee.device.split(":")[0], init_scale=scale)


def trained_by(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Its parameters, of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def eight_bit_adamw(groups: list[dict[str, Any]], device: str) -> torch.optim.Optimizer:
    """bitsandbytes' AdamW: both moments of tensors of 4,096 weights and more in 8 bits; paged on CUDA alone."""
    import bitsandbytes

    make = bitsandbytes.optim.PagedAdamW8bit if device.startswith("cuda") else bitsandbytes.optim.AdamW8bit
    return make(groups)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> Any:
    """The learning rate's course: a linear warm-up, then as the recipe says; transformers' own from there on.

    A warm-up of w steps begins at 0, or (warmup_from_zero = false) at 1 / (w + 1) of the rate, so that its first
    step teaches something too. One that covers every step never begins at 0: a single step would teach nothing.
    """
    from transformers import get_scheduler

    name = "constant_with_warmup" if recipe.schedule == "constant" else recipe.schedule
    warm = math.ceil(recipe.warmup_fraction * steps)
    if recipe.warmup_from_zero and warm < steps:
        return get_scheduler(name, optimizer, warm, steps)
    unused = torch.optim.SGD([torch.zeros(1)], lr=1.0)  # whoever makes a schedule sets its optimizer's rate
    (course,) = get_scheduler(name, unused, warm, steps).lr_lambdas

    def share(step: int) -> float:
        return (step + 1) / (warm + 1) if step < warm else course(step)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def seed_dropout(trainee: Trainee) -> None:
    """Begin the random numbers that dropout draws anew: what was drawn before the first step must not matter."""
    torch.manual_seed(trainee.seed)


def backward(trainee: Trainee, batches: Sequence[Batch], scaler: Any = None) -> float:
    """Gradients of the step's mean loss over all labels of its batches. Returns that mean in nats."""
    scored = sum(batch.scored for batch in batches)
    total = torch.zeros((), device=trainee.device)
    for number, batch in enumerate(batches):
        total += backward_of_one(trainee, batch, scored, scaler, penalised=number == 0)
    return float(total)


def backward_of_one(
    trainee: Trainee, batch: Batch, scored: int, scaler: Any = None, penalised: bool = True
) -> torch.Tensor:
    """Gradients of a batch's part of the loss of a step of so many labels, and of the method's penalty.

    Returns the part in nats, detached.
    """
    with autocast(trainee.recipe, trainee.device), kept_for_backward(trainee):
        loss = batch_loss(trainee, batch) / scored
        part = loss.detach()
        if trainee.method.penalty and penalised:
            loss = loss + trainee.method.penalty(trainee.model)
    (scaler.scale(loss) if scaler else loss).backward()
    return part


def kept_for_backward(trainee: Trainee) -> contextlib.AbstractContextManager:
    """Where what the backward pass needs is kept; on a processor it is in host memory as it is."""
    recipe = trainee.recipe
    offload = recipe.gradient_checkpointing and recipe.offload_checkpoints and trainee.device != "cpu"
    return checkpoints_on_host() if offload else contextlib.nullcontext()


def batch_loss(trainee: Trainee, batch: Batch) -> torch.Tensor:
    """The loss summed over the batch's labels, by way of all logits or a chunk at a time.

    All logits are no one's when it returns; they are a gigabyte of an 8B model.
    """
    shifted = trainee.batching.shifted
    if trainee.recipe.loss == "logits":
        return summed_loss(trainee.model(**batch.inputs()).logits, batch.labels, shifted)
    with bare_head(trainee.model) as head:
        hidden = trainee.model(**batch.inputs()).logits
    by = route(head, trainee.device)
    return chunked_loss(head, hidden, batch.labels, shifted, trainee.recipe.loss_chunk_tokens, by)


def each_step(trainee: Trainee, steps: Sequence[Step]) -> Iterator[Done]:
    """Train, yielding after each step. Raises FloatingPointError if the loss is not finite."""
    optimizer = make_optimizer(trainee)
    schedule = make_schedule(optimizer, trainee.recipe, len(steps))
    scaler = make_scaler(trainee)
    trained = trained_by(optimizer)
    trainee.model.train()
    seed_dropout(trainee)
    for number, step in enumerate(steps):
        asked = time.perf_counter()
        batches = [trainee.batching.collated(items) for items in step.micro_batches]
        data_seconds = time.perf_counter() - asked
        on_device = [batch.to(trainee.device) for batch in batches]  # outside the clock, as Trainer copies them
        synchronise(trainee.device)
        started = time.perf_counter()
        loss = backward(trainee, on_device, scaler)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at step {number + 1}; lower learning_rate in the recipe")
        if apply_gradients(trainee.recipe, optimizer, trained, scaler):
            schedule.step()
            if trainee.method.after_step:
                trainee.method.after_step(trainee.model, number)
        optimizer.zero_grad(set_to_none=True)
        synchronise(trainee.device)  # kernels are queued; without this the clock stops early
        yield Done(number, step, loss, time.perf_counter() - started, data_seconds, batches)


def apply_gradients(recipe: Recipe, optimizer: torch.optim.Optimizer, trained: list, scaler: Any) -> bool:
    """Clip to the recipe's norm and step. False where a scaler left the step out, for gradients overflowed."""
    if scaler:
        scaler.unscale_(optimizer)
    if recipe.max_gradient_norm:
        nn.utils.clip_grad_norm_(trained, recipe.max_gradient_norm)
    if not scaler:
        optimizer.step()
        return True
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    return bool(scaler.get_scale() >= scale)  # it is lowered where gradients overflowed


def train(trainee: Trainee, steps: Sequence[Step], say: Say, on_epoch: Callable[[int], None]) -> Training:
    """Run all steps; on_epoch(epoch) is called when an epoch's last step is done, outside the clock."""
    training = Training()
    for done in each_step(trainee, steps):
        training.data_seconds += done.data_seconds
        keep(training, done.loss, done.seconds, done.batches)
        say(progress(training, done.number + 1, len(steps)))
        if ends_epoch(steps, done.number):
            on_epoch(done.step.epoch)
            trainee.model.train()
    return training


def keep(training: Training, loss: float, seconds: float, batches: Sequence[Batch]) -> None:
    """Add a step's figures to the run's."""
    training.losses.append(loss)
    training.seconds.append(seconds)
    training.tokens.append(sum(batch.tokens for batch in batches))
    training.padded_tokens.append(sum(batch.input_ids.numel() for batch in batches))


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
