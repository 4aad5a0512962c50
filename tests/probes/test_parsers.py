"""Answers written by hand, and what each is worth; and that a broken parser would not pass here."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from bench.core.paths import ROOT
from bench.probes import EVASIVE, GARBLED, OUTCOMES, RIGHT, WRONG, Item, parsers
from bench.probes.parsers import larger_number
from bench.probes.words import LANGUAGES, NEVER, words_in

ANSWERS = [
    json.loads(line) for line in (ROOT / "tests" / "probes" / "probe_answers.jsonl").read_text("utf-8").splitlines()
]
ASKED = Item("x", "decimals", "en", "trap", "held_out", "text", "?", ("9.11", "9.9"), "9.9")


def item_of(answer):
    return replace(
        ASKED, language=answer["language"], group=answer["group"], choices=tuple(answer["choices"]),
        answer=answer["answer"],
    )  # fmt: skip


def disagreements(parse, languages=LANGUAGES):
    own = [answer for answer in ANSWERS if answer["language"] in languages]
    return [answer for answer in own if parse(answer["says"], item_of(answer)) != answer["outcome"]]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer['language']}-{answer['says'][:40]}")
def test_parser_agrees_with_the_hand(answer):
    assert larger_number(answer["says"], item_of(answer)) == answer["outcome"]


def test_a_hundred_answers_and_eight_in_each_language():
    count = Counter(answer["language"] for answer in ANSWERS)
    assert len(ANSWERS) >= 100
    assert set(count) == set(LANGUAGES)
    assert min(count.values()) >= 8


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_outcome(language):
    assert {answer["outcome"] for answer in ANSWERS if answer["language"] == language} == set(OUTCOMES)


def test_searching_for_the_number_would_be_found_out():
    def search(says, item):
        return RIGHT if item.answer in says else WRONG

    assert len(disagreements(search)) > len(ANSWERS) / 4


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("blind", ["greater", "smaller", "no", "second"])
def test_a_parser_without_a_word_list_would_be_found_out(language, blind, monkeypatch):
    """Without what compares, denies or points, some answer in the language is read wrongly."""
    changed = replace(words_in(language), **{blind: NEVER})
    monkeypatch.setattr(parsers, "words_in", lambda name: changed if name == language else words_in(name))
    assert disagreements(larger_number, [language])


@pytest.mark.parametrize("turned", ["greater", "smaller"])
def test_a_parser_that_takes_smaller_for_larger_would_be_found_out(turned, monkeypatch):
    other = {"greater": "smaller", "smaller": "greater"}[turned]
    taken = {
        language: replace(words_in(language), **{turned: getattr(words_in(language), other), other: NEVER})
        for language in LANGUAGES
    }
    monkeypatch.setattr(parsers, "words_in", taken.__getitem__)
    assert {answer["language"] for answer in disagreements(larger_number)} == set(LANGUAGES)


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        ("", EVASIVE),
        ("\n\n\n", EVASIVE),
        ("9.9" * 50, GARBLED),
        ("9.9 " * 50, GARBLED),
        ("the the the the the the the the the", GARBLED),
        ("\x00\x01\ufffd", GARBLED),
        ("<script>alert('9.9')</script>", RIGHT),
        ("```\n9.9\n```", RIGHT),
        ("\\(\\boxed{9.11}\\)", WRONG),
        ("(" * 2000, GARBLED),
        ("⟨A⟩⟨B⟩", EVASIVE),
        ("9." * 3000, GARBLED),
    ],
)
def test_odd_answers_have_an_outcome(says, outcome):
    assert larger_number(says, ASKED) == outcome


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_text_has_an_outcome_in_any_language(language):
    item = replace(ASKED, language=language)
    for text in ("9,9 > 9,11 < 9.9", "𝟗.𝟗", "९.९ ٩٫٩ 9.9", "<<<>>>", "\u202e9.9", "-", "9" * 5000, "1.2.3"):
        assert larger_number(text, item) in OUTCOMES
