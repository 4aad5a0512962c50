"""General texts: written for this project, held out, and their loss a mean over tokens."""

import math

import pytest

from bench.places import SAMPLES
from bench.probes import HELD_OUT, LOSS, PROBES
from bench.probes.forgetting import nats_per_token, relative_change
from bench.probes.wording import words_of

FAMILY = PROBES["forgetting"]
TEXTS = {item.id: item.prompt for item in FAMILY.items}
SENTENCE_MARKS = ".!?"


def test_there_are_forty_texts_whose_loss_is_taken():
    assert FAMILY.kind == LOSS
    assert len(TEXTS) >= 40
    assert {item.part for item in FAMILY.items} == {HELD_OUT}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_has_two_to_five_sentences(text):
    assert 2 <= sum(text.count(f"{mark} ") for mark in SENTENCE_MARKS) + 1 <= 5
    assert text[-1] in SENTENCE_MARKS
    assert 20 <= len(words_of(text)) <= 70


def test_texts_are_of_varied_words():
    """No template: two texts share at most a third of their longer words."""
    vocabularies = [{word for word in words_of(text) if len(word) > 4} for text in TEXTS.values()]
    shared = [
        len(one & other) / min(len(one), len(other))
        for number, one in enumerate(vocabularies)
        for other in vocabularies[:number]
    ]
    assert max(shared) <= 1 / 3


def test_no_recipe_trains_on_a_sentence():
    trained = " ".join(words_of(" ".join(path.read_text(encoding="utf-8") for path in SAMPLES.glob("*.jsonl"))))
    sentences = [" ".join(words_of(one)) for text in TEXTS.values() for one in text.split(". ")]
    assert [sentence for sentence in sentences if sentence in trained] == []


def test_loss_is_a_mean_over_tokens_and_not_over_texts():
    assert nats_per_token([30.0, 10.0], [10, 30]) == 1.0


def test_change_is_a_share_of_the_bases_loss():
    assert relative_change(2.0, 2.04) == pytest.approx(0.02)
    assert relative_change(2.0, 1.5) == -0.25


@pytest.mark.parametrize(
    ("losses", "tokens", "says"),
    [([0.0], [0], "no token was predicted"), ([math.nan, 1.0], [3, 3], "1 of 2 texts"), ([], [], "no token")],
)
def test_loss_of_nothing_is_no_loss(losses, tokens, says):
    with pytest.raises(ValueError, match=says):
        nats_per_token(losses, tokens)
