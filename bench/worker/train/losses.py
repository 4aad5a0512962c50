"""The loss: cross-entropy over the labels that count, summed, so that any mean can be taken exactly."""

import torch
from torch import Tensor
from torch.nn import functional

from bench.tasks import IGNORE


def align_labels(logits: Tensor, labels: Tensor, shifted: bool) -> tuple[Tensor, Tensor]:
    """(logits, labels) whose positions belong together.

    logits is (batch, virtual tokens + length, classes), labels (batch, length). Virtual tokens are
    dropped; if shifted, position t predicts the label at t + 1.
    """
    logits = logits[:, logits.shape[1] - labels.shape[1] :]
    return (logits[:, :-1], labels[:, 1:]) if shifted else (logits, labels)


def scored_logits(logits: Tensor, labels: Tensor, shifted: bool) -> tuple[Tensor, Tensor]:
    """(scored, classes) logits in float32 and (scored,) labels, of the positions that count."""
    logits, labels = align_labels(logits, labels, shifted)
    counted = labels != IGNORE
    return logits[counted].float(), labels[counted]


def summed_loss(logits: Tensor, labels: Tensor, shifted: bool) -> Tensor:
    """Cross-entropy in nats summed over the labels that count; 0 where none does."""
    chosen, targets = scored_logits(logits, labels, shifted)
    return functional.cross_entropy(chosen, targets, reduction="sum")


def token_losses(logits: Tensor, labels: Tensor, shifted: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, predicted, counted): float32 nats and the best class, both (batch, positions); 0 where not counted."""
    logits, labels = align_labels(logits, labels, shifted)
    counted = labels != IGNORE
    losses = torch.zeros(labels.shape, dtype=torch.float32, device=labels.device)
    predicted = torch.zeros_like(labels)
    chosen = logits[counted].float()
    losses[counted] = functional.cross_entropy(chosen, labels[counted], reduction="none")
    predicted[counted] = chosen.argmax(-1)
    return losses, predicted, counted
