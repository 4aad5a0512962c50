"""Losses by hand: summed over the labels that count, positions aligned, virtual tokens dropped."""

import math

import pytest
import torch

from bench.tasks import IGNORE
from bench.worker.train.losses import align_labels, scored_logits, summed_loss, token_losses

# softmax of these rows is (1/2, 1/4, 1/4), (1/4, 3/4, 0) and even thirds
ROWS = torch.tensor([[[2.0, 1.0, 1.0], [1.0, 3.0, 0.0], [1.0, 1.0, 1.0]]]).log()
HALF, QUARTER, THREE_QUARTERS, THIRD = math.log(2), math.log(4), math.log(4 / 3), math.log(3)
VIRTUAL = torch.full((1, 2, 3), 7.0)
CLOSE = 1e-6  # a rounding of float32


def test_loss_is_summed_over_labels():
    labels = torch.tensor([[0, 1, 2]])
    assert float(summed_loss(ROWS, labels, False)) == pytest.approx(HALF + THREE_QUARTERS + THIRD, rel=CLOSE)


def test_ignored_labels_cost_nothing():
    labels = torch.tensor([[IGNORE, 0, IGNORE]])
    assert float(summed_loss(ROWS, labels, False)) == pytest.approx(QUARTER, rel=CLOSE)


def test_loss_of_no_label_is_zero_and_has_no_gradient():
    logits = ROWS[:, :2].clone().requires_grad_()
    loss = summed_loss(logits, torch.full((1, 2), IGNORE), False)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0


def test_shifted_loss_predicts_the_next_token():
    labels = torch.tensor([[2, 1, 0]])  # row 0 predicts 1, row 1 predicts 0; nothing predicts the first
    assert float(summed_loss(ROWS, labels, True)) == pytest.approx(QUARTER + QUARTER, rel=CLOSE)


@pytest.mark.parametrize("shifted", [False, True])
def test_virtual_tokens_are_dropped(shifted):
    labels = torch.tensor([[2, 1, 0]])
    longer = torch.cat([VIRTUAL, ROWS], dim=1)
    assert float(summed_loss(longer, labels, shifted)) == float(summed_loss(ROWS, labels, shifted))


def test_alignment_keeps_places_together():
    logits, labels = align_labels(torch.cat([VIRTUAL, ROWS], dim=1), torch.tensor([[5, 6, 7]]), True)
    assert torch.equal(logits, ROWS[:, :2])
    assert labels.tolist() == [[6, 7]]


def test_half_precision_is_summed_in_float32():
    logits, labels = scored_logits(ROWS.bfloat16(), torch.tensor([[0, IGNORE, 2]]), False)
    assert logits.dtype == torch.float32
    assert logits.shape == (2, 3)
    assert labels.tolist() == [0, 2]


def test_token_losses_are_each_tokens_own():
    losses, predicted, counted = token_losses(ROWS, torch.tensor([[1, IGNORE, 2]]), False)
    assert losses[0].tolist() == pytest.approx([QUARTER, 0.0, THIRD], rel=CLOSE)
    assert counted.tolist() == [[True, False, True]]
    assert predicted.tolist() == [[0, 0, 0]]


def test_token_losses_sum_to_the_loss():
    labels = torch.tensor([[2, 1, 0]])
    losses, predicted, counted = token_losses(torch.cat([VIRTUAL, ROWS], dim=1), labels, True)
    assert float(losses.sum()) == pytest.approx(float(summed_loss(ROWS, labels, True)), rel=CLOSE)
    assert predicted.tolist() == [[0, 1]]
    assert counted.tolist() == [[True, True]]
