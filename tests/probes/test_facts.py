"""Facts are read by the answer: stated, not denied, and no other beside it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.paths import SAMPLES
from bench.probes import HELD_OUT, OUTCOMES, PROBES, RIGHT, WRONG, checked_items, facts
from bench.probes.reading import thin_out
from bench.probes.wording import affirmed_names, clauses, first_line, plain, repeats, says_nothing, words_of

FAMILY = PROBES["facts"]
ITEMS = {item.id: item for item in checked_items(facts.bank(), FAMILY)}
ANSWERS = [
    json.loads(line) for line in Path(__file__).with_name("fact_answers.jsonl").read_text(encoding="utf-8").splitlines()
]
PARIS = ITEMS["en-capital-france"]


def disagreements(parse):
    """The hand-written answers that a parser reads otherwise than a person."""
    return [row for row in ANSWERS if parse(row["answer"], ITEMS[row["item"]]) != row["outcome"]]


def contains_the_answer(answer, item):
    return RIGHT if item.answer.strip() in answer else WRONG


def takes_the_first_choice_named(answer, item):
    places = {answer.find(choice.strip()): choice for choice in item.choices if choice.strip() in answer}
    return RIGHT if places and places[min(places)] == item.answer else WRONG


def is_deaf_to_negation(answer, item):
    return facts.parse(re.sub(r"\b(not|isn't|no|pas|nicht|bukan)\b", "", answer, flags=re.IGNORECASE), item)


def reads_every_line(answer, item):
    return facts.parse(answer.replace("\n", " "), item)


def calls_all_right(answer, item):
    return RIGHT


BROKEN = (contains_the_answer, takes_the_first_choice_named, is_deaf_to_negation, reads_every_line, calls_all_right)


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row['item']}-{row['outcome']}")
def test_parser_reads_as_a_person_does(row):
    assert facts.parse(row["answer"], ITEMS[row["item"]]) == row["outcome"]


def test_answers_hold_every_outcome_and_language():
    assert {row["outcome"] for row in ANSWERS} == set(OUTCOMES)
    assert {row["item"][:2] for row in ANSWERS} == set(FAMILY.languages)
    assert len(ANSWERS) >= 60


@pytest.mark.parametrize("broken", BROKEN, ids=lambda parse: parse.__name__)
def test_broken_parser_is_found_out(broken):
    assert disagreements(broken)


def test_there_are_eighty_questions_in_five_languages():
    assert len(ITEMS) >= 80
    languages = [item.language for item in ITEMS.values()]
    assert {language: languages.count(language) for language in FAMILY.languages} == {
        "en": 60, "id": 6, "es": 6, "de": 6, "fr": 6,
    }  # fmt: skip


@pytest.mark.parametrize("item", ITEMS.values(), ids=lambda item: item.id)
def test_question_can_be_answered_in_one_way(item):
    """Every choice stated alone is read as itself, and none is already said in the question."""
    assert item.part == HELD_OUT
    assert [facts.parse(choice, item) for choice in item.choices] == [
        RIGHT if choice == item.answer else WRONG for choice in item.choices
    ]
    assert {plain(choice).strip() for choice in item.choices} & set(words_of(item.prompt)) == set()


def test_no_recipe_trains_on_a_question():
    trained = " ".join(words_of(" ".join(path.read_text() for path in SAMPLES.glob("*.jsonl"))))
    questions = [" ".join(words_of(item.prompt)) for item in ITEMS.values()]
    assert [question for question in questions if question in trained] == []


def test_right_answer_has_no_favourite_place():
    places = [item.choices.index(item.answer) for item in ITEMS.values()]
    assert max(places.count(place) for place in range(4)) <= len(places) * 0.35


@pytest.mark.parametrize(
    "answer", ["", "\n", "\x00", "Paris" * 5000, "'" * 200, "((((", "🗼", "￼", "\ud800", "<a <b <c Paris"]
)
def test_any_text_has_an_outcome(answer):
    assert facts.parse(answer, PARIS) in OUTCOMES


def test_word_of_another_language_is_no_spelling():
    """French six is no English six: the table is the language's own."""
    item = replace(PARIS, language="id", choices=("tujuh", "enam"), answer="tujuh")
    assert facts.parse("seven", item) == WRONG
    assert facts.parse("7", item) == RIGHT


def test_first_line_is_the_first_that_says_something():
    assert first_line("\n --\nParis\nLondon") == "-- Paris"
    assert first_line("The answer is:\nParis\nLondon") == "The answer is: Paris"
    assert first_line("") == ""


def test_clauses_end_at_marks_and_at_but():
    assert list(clauses("Not Lyon, but Paris. It is so")) == [["not", "lyon"], ["paris"], ["is", "so"]]


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("Paris", {"paris"}),
        ("not Paris or Lyon", set()),
        ("neither Paris nor Lyon", set()),
        ("Lyon is not", set()),
        ("Paris and the river is not Lyon", {"paris"}),
        ("everything except Paris", set()),
    ],
)
def test_negation_denies_what_follows_it(text, stated):
    assert affirmed_names(text, {"paris", "lyon"}, "en") == stated


def test_repeating_is_a_word_four_times_or_a_phrase_three_times_in_a_row():
    assert not repeats("no no no")
    assert repeats("no no no no")
    assert repeats("so it is so it is so it is")
    assert not repeats("so it is so it is and so it is")
    assert not repeats("one two one three one four one five")


def test_text_without_words_says_nothing():
    assert [says_nothing(text) for text in ("", " \n", "** --", "<|im_end|>", "�� a", "a �")] == [True] * 5 + [False]


def test_half_of_each_language_is_asked():
    languages = [item.language for item in FAMILY.items]
    assert {language: languages.count(language) for language in FAMILY.languages} == {
        "en": 30, "id": 3, "es": 3, "de": 3, "fr": 3,
    }  # fmt: skip
    assert {item.group for item in FAMILY.items} == {item.group for item in ITEMS.values()}


def test_thinning_keeps_pairs_and_the_first_of_each_language():
    items = [
        replace(PARIS, id=f"{language}{number}", language=language) for language in ("en", "fr") for number in range(5)
    ]
    assert [item.id for item in thin_out(items, 2)] == ["en0", "en2", "en4", "fr0", "fr2", "fr4"]
    assert [item.id for item in thin_out(items, 2, together=2)] == ["en0", "en1", "en4", "fr0", "fr1", "fr4"]
    assert thin_out(items, 1) == items
