"""The traced prediction: training steps of the real code on fake tensors, with a record of their storages.

The model is transformers' own class built from its configuration, the adapter is peft's, the packed layers are
bitsandbytes'. The optimizer, the loss and the order of operations are those of bench.worker.train.loop. Nothing is
computed and no data is stored, so 70 B parameters need no more memory here than two layers do.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from bench.core.extent import Extent
from bench.core.recipe import Recipe
from bench.methods import Method, Unsupported
from bench.models import DECODER, ModelEntry
from bench.predict import terms
from bench.predict.terms import Peaks
from bench.predict.trace.as_cuda import as_cuda
from bench.predict.trace.fake_tensors import Answers, Values, fake_tensors
from bench.predict.trace.storages import Span, count, trace_bytes
from bench.sources.weights import SYNTHETIC, Weights
from bench.worker.build.adapter import attach
from bench.worker.build.attention import attention_for
from bench.worker.build.base import prepare_base
from bench.worker.measure.memory import LiveStorages, plainly
from bench.worker.train.backward import backward, backward_of_one
from bench.worker.train.batches import Batch, Batching
from bench.worker.train.optimizer import apply_gradients, make_optimizer, optimized_parameters
from bench.worker.train.trainee import Trainee

PLANNED_STEPS = 1000  # the number of steps passed to schedules; AdaLoRA prunes by it
RANDOM_WEIGHTS = Weights(None, SYNTHETIC, "a prediction needs no weights", SYNTHETIC)


def full_extent(entry: ModelEntry, recipe: Recipe) -> Extent:
    """A batch at the recipe's size and length without padding, every label counted; packed rows need a mask."""
    scored = recipe.batch_size * (recipe.max_length - (entry.kind == DECODER))
    return Extent(recipe.batch_size, recipe.max_length, scored, whole=not recipe.packing)


def batch_of(extent: Extent, recipe: Recipe, device: str = "cpu") -> Batch:
    """A batch of this extent; only batches with `whole` also match it in their values."""
    ids = torch.ones((extent.rows, extent.length), dtype=torch.long, device=device)
    positions = torch.ones_like(ids) if recipe.packing and not extent.whole else None
    return Batch(ids, torch.ones_like(ids), torch.ones_like(ids), positions, ids.numel(), extent.scored)


def build(entry: ModelEntry, method: Method, recipe: Recipe, labels: int, device: str) -> Trainee:
    """The trainee, with random weights; for "cuda", with the attention that a card uses."""
    model = prepare_base(entry, RANDOM_WEIGHTS, labels, method, recipe, 0, "cpu", to_attach=True)
    if device != "cpu":
        model.set_attn_implementation(attention_for(entry, device))
    model = attach(model, entry, method, recipe, PLANNED_STEPS, 0)
    model.train()
    batching = Batching(recipe, 0, entry.config["vocab_size"], shifted=entry.kind == DECODER)
    return Trainee(model, method, recipe, batching, device)


def trace(entry: ModelEntry, method: Method, recipe: Recipe, labels: int = 0, device: str = "cuda:0",
          extent: Extent | None = None) -> Peaks:  # fmt: skip
    """The bytes of training steps on the device, with batches of this extent (None: full ones).

    Raises Unsupported for a method that does not suit the model.
    """
    extent = extent or full_extent(entry, recipe)
    with fake_trainee(entry, method, recipe, labels, device) as trainee:
        with Answers():
            batch = batch_of(extent, recipe, device)
        return follow(trainee, batch, Values(extent.scored, extent.whole).answer)


def trace_batches(entry: ModelEntry, method: Method, recipe: Recipe, labels: int, steps: Sequence[Sequence[Extent]],
                  told: Callable[[int], None], device: str = "cuda:0") -> Peaks:  # fmt: skip
    """The bytes of training on the device by these steps, each given as the extents of its batches, in order.

    Calls told(number) before each step, from 0. Storages that the optimizer makes in the first step count as its
    own (terms.UPDATE) until the second step. Raises Unsupported.
    """
    at_work = [Values()]  # the values of the current batch

    def take_all(trainee: Trainee, storages: LiveStorages, phase: list[str]) -> Span:
        optimizer = make_optimizer(trainee)
        trained = optimized_parameters(optimizer)
        for number, extents in enumerate(steps):
            told(number)
            phase[0] = terms.FORWARD
            go_through(trainee, extents, storages, at_work)
            phase[0] = terms.OPTIMIZER
            update(trainee, optimizer, trained, storages, number)
            optimizer.zero_grad(set_to_none=True)
        return len(storages.log), len(storages.log)

    with fake_trainee(entry, method, recipe, labels, device) as trainee:
        return trace_bytes(trainee, partial(take_all, trainee), lambda *operation: at_work[0].answer(*operation))


def go_through(trainee: Trainee, extents: Sequence[Extent], storages: LiveStorages, at_work: list[Values]) -> None:
    """Run forward and backward for a step's batches; all are on the card before the first is processed."""
    batches = [batch_of(extent, trainee.recipe, trainee.device) for extent in extents]
    for batch in batches:
        count(batch, storages)
    scored = sum(batch.scored for batch in batches)
    for number, (extent, batch) in enumerate(zip(extents, batches, strict=True)):
        at_work[0] = Values(extent.scored, extent.whole)
        backward_of_one(trainee, batch, scored, penalised=number == 0)


@contextlib.contextmanager
def fake_trainee(entry: ModelEntry, method: Method, recipe: Recipe, labels: int, device: str) -> Iterator[Trainee]:
    """Within the context, all tensors are fake, and follow a card's rules on a card; yields the trainee.

    Raises Unsupported.
    """
    method.check(entry, recipe)
    if method.no_trace:
        raise Unsupported(f"{method.name} cannot be traced: {method.no_trace}")
    with fake_tensors(), as_cuda() if device != "cpu" else contextlib.nullcontext():
        with Answers():
            trainee = build(entry, method, recipe, labels, device)
        yield trainee


def follow(trainee: Trainee, batch: Batch, run: Callable[..., Any] = plainly) -> Peaks:
    """The bytes of training steps on the batch, with the trainee's own kind of tensors; run executes the operations."""
    return trace_bytes(trainee, partial(take_steps, trainee, batch), run)


def take_steps(trainee: Trainee, batch: Batch, storages: LiveStorages, phase: list[str]) -> Span:
    """Take two steps of bench.worker.train.loop, with the phase in phase[0]; returns the second step's span of the log.

    The first step runs only its optimizer part, which leaves the states that the second step has from the start. If
    the recipe accumulates gradients, the second step's batch is a later micro-batch and finds all gradients there. A
    method with a penalty adds it to the first micro-batch's loss only, so then both micro-batches run. If gradients
    were there before, the span ends before the optimizer part, which frees them. In a real first step the gradients
    come before the states. In full training, which has as many gradients as weights, the allocator then places its
    blocks differently: the smallest limit it runs within is up to a tenth off.
    """
    accumulates = trainee.recipe.gradient_accumulation_steps > 1
    penalised = trainee.method.penalty is not None
    optimizer = make_optimizer(trainee)
    trained = optimized_parameters(optimizer)
    count(batch, storages)
    phase[0] = terms.OPTIMIZER
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
        storages.relabel(parameter.grad, terms.GRADIENTS)
    update(trainee, optimizer, trained, storages, 0)
    if penalised or not accumulates:
        optimizer.zero_grad(set_to_none=True)
    began = len(storages.log)
    phase[0] = terms.FORWARD
    backward(trainee, [batch] * (2 if penalised and accumulates else 1))
    went_back = len(storages.log)
    phase[0] = terms.OPTIMIZER
    update(trainee, optimizer, trained, storages, 1)
    optimizer.zero_grad(set_to_none=True)
    return began, went_back if accumulates and not penalised else len(storages.log)


def update(trainee: Trainee, optimizer: Any, trained: list[Any], storages: LiveStorages, number: int) -> None:
    """Run the optimizer part of the step with this number."""
    apply_gradients(trainee.recipe, optimizer, trained, None)  # no fp16 scaler: it holds only a few numbers
    for state in optimizer.state.values():
        for tensor in state.values():
            if isinstance(tensor, torch.Tensor):
                storages.relabel(tensor, terms.STATES)
    if trainee.method.after_step:
        trainee.method.after_step(trainee.model, number)
