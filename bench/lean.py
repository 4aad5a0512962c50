"""The parts of a model that a lean recipe keeps off the card, or never makes: embeddings, checkpoints, logits.

None of them changes the mathematics: the same numbers are looked up, kept and summed, elsewhere or later.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.recipe import Recipe

HIDDEN_STATES = 3  # dimensions: (batch, length, hidden); a weight has at most two


def thrift_reasons(recipe: Recipe, device: str) -> list[str]:
    """What a lean recipe asks for and this device does not do, a sentence each."""
    if device != "cpu":
        return []
    asked = {
        "optimizer: moments in 8 bits but not paged, which bitsandbytes does on CUDA alone": (
            recipe.optimizer == "paged_adamw_8bit"
        ),
        "offload_checkpoints: nothing to do, a processor's are in host memory": recipe.offload_checkpoints,
        "embeddings_on_host: nothing to do, a processor's are in host memory": recipe.embeddings_on_host,
    }
    return [says for says, holds in asked.items() if holds]


class HostEmbedding(nn.Module):
    """A frozen table of embeddings in host memory: ids are looked up there, and only their rows go to the ids' device.

    Llama-3.1-8B's table is 1.05 GB in bfloat16, of which a step of 2 x 2048 tokens needs at most 34 MB.
    """

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.weight = nn.Parameter(table.weight.data.cpu(), requires_grad=False)
        self.padding_idx = table.padding_idx

    def _apply(self, move: Any, recurse: bool = True) -> "HostEmbedding":
        """Stay here when the model is moved."""
        return self

    def forward(self, ids: Tensor) -> Tensor:
        rows = functional.embedding(ids.to(self.weight.device), self.weight, self.padding_idx)
        return rows.to(ids.device)


def is_tied(model: Any) -> bool:
    """Whether the head is the table of embeddings."""
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    return head is not None and head.weight is table.weight


def move_embeddings_to_host(model: Any) -> bool:
    """Put the model's table into host memory; False, and nothing done, where the head needs it or it is quantised."""
    table = model.get_input_embeddings()
    if type(table) is not nn.Embedding or is_tied(model):
        return False
    path = next(name for name, module in model.named_modules() if module is table)
    parent, _, name = path.rpartition(".")
    owner = model.get_submodule(parent)
    # As its owner's last child: transformers and peft take the first parameter's device for the model's.
    delattr(owner, name)
    setattr(owner, name, HostEmbedding(table))
    return True


def keep_on_host(tensor: Tensor) -> Tensor:
    """A copy in host memory; pinned where there is a card, so that the copy does not stop it."""
    pinned = torch.cuda.is_available()
    kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
    return kept.copy_(tensor, non_blocking=pinned)


@contextlib.contextmanager
def checkpoints_on_host() -> Iterator[None]:
    """While a forward pass runs in this, the hidden states that it keeps for the backward pass lie in host memory.

    Under gradient checkpointing these are each layer's input; what a layer keeps while it is computed again is
    kept by checkpointing's own hooks and stays where it is.
    """

    def pack(tensor: Tensor) -> Any:
        if tensor.ndim != HIDDEN_STATES or not tensor.is_floating_point():
            return tensor
        return tensor.device, keep_on_host(tensor)

    def unpack(packed: Any) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        device, kept = packed
        return kept.to(device, non_blocking=kept.is_pinned())

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield


@contextlib.contextmanager
def bare_head(model: Any) -> Iterator[Any]:
    """The model's head, taken off meanwhile: the model gives as its logits the hidden states below it."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = base.get_output_embeddings()
    if head is None:
        raise ValueError(f"{type(base).__name__} has no language head; loss = 'logits' is for it")
    base.set_output_embeddings(nn.Identity())
    try:
        yield head
    finally:
        base.set_output_embeddings(head)
