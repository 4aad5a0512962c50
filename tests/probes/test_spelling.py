"""A choice is found with a slip of one letter, and other words are left as they are."""

import pytest

from bench.core.files import BadFile
from bench.probes import facts, spelling
from bench.probes.wording import plain

ITEMS = {item.id: item for item in facts.bank()}


@pytest.mark.parametrize(
    ("item", "said", "corrected"),
    [
        ("en-animal-tall", "the girafe of course", "the giraffe of course"),
        ("en-world-language", "Portugese", "portuguese"),
        ("en-capital-russia", "Mosccow", "moscow"),
        ("en-capital-france", "Pari", "Pari"),  # too short
        ("en-opposite-open", "close", "close"),  # another word
        ("en-month-first", "February", "February"),
    ],
)
def test_slip_of_one_letter_is_corrected(item, said, corrected):
    names = {choice.casefold() for choice in ITEMS[item].choices}
    assert spelling.corrected(said, names, ITEMS[item]) == corrected


def test_spelling_of_two_words_is_refused(tmp_path, monkeypatch):
    (tmp_path / "spellings.toml").write_text('[en]\nseven = ["7"]\nsix = ["7"]\n')
    monkeypatch.setattr(spelling, "FOLDER", tmp_path)
    spelling.spellings.cache_clear()
    with pytest.raises(BadFile, match="'7' stands for two words; leave it to one"):
        spelling.spellings()
    spelling.spellings.cache_clear()


def test_every_spelling_belongs_to_a_choice():
    said = {(item.language, plain(choice).strip()) for item in ITEMS.values() for choice in item.choices}
    stale = [
        word
        for language, table in spelling.spellings().items()
        for word in table.values()
        if (language, word) not in said
    ]
    assert stale == []
