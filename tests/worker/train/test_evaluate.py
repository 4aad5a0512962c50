"""Evaluation: each example's own outcome, whatever lies beside it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiny_trainees import LABELS, PAIRS, TINY, tiny_examples, tiny_recipe, tiny_trainee

from bench.tasks import IGNORE, Example
from bench.worker.train.evaluate import outcomes
from bench.worker.train.losses import token_losses

PADDING_CLOSE = 1e-5  # relative: sums over a masked row are ordered otherwise


class Fixed:
    """A model that gives these logits whatever it is asked, with two virtual tokens before them."""

    def __init__(self, logits):
        self.logits = torch.cat([torch.full_like(logits[:, :2], 9.0), logits], dim=1)

    def eval(self):
        return self

    def __call__(self, **inputs):
        return SimpleNamespace(logits=self.logits)


def evaluated(model, size):
    recipe = tiny_recipe(model, evaluation_batch_size=size)
    return outcomes(tiny_trainee(model, recipe=recipe), tiny_examples(model, 9))


@pytest.mark.parametrize("size", [2, 4, 9])
@pytest.mark.parametrize("model", TINY)
def test_outcomes_do_not_depend_on_the_batch(model, size):
    alone, together = evaluated(model, 1), evaluated(model, size)
    assert [o["loss"] for o in together] == pytest.approx([o["loss"] for o in alone], rel=PADDING_CLOSE)
    exact = [{name: value for name, value in outcome.items() if name != "loss"} for outcome in alone]
    assert [{name: value for name, value in o.items() if name != "loss"} for o in together] == exact


def test_encoder_outcome_by_hand():
    trainee = tiny_trainee("tiny_bert")
    logits = torch.zeros(1, 8, LABELS)
    logits[0, 0, 3] = logits[0, 2, 1] = 50.0
    example = Example("e", [9, 10, 11], [3, IGNORE, 4])
    (outcome,) = outcomes(replace(trainee, model=Fixed(logits)), [example])
    assert outcome == {"loss": pytest.approx(50.0), "tokens": 2, "correct": 1, "predicted": [3, 1]}


def test_decoder_outcome_by_hand():
    trainee = tiny_trainee("tiny_llama")
    logits = torch.zeros(1, 8, 264)
    logits[0, 0, 10] = logits[0, 1, 99] = 50.0  # place 0 says 10, which is right, and place 1 says 99
    (outcome,) = outcomes(replace(trainee, model=Fixed(logits)), [Example("d", [9, 10, 11], [IGNORE, 10, 11])])
    assert outcome == {"loss": pytest.approx(50.0), "tokens": 2, "correct": 1}


@pytest.mark.parametrize("model", TINY)
def test_outcomes_sum_to_the_training_loss(model):
    trainee, examples = tiny_trainee(model), tiny_examples(model, 4)
    batch = trainee.batching.one(examples)
    with torch.no_grad():
        losses, _, _ = token_losses(trainee.model(**batch.inputs()).logits, batch.labels, trainee.batching.shifted)
    found = outcomes(trainee, examples)
    assert sum(o["loss"] for o in found) == pytest.approx(float(losses.sum()), rel=PADDING_CLOSE)
    assert sum(o["tokens"] for o in found) == batch.scored


@pytest.mark.parametrize(("model", "method"), [pair for pair in PAIRS if pair[1] in ("prefix", "prompt")])
def test_virtual_tokens_are_not_scored(model, method):
    trainee, examples = tiny_trainee(model, method), tiny_examples(model, 4)
    assert sum(o["tokens"] for o in outcomes(trainee, examples)) == trainee.batching.one(examples).scored


def test_evaluating_leaves_no_gradient():
    trainee = tiny_trainee()
    outcomes(trainee, tiny_examples())
    assert [p.grad for p in trainee.model.parameters() if p.grad is not None] == []
