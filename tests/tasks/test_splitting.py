"""The split of a person's own data: nothing leaks, and neither order nor seed moves a row."""

import random

import pytest

from bench.tasks.splitting import HELD_OUT_LIMIT, group_texts, held_out_rows, leaking_rows

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
TEXTS = [f"{LONG} {word} number {number}" for number, word in enumerate(random.Random(0).sample(range(10**6), 200))]
TOPICS = [f"question {number} about {number * 7} and {number * 13}" for number in range(100)]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Where is my parcel?", "where is  MY parcel", True),
        ("Where is my parcel?", "Where was my parcel?", False),
        (f"{LONG} eighteen nineteen", f"{LONG} eighteen twenty", True),
        (f"{LONG} eighteen nineteen", f"{LONG} twenty thirty", False),
        ("3 + 4", "3 + 5", False),
        ("?", "!", False),
        ("été", "ÉTÉ", True),
    ],
)
def test_texts_are_alike_by_nine_tenths_of_their_words(one, other, alike):
    first, second = group_texts([one, other])
    assert (first == second) is alike


def test_alike_is_handed_on():
    words = [*LONG.split(), "a", "b", "c"]
    chain = [" ".join(words), " ".join([*words[:-1], "x"]), " ".join([*words[:-2], "y", "x"])]
    assert len(set(group_texts(chain))) == 1
    assert len(set(group_texts([chain[0], chain[2]]))) == 2


def test_pairs_are_those_that_comparing_every_two_texts_finds():
    rng = random.Random(1)
    texts = [" ".join(rng.choices("abcdefghijklmnopqrst", k=rng.randint(5, 40))) for _ in range(150)]
    sets = [set(text.split()) for text in texts]
    groups = list(range(len(texts)))
    for one in range(len(texts)):
        for other in range(one):
            if len(sets[one] & sets[other]) >= 0.9 * len(sets[one] | sets[other]):
                first, second = groups[one], groups[other]
                groups = [min(first, second) if group in (first, second) else group for group in groups]
    found = group_texts(texts)
    same = {(one, other) for one in range(150) for other in range(one) if found[one] == found[other]}
    assert same == {(one, other) for one in range(150) for other in range(one) if groups[one] == groups[other]}
    assert same


def test_no_group_is_on_both_sides():
    texts = [f"{text} {end}" for text in TOPICS for end in ("", "?", "!")]
    chosen = held_out_rows(texts)
    groups = group_texts(texts)
    assert len(chosen) == 30
    assert {groups[number] for number in chosen} & {groups[n] for n in range(300) if n not in chosen} == set()


def test_the_split_does_not_depend_on_the_order_of_rows():
    held = {TOPICS[number] for number in held_out_rows(TOPICS)}
    turned = random.Random(3).sample(TOPICS, len(TOPICS))
    assert {turned[number] for number in held_out_rows(turned)} == held


def test_a_new_row_moves_few():
    before = {TOPICS[number] for number in held_out_rows(TOPICS)}
    more = [*TOPICS, "a row that is new"]
    assert len(before - {more[number] for number in held_out_rows(more)}) <= 1


def test_nothing_is_held_out_of_rows_that_are_all_alike():
    assert held_out_rows(["the same"] * 50) == set()
    assert held_out_rows([]) == set()
    assert held_out_rows(["one"]) == set()


def test_a_large_group_trains():
    texts = [*["the same"] * 50, *TOPICS[:50]]
    assert 1 <= len(held_out_rows(texts)) <= 20
    assert not held_out_rows(texts) & set(range(50))


def test_no_more_than_the_limit_is_held_out():
    assert len(held_out_rows([f"row {number} {number * 3}" for number in range(9_000)])) == HELD_OUT_LIMIT


def test_training_keeps_a_row_of_each_label():
    texts = [f"text {number} {number * 11}" for number in range(40)]
    labels = [[f"label {number // 2}"] for number in range(40)]
    chosen = held_out_rows(texts, labels)
    assert chosen
    trained = {label for number, row in enumerate(labels) if number not in chosen for label in row}
    assert trained == {label for row in labels for label in row}


def test_held_out_rows_that_repeat_training_are_found():
    assert leaking_rows(["Where is my parcel?", "b"], ["where is my parcel", "c"]) == {0}
