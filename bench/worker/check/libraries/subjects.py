"""Tiny models with and without an adapter, padded batches for them, and their logits."""

import random
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.methods import METHODS
from bench.models import DECODER, ENCODER, MODELS, ModelEntry
from bench.tasks import IGNORE, Example
from bench.worker.build.adapter import attach
from bench.worker.build.base import build_base
from bench.worker.check.evidence import distance
from bench.worker.check.looking import NOTHING, SEED, STEPS, recipe_of
from bench.worker.train.batches import Batch, Batching

LABELS = 5  # classes of an encoder's new head
RANK = 4
SHORTEST, LONGEST = 6, 23  # tokens of an example
FIRST_WORD = 8  # the ids below are special tokens


def entry_of(model: str, tied: bool = False) -> ModelEntry:
    """The tiny model's entry; tied: with a head that is the embedding."""
    entry = MODELS[model]
    return replace(entry, config={**entry.config, "tie_word_embeddings": True}) if tied else entry


def labels_of(model: str) -> int:
    """Classes of the model's new head; 0 for a language head."""
    return LABELS if MODELS[model].kind == ENCODER else 0


def frozen_base(model: str, dtype: torch.dtype = torch.float32, tied: bool = False) -> Any:
    """The model in evaluation mode, with the same random weights each time."""
    built = build_base(entry_of(model, tied), NOTHING, labels_of(model), SEED, dtype, "cpu")
    return built.requires_grad_(False).eval()


def adapted(
    model: str, method: str = "lora", rank: int = RANK, dropout: float = 0.0, precision: str = "float32"
) -> Any:
    """The model with the method attached, in training mode; base and adapter are in the precision."""
    recipe = replace(recipe_of(rank), dropout=dropout, precision=precision, adapter_precision=precision)
    base = build_base(MODELS[model], NOTHING, labels_of(model), SEED, getattr(torch, precision), "cpu")
    return attach(base.requires_grad_(False), MODELS[model], METHODS[method], recipe, STEPS, SEED).train()


@torch.no_grad()
def move_adapter(model: Any) -> None:
    """Add random values to all that trains, because an untrained adapter adds nothing to the logits."""
    generator = torch.Generator().manual_seed(SEED)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter += torch.randn(parameter.shape, generator=generator).to(parameter.dtype) / 10


def examples_of(model: str, count: int, ignored: bool = True) -> list[Example]:
    """Examples of unlike lengths; ignored: the first third of each has no label."""
    order, classes = random.Random(SEED), labels_of(model)
    made = []
    for number in range(count):
        size = order.randint(SHORTEST, LONGEST)
        ids = [order.randrange(FIRST_WORD, MODELS[model].config["vocab_size"]) for _ in range(size)]
        labels = [one % classes for one in ids] if classes else list(ids)
        unlabelled = size // 3 if ignored else 0
        made.append(Example(f"e{number}", ids, [IGNORE] * unlabelled + labels[unlabelled:]))
    return made


def batching_of(model: str) -> Batching:
    return Batching(recipe_of(RANK), 0, MODELS[model].config["vocab_size"], shifted=MODELS[model].kind == DECODER)


def with_labels(batch: Batch) -> dict[str, Tensor]:
    """What a model is called with to compute its own loss."""
    return {**batch.inputs(), "labels": batch.labels}


@torch.no_grad()
def logits_of(model: Any, batch: Batch) -> Tensor:
    """Logits in evaluation mode of the tokens that are no padding, in float32."""
    return model.eval()(**batch.inputs()).logits[batch.attention_mask.bool()].float()


def trained_tensors(model: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters() if tensor.requires_grad}


def distance_of_all(seen: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The relative distance of two sets of tensors; 0 if they are equal to the bit."""
    return distance(*(torch.cat([one[name].flatten() for name in expected]) for one in (seen, expected)))
