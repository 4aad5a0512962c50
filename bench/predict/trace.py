"""The traced prediction: training steps of the real code on fake tensors, their storages followed.

The model is transformers' own class from its configuration, the adapter peft's, the packed layers
bitsandbytes', the optimizer, the loss and the order of things those of bench.train. Nothing is computed and
nothing is held, so 70 B parameters need no more memory here than two layers do.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from bench import train
from bench.batches import Batch, Batching, Extent
from bench.build import FUSED, attach, prepare_base
from bench.measure.memory import LiveStorages, plainly, quantisation_tensors
from bench.methods import Method
from bench.models import DECODER, ModelEntry
from bench.predict import savings, terms
from bench.predict.as_cuda import CudaLike, as_cuda
from bench.predict.fake import Answers, Values, fake_tensors
from bench.predict.terms import Peaks
from bench.recipe import Recipe
from bench.sources.weights import SYNTHETIC, Weights

PLANNED_STEPS = 1000  # what schedules are told; AdaLoRA prunes by it
RANDOM_WEIGHTS = Weights(None, SYNTHETIC, "a prediction needs no weights", SYNTHETIC)


def full_extent(entry: ModelEntry, recipe: Recipe) -> Extent:
    """A batch at the recipe's size and length without padding, every label counted; packed rows need a mask."""
    scored = recipe.batch_size * (recipe.max_length - (entry.kind == DECODER))
    return Extent(recipe.batch_size, recipe.max_length, scored, whole=not recipe.packing)


def batch_of(extent: Extent, recipe: Recipe, device: str = "cpu") -> Batch:
    """A batch of this extent; only whole ones are true to it in their values too."""
    ids = torch.ones((extent.rows, extent.length), dtype=torch.long, device=device)
    positions = torch.ones_like(ids) if recipe.packing and not extent.whole else None
    return Batch(ids, torch.ones_like(ids), torch.ones_like(ids), positions, ids.numel(), extent.scored)


def build(entry: ModelEntry, method: Method, recipe: Recipe, labels: int, device: str) -> train.Trainee:
    """What trains, with random weights; on "cuda" with the attention that a card uses."""
    model = prepare_base(entry, RANDOM_WEIGHTS, labels, method, recipe, 0, "cpu")
    if device != "cpu":
        model.set_attn_implementation(FUSED)
    model = attach(model, entry, method, recipe, PLANNED_STEPS, 0)
    model.train()
    batching = Batching(recipe, 0, entry.config["vocab_size"], shifted=entry.kind == DECODER)
    return train.Trainee(model, method, recipe, batching, device)


def trace(entry: ModelEntry, method: Method, recipe: Recipe, labels: int = 0, device: str = "cuda:0",
          extent: Extent | None = None) -> Peaks:  # fmt: skip
    """The bytes of training steps on the device, of batches of the extent (None: full ones).

    Raises Unsupported for a method that does not suit the model.
    """
    method.check(entry, recipe)
    extent = extent or full_extent(entry, recipe)
    with fake_tensors(), as_cuda() if device != "cpu" else contextlib.nullcontext():
        with Answers():
            trainee = build(entry, method, recipe, labels, device)
            batch = batch_of(extent, recipe, device)
        return follow(trainee, batch, Values(extent.scored, extent.whole).answer)


def follow(trainee: train.Trainee, batch: Batch, run: Callable[..., Any] = plainly) -> Peaks:
    """Training steps of the batch, on whatever tensors the trainee is made of; run does the operations."""
    vocabulary = trainee.batching.vocabulary
    phase = [terms.FORWARD]

    def phase_of() -> str:
        in_backward = phase[0] == terms.FORWARD and torch._C._current_graph_task_id() != -1
        return terms.BACKWARD if in_backward else phase[0]

    def term_of(tensor: torch.Tensor, phase: str) -> str | None:
        if CudaLike.making_for_host:
            return None
        if phase == terms.OPTIMIZER:
            return terms.UPDATE
        if tensor.ndim and tensor.shape[-1] == vocabulary and tensor.is_floating_point():
            return terms.LOGITS
        return terms.KEPT if phase == terms.FORWARD else terms.WORKING

    with collected(), LiveStorages(phase_of=phase_of, term_of=term_of, run=run) as storages:
        for tensor, term in model_tensors(trainee.model):
            if tensor is not table_on_host(trainee):
                storages.add(tensor, term)
        for tensor in (batch.input_ids, batch.labels, batch.attention_mask):
            storages.add(tensor, terms.BATCH)
        with gradients_named(trainee.model, storages):
            take_steps(trainee, batch, storages, phase)
    return Peaks({name: {k: v for k, v in held.items() if v} for name, held in storages.peaks.items()})


def table_on_host(trainee: train.Trainee) -> torch.Tensor | None:
    """The table of embeddings where the recipe keeps it in the host's memory; built here without a card, it is here."""
    if trainee.device == "cpu" or savings.embeddings_on_card(trainee.recipe):
        return None
    table = trainee.model.get_input_embeddings().weight
    head = trainee.model.get_output_embeddings()
    return None if head is not None and head.weight is table else table


def take_steps(trainee: train.Trainee, batch: Batch, storages: LiveStorages, phase: list[str]) -> None:
    """Two steps of bench.train, with phase[0] saying where they are.

    Of the first the optimizer's part alone: it leaves the states that the second has from the start. Where a step
    accumulates, the second's batch is a later one and finds all gradients there; of a method with a penalty, which
    is in the first one's loss alone, both are done.
    """
    accumulates = trainee.recipe.gradient_accumulation_steps > 1
    penalised = trainee.method.penalty is not None
    optimizer = train.make_optimizer(trainee)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    phase[0] = terms.OPTIMIZER
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
        storages.relabel(parameter.grad, terms.GRADIENTS)
    update(trainee, optimizer, trained, storages, 0)
    if penalised or not accumulates:
        optimizer.zero_grad(set_to_none=True)
    phase[0] = terms.FORWARD
    train.backward(trainee, [batch] * (2 if penalised and accumulates else 1))
    phase[0] = terms.OPTIMIZER
    update(trainee, optimizer, trained, storages, 1)
    optimizer.zero_grad(set_to_none=True)


def update(trainee: train.Trainee, optimizer: Any, trained: list[Any], storages: LiveStorages, number: int) -> None:
    """The optimizer's part of the step of this number."""
    train.apply_gradients(trainee.recipe, optimizer, trained, None)  # a scaler of fp16 holds a few numbers
    for state in optimizer.state.values():
        for tensor in state.values():
            if isinstance(tensor, torch.Tensor):
                storages.relabel(tensor, terms.STATES)
    if trainee.method.after_step:
        trainee.method.after_step(trainee.model, number)


def model_tensors(model: nn.Module) -> Iterator[tuple[torch.Tensor, str]]:
    """Every tensor of the model with its term."""
    for name, parameter in model.named_parameters():
        yield parameter, parameter_term(name, parameter)
    yield from ((scale, terms.SCALES) for scale in quantisation_tensors(model))
    yield from ((buffer, terms.OTHER) for buffer in model.buffers())


def parameter_term(name: str, parameter: Any) -> str:
    """What a parameter is of, by its type and name."""
    if parameter.requires_grad:
        return terms.ADAPTER
    if type(parameter).__name__ in ("Params4bit", "Int8Params"):
        return terms.PACKED
    if any(part in name for part in ("embed", "lm_head", ".wte.", ".wpe.", "classifier")):
        return terms.EMBEDDINGS
    return terms.LINEAR if parameter.ndim > 1 else terms.OTHER


@contextlib.contextmanager
def gradients_named(model: nn.Module, storages: LiveStorages) -> Iterator[None]:
    """Within: what backward leaves in .grad is counted as gradients."""
    name: Callable[[Any], None] = lambda parameter: storages.relabel(parameter.grad, terms.GRADIENTS)  # noqa: E731
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    hooks = [parameter.register_post_accumulate_grad_hook(name) for parameter in trained]
    yield
    for hook in hooks:
        hook.remove()


@contextlib.contextmanager
def collected() -> Iterator[None]:
    """Within: no garbage collection by itself, so that bytes repeat."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
