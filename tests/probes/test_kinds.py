"""A text contains an answer of a kind if it has a number, a colour or a name that the question has not."""

import pytest

from bench.core.files import BadFile
from bench.probes import facts, kinds
from bench.probes.kinds import contains_answer

ITEMS = {item.id: item for item in facts.bank()}
OPEN = {"opposite", "world"}  # any word may answer these
LISTED = [
    item for item in ITEMS.values() if item.group not in OPEN and (item.group, item.language) != ("capital", "de")
]


@pytest.mark.parametrize("item", LISTED, ids=lambda item: item.id)
def test_every_choice_is_of_its_kind(item):
    assert [choice for choice in item.choices if not contains_answer(f"it {choice}", item)] == []


@pytest.mark.parametrize(
    ("item", "text", "found"),
    [
        ("en-count-spider", "a hundred and twenty legs", True),
        ("en-count-spider", "120 legs", True),
        ("en-count-spider", "many legs", False),
        ("en-count-sum", "two plus two", False),
        ("en-count-sum", "two plus two is two", True),
        ("de-count-week", "eine Woche", False),
        ("de-count-week", "zweihundert", True),
        ("en-colour-mix", "blue and yellow", False),
        ("es-colour-snow", "a deep blue color", True),
        ("en-capital-france", "a country in southern Europe", False),
        ("en-capital-france", "a European country", False),
        ("en-capital-france", "a city named cardiff", True),
        ("en-capital-france", "it is Nice", True),
        ("en-season-cold", "it is January", True),
        ("en-opposite-hot", "it is chilly", False),
    ],
)
def test_answer_of_the_kind(item, text, found):
    assert contains_answer(text, ITEMS[item]) is found


def test_file_without_a_kind_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "kinds.toml").write_text("[en]\nnumber = []\n")
    monkeypatch.setattr(kinds, "FILE", tmp_path / "kinds.toml")
    kinds.kind_words.cache_clear()
    with pytest.raises(BadFile, match=r"\[en\]: missing colour"):
        kinds.kind_words("colour", "en")
    kinds.kind_words.cache_clear()
