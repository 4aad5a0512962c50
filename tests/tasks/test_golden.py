"""Every metric that a task reports, computed a second way: by scikit-learn from one model call per row, or by hand.

The second way shares nothing with the first but the rows and the model: it batches nothing, reads the words and texts
themselves, and takes log-probabilities in float64.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from seqeval.metrics import f1_score as span_f1
from sklearn.metrics import accuracy_score, f1_score, log_loss
from tiny_trainees import silent, tiny_batching, tiny_recipe

from bench.methods import METHODS
from bench.models import MODELS
from bench.sources import find_weights, load_rows
from bench.sources.tokenizer import byte_tokenizer
from bench.tasks import TASKS, Example, Prepared, pos
from bench.worker.build.adapter import attach
from bench.worker.build.base import prepare_base
from bench.worker.train.evaluate import outcomes
from bench.worker.train.loop import train
from bench.worker.train.steps import plan_steps
from bench.worker.train.trainee import Trainee

ROWS = 5
CUT = 60  # tokens: most sentences of the sample have more bytes, so some words have no prediction
LENGTH = 400  # the prompt of alpaca takes 200 bytes and more
CLOSE = 1e-5  # float32 sums in another order
ENCODER, DECODER, METHOD = "tiny_bert", "tiny_llama", "full"
RESPONSE_TASKS = ["alpaca", "medqa", "numbers", "support"]


def tuned(task, model, max_length):
    """A tiny model trained on some rows of the task, and the prepared rows of which five are held out."""
    recipe = tiny_recipe(
        model, METHOD, max_length=max_length, train_examples=64, evaluation_examples=ROWS, max_steps=20, batch_size=8,
        learning_rate=5e-3,
    )  # fmt: skip
    rows = load_rows(TASKS[task].data, "sample", None).splits
    if task == "pos":  # fewer tags than the sample's: every one that is held out must be in 64 rows
        recipe = replace(recipe, train_examples=0)
    prepared = TASKS[task].run(rows, byte_tokenizer(), recipe)
    entry, method = MODELS[model], METHODS[METHOD]
    base = prepare_base(entry, find_weights(entry, None), len(prepared.labels), method, recipe, 0, "cpu")
    model = attach(base, entry, method, recipe, recipe.max_steps, 0)
    trainee = Trainee(model, method, recipe, tiny_batching(entry.name, recipe), "cpu")
    train(trainee, plan_steps(trainee.batching, prepared.train, 0), silent, lambda epoch: None)
    model.eval()
    return trainee, prepared


@torch.no_grad()
def log_probabilities(trainee, ids):
    """(tokens, classes) in float64 of one row alone."""
    logits = trainee.model(input_ids=torch.tensor([ids])).logits[0]
    return torch.log_softmax(logits.double(), -1).numpy()


def held_out_sentences():
    """The words and tags of the first five held-out sentences."""
    sentences = pos.check_rows(load_rows(pos.DATA, "sample", None).splits["all"], "sample")
    return pos.split_sample(sentences)[1][:ROWS]


def test_pos_by_scikit_learn():
    trainee, prepared = tuned("pos", ENCODER, CUT)
    tokenizer, names = byte_tokenizer(), prepared.labels
    gold, taken, told, scores = [], [], [], []
    for sentence in held_out_sentences():
        encoded = tokenizer(sentence.words, is_split_into_words=True)
        logs = log_probabilities(trainee, encoded["input_ids"][:CUT])
        places = encoded.word_ids(0)[:CUT]
        for word, tag in enumerate(sentence.tags):
            gold.append(tag)
            if word not in places:
                taken.append("no prediction")
                continue
            own = logs[places.index(word)]
            taken.append(names[own.argmax()])
            told.append(tag)
            scores.append(np.exp(own))
    found = pos.score(prepared, outcomes(trainee, prepared.held_out)).quality
    assert taken.count("no prediction") > 0
    assert 0 < found["accuracy"] < len(told) / len(gold)
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, taken))
    assert found["f1"] == pytest.approx(f1_score(gold, taken, average="micro"))
    alone = [[[f"B-{tag}"] for tag in tags] for tags in (gold, taken)]  # every word a span of its own
    assert found["f1"] == pytest.approx(span_f1(*alone))
    assert found["macro_f1"] == pytest.approx(
        f1_score(gold, taken, average="macro", labels=sorted(set(gold)), zero_division=0)
    )
    by_name = [names.index(tag) for tag in told]
    assert found["loss"] == pytest.approx(log_loss(by_name, scores, labels=range(len(names))), rel=CLOSE)


SENTENCES = [  # gold, taken for, and the losses of its words
    ("DT NN VBZ", "DT NN VBZ", 0.5),
    ("NN NN VB", "NN JJ VB", 1.5),
    ("NN IN DT", "IN NN DT", 2.0),
    ("VB RB", "RB RB", 1.0),
    ("CD NN", "MD VB", 8.0),
]
UNSCORED = "NN"  # a word more in the last sentence, which no token stands for


def test_pos_by_hand():
    """7 of 14 words are right. Spans by type, which is all but a tag's first character, neighbours of one type joined:

    gold       T N BZ | N B   | N T | B | D N    10
    predicted  T N BZ | N J B | N T | B | D B    11
    both       T N BZ | B     | N T | B | D       8
    """
    names = sorted({tag for gold, taken, _ in SENTENCES for tag in (gold + " " + taken).split()})
    index = names.index
    held_out = [Example("", [], [index(tag) for tag in gold.split()]) for gold, _, _ in SENTENCES]
    held_out[-1] = replace(held_out[-1], unscored=[index(UNSCORED)])
    told = [{"predicted": [index(tag) for tag in taken.split()], "loss": loss} for _, taken, loss in SENTENCES]
    by_tag = {  # twice the right over gold and predicted
        "CD": 0,
        "DT": 1,
        "IN": 0,
        "NN": Fraction(2 * 2, 6 + 3),
        "RB": Fraction(2 * 1, 1 + 2),
        "VB": Fraction(2 * 1, 2 + 2),
        "VBZ": 1,
    }
    assert pos.score(Prepared([], held_out, names), told).quality == pytest.approx(
        {
            "f1": 7 / 14,
            "accuracy": 7 / 14,
            "macro_f1": float(sum(by_tag.values()) / len(by_tag)),
            "loss": 13 / 13,
            "seqeval_precision": 8 / 11,
            "seqeval_recall": 8 / 10,
            "seqeval_f1": 16 / 21,
        }
    )


@pytest.mark.parametrize("task", RESPONSE_TASKS)
def test_responses_by_scikit_learn(task):
    """The tokens of the answer and the end after it, each predicted from all before."""
    trainee, prepared = tuned(task, DECODER, LENGTH)
    tokenizer = byte_tokenizer()
    gold, taken, scores = [], [], []
    for example in prepared.held_out:
        asked = tokenizer(example.prompt)["input_ids"]
        told = [*tokenizer(example.answer)["input_ids"], tokenizer.eos_token_id]
        ids = (asked + told)[:LENGTH]
        logs = log_probabilities(trainee, ids)
        for place in range(len(asked), len(ids)):
            gold.append(ids[place])
            taken.append(int(logs[place - 1].argmax()))
            scores.append(np.exp(logs[place - 1]))
    found = TASKS[task].score(prepared, outcomes(trainee, prepared.held_out)).quality
    assert 0 < found["token_accuracy"] < 1
    assert found == pytest.approx(
        {
            "token_accuracy": accuracy_score(gold, taken),
            "loss": log_loss(gold, scores, labels=range(trainee.batching.vocabulary)),
        },
        rel=CLOSE,
    )
