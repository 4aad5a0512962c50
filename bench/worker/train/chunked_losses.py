"""The loss in chunks of positions, so that all logits never exist at once.

The logits of 2 x 2048 tokens over 128,256 words take 1.05 GB in bfloat16, and the loss makes three float32 copies of
them. A chunk of 256 positions takes a sixteenth of that, whatever the batch. The backward pass computes a chunk's
logits again: one more product with the head, 2 % of an 8B step.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from bench.tasks import IGNORE
from bench.worker.train.losses import align_labels

LIGER = "liger"
TORCH = "torch"
CHUNKS = "chunks"
SAYS = {
    LIGER: "the loss in chunks by Liger's kernel",
    TORCH: "the loss in chunks by torch.nn.functional.linear_cross_entropy",
    CHUNKS: "the loss in chunks by lorabench's own code",
}


def route(head: Any, device: str) -> str:
    """Which implementation computes the loss of this head on this device.

    Liger's kernel and torch's own need a plain frozen head. Neither is used on a processor: Liger's needs CUDA, and
    torch 2.13's makes a float32 copy of a bfloat16 head there, twice its bytes, to save one chunk.
    """
    if device == "cpu" or type(head) is not nn.Linear or head.weight.requires_grad:
        return CHUNKS
    if importlib.util.find_spec("liger_kernel"):
        return LIGER
    return TORCH if hasattr(functional, "linear_cross_entropy") else CHUNKS


def chunked_loss(head: Any, hidden: Tensor, labels: Tensor, shifted: bool, chunk: int, by: str = CHUNKS) -> Tensor:
    """Cross-entropy in nats summed over the labels that count, as losses.summed_loss(head(hidden), ...) gives it.

    hidden is (batch, virtual tokens + length, width), labels (batch, length), chunk a number of positions.
    No shape depends on the labels' values, so the computation can be followed without any data.
    """
    hidden, labels = align_labels(hidden, labels, shifted)
    rows, targets = hidden.reshape(-1, hidden.shape[-1]), labels.reshape(-1)
    if by == CHUNKS:
        parts = zip(rows.split(chunk), targets.split(chunk), strict=True)
        # The head has no dropout, so there is no random state to keep.
        sums = [checkpoint(loss_of, head, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
        return torch.stack(sums).sum()
    rows = rows.to(head.weight.dtype)
    if by == LIGER:
        from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

        return liger_fused_linear_cross_entropy(
            rows, head.weight, targets, bias=head.bias, ignore_index=IGNORE, reduction="sum"
        )
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=chunk)
    losses = functional.linear_cross_entropy(
        rows, head.weight, targets, linear_bias=head.bias, ignore_index=IGNORE, reduction="none", options=options
    )
    return losses.float().sum()  # its own sum would be rounded to what rows are in, eight bits of bfloat16


def loss_of(head: Any, rows: Tensor, targets: Tensor) -> Tensor:
    """The summed loss of one chunk: rows (positions, width), targets (positions,)."""
    return functional.cross_entropy(head(rows).float(), targets, reduction="sum", ignore_index=IGNORE)


def chunked_token_losses(
    head: Any, hidden: Tensor, labels: Tensor, shifted: bool, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """losses.token_losses(head(hidden), ...) without ever holding all logits; for evaluation, without gradients."""
    hidden, labels = align_labels(hidden, labels, shifted)
    counted = labels != IGNORE
    rows, targets = hidden[counted], labels[counted]
    losses = torch.zeros(labels.shape, dtype=torch.float32, device=labels.device)
    predicted = torch.zeros_like(labels)
    found = [token_losses_of(head, *part) for part in zip(rows.split(chunk), targets.split(chunk), strict=True)]
    if len(targets):
        losses[counted] = torch.cat([loss for loss, _ in found])
        predicted[counted] = torch.cat([best for _, best in found])
    return losses, predicted, counted


def token_losses_of(head: Any, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    logits = head(rows).float()
    return functional.cross_entropy(logits, targets, reduction="none"), logits.argmax(-1)


@contextlib.contextmanager
def bare_head(model: Any) -> Iterator[Any]:
    """The model's head. Inside, the model has none and returns the hidden states below it as its logits."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = base.get_output_embeddings()
    if head is None:
        raise ValueError(f"{type(base).__name__} has no language head; loss = 'logits' is for it")
    base.set_output_embeddings(nn.Identity())
    try:
        yield head
    finally:
        base.set_output_embeddings(head)
