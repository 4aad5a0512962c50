"""A name that is mentioned is not yet the answer, and one that answers is not taken for a mention."""

import pytest

from bench.probes import facts
from bench.probes.mentions import only_mentions

ITEMS = {item.id: item for item in facts.bank()}


@pytest.mark.parametrize(
    ("item", "name", "text"),
    [
        ("en-capital-france", "paris", "versailles, near paris"),
        ("en-capital-france", "paris", "paris is in france"),
        ("en-capital-france", "paris", "some say it is paris"),
        ("en-opposite-day", "night", "day and night alternate"),
        ("en-opposite-happy", "glad", "glad means the same as happy"),
        ("en-count-hour", "sixty", "a quarter has sixty seconds"),
        ("en-month-before-august", "july", "july comes after august"),
        ("en-animal-bark", "dog", "a seal sounds like a dog"),
    ],
)
def test_name_is_only_mentioned(item, name, text):
    assert only_mentions(text, name, {name}, ITEMS[item])


@pytest.mark.parametrize(
    ("item", "name", "text"),
    [
        ("en-capital-france", "paris", "paris is the capital of france"),
        ("en-opposite-day", "night", "day and night are opposites"),
        ("en-count-hour", "sixty", "an hour has sixty min"),
        ("en-month-before-august", "july", "august comes after july"),
        ("en-month-first", "january", "the year begins with january"),
        ("en-world-star", "sun", "it travels around the sun"),
    ],
)
def test_name_is_the_answer(item, name, text):
    assert not only_mentions(text, name, {name}, ITEMS[item])
