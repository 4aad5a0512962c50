"""A record of a training step's storages: their terms, when they are allocated and freed, and their total bytes."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from bench.predict import terms
from bench.predict.card.replay import repeat_span
from bench.predict.formula import savings
from bench.predict.storage_log import StorageLog
from bench.predict.terms import Peaks
from bench.predict.trace.as_cuda import CudaLike
from bench.worker.measure.garbage import without_collection
from bench.worker.measure.memory import LiveStorages, quantisation_tensors
from bench.worker.train.batches import Batch
from bench.worker.train.trainee import Trainee

Span = tuple[int, int]  # of entries in the log: first, and one past the last
Take = Callable[[LiveStorages, list[str]], Span]


def trace_bytes(trainee: Trainee, take: Take, run: Callable[..., Any]) -> Peaks:
    """The bytes that the trainee's tensors hold while take trains it; run executes the operations.

    take(storages, phase) writes its phase to phase[0] and returns the span of the log that would repeat unchanged. The
    span is replayed once more, because an allocator's first pass is not like its second.
    """
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

    with without_collection(), LiveStorages(phase_of=phase_of, term_of=term_of, run=run) as storages:
        for tensor, term in model_tensors(trainee.model):
            if tensor is not table_on_host(trainee):
                storages.add(tensor, term)
        started = len(storages.log)
        with gradients_named(trainee.model, storages):
            span = take(storages, phase)
    phases = {name: {k: v for k, v in held.items() if v} for name, held in storages.peaks.items()}
    return Peaks(phases, StorageLog(repeat_span(storages.log, *span), started))


def count(batch: Batch, storages: LiveStorages) -> None:
    """Count the batch's tensors as terms.BATCH, whenever they were made."""
    for tensor in (batch.input_ids, batch.labels, batch.attention_mask, batch.position_ids):
        if tensor is not None:
            storages.relabel(tensor, terms.BATCH)


def table_on_host(trainee: Trainee) -> torch.Tensor | None:
    """The embedding table if the recipe keeps it in host memory; built without a card, the model still contains it."""
    if trainee.device == "cpu" or savings.embeddings_on_card(trainee.recipe):
        return None
    table = trainee.model.get_input_embeddings().weight
    head = trainee.model.get_output_embeddings()
    return None if head is not None and head.weight is table else table


def model_tensors(model: nn.Module) -> Iterator[tuple[torch.Tensor, str]]:
    """Every tensor of the model with its term."""
    for name, parameter in model.named_parameters():
        yield parameter, parameter_term(name, parameter)
    yield from ((scale, terms.SCALES) for scale in quantisation_tensors(model))
    yield from ((buffer, terms.OTHER) for buffer in model.buffers())


def parameter_term(name: str, parameter: Any) -> str:
    """The term that a parameter belongs to, by its type and name."""
    if parameter.requires_grad:
        return terms.ADAPTER
    if type(parameter).__name__ in ("Params4bit", "Int8Params"):
        return terms.PACKED
    if any(part in name for part in ("embed", "lm_head", ".wte.", ".wpe.", "classifier")):
        return terms.EMBEDDINGS
    return terms.LINEAR if parameter.ndim > 1 else terms.OTHER


@contextlib.contextmanager
def gradients_named(model: nn.Module, storages: LiveStorages) -> Iterator[None]:
    """Within the context, tensors that backward leaves in .grad count as gradients."""

    def name(parameter: Any) -> None:
        storages.relabel(parameter.grad, terms.GRADIENTS)

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    hooks = [parameter.register_post_accumulate_grad_hook(name) for parameter in trained]
    yield
    for hook in hooks:
        hook.remove()
