"""Embeddings in host memory: a frozen table whose looked-up rows alone go to the card."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


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
