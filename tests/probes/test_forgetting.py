"""General texts: real language of varied subjects, written for this project and held out."""

import pytest

from bench.core.paths import SAMPLES
from bench.probes import HELD_OUT, LOSS, PROBES
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
