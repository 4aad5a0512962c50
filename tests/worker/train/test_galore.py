"""GaLore is AdamW in a few directions of each matrix's gradient, and holds the bytes that its formula says."""

import pytest
import torch
from tiny_trainees import tiny_examples, tiny_recipe, tiny_trainee

from bench.models import MODELS
from bench.models.shapes import linear_layers
from bench.predict.formula.savings import state_bytes
from bench.worker.train import galore
from bench.worker.train.backward import backward
from bench.worker.train.galore import SCALE, GaLore, projected_matrices
from bench.worker.train.optimizer import make_optimizer

RATE = 1e-2


def stepped(shape, rank, steps=1, decay=0.0):
    """(the weight's change, the gradients, the optimizer's state) of a random matrix after these steps."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(shape, generator=generator))
    before = weight.detach().clone()
    optimizer = GaLore([{"params": [weight], "lr": RATE, "weight_decay": decay, "rank": rank}])
    gradients = [torch.randn(shape, generator=generator) for _ in range(steps)]
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach() - before, gradients, optimizer.state[weight]


@pytest.mark.parametrize("rank", [0, 4, 9], ids=["no rank", "all of the smaller side", "more"])
def test_without_a_projection_it_is_adamw(rank):
    seen, gradients, _ = stepped((6, 4), rank, steps=3, decay=0.1)
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn((6, 4), generator=generator))
    before = weight.detach().clone()
    optimizer = torch.optim.AdamW([weight], lr=RATE, weight_decay=0.1)
    for gradient in gradients:
        weight.grad = gradient
        optimizer.step()
    torch.testing.assert_close(seen, weight.detach() - before)


@pytest.mark.parametrize(("shape", "low", "directions"), [((6, 4), (6, 2), (2, 4)), ((4, 6), (2, 6), (4, 2))])
def test_a_step_moves_along_the_gradients_leading_directions(shape, low, directions):
    moved, (gradient,), state = stepped(shape, 2)
    assert (tuple(state["mean"].shape), tuple(state["square"].shape)) == (low, low)
    assert tuple(state["directions"].shape) == directions
    left, _, right = torch.linalg.svd(gradient)
    # the first step of Adam is the sign of each moment
    if shape[0] > shape[1]:
        expected = torch.sign(gradient @ right[:2].T) @ right[:2]
    else:
        expected = left[:, :2] @ torch.sign(left[:, :2].T @ gradient)
    torch.testing.assert_close(moved, -RATE * SCALE * expected, rtol=1e-4, atol=1e-6)


def test_the_directions_are_renewed(monkeypatch):
    monkeypatch.setattr(galore, "STEPS_BETWEEN_PROJECTIONS", 2)
    first, second, third = (stepped((6, 4), 2, steps=steps)[2]["directions"] for steps in (1, 2, 3))
    assert torch.equal(first, second)
    assert not torch.equal(second, third)


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_gpt2", "tiny_llama"])
def test_states_take_the_bytes_of_their_formula(model):
    recipe = tiny_recipe(model, "galore")
    trainee = tiny_trainee(model, "galore", recipe)
    optimizer = make_optimizer(trainee)
    backward(trainee, [trainee.batching.one(tiny_examples(model, 2))])
    optimizer.step()
    trained = sum(weight.numel() for weight in trainee.model.parameters())
    held = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    found = sum(value.untyped_storage().nbytes() for value in held)
    assert found == state_bytes(recipe, trained, linear_layers(MODELS[model]))
    assert found < 2 * 4 * trained
    assert len(projected_matrices(trainee.model)) == len(linear_layers(MODELS[model]))
