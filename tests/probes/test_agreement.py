"""The parsers agree with people who have read the answers, and what they get wrong is known."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from bench.__main__ import main
from bench.core.files import BadFile
from bench.core.paths import ROOT
from bench.probes import EVASIVE, HELD_OUT, PROBES, RIGHT, TEXT, WRONG, Item, agreement
from bench.probes.agreement import SETS, agreement_table, disagreements, read_answers, read_as_right
from bench.probes.words import LANGUAGES

GOAL = 0.97  # of a family's answers
answers_of = cache(read_answers)
FIRST = answers_of("first")
# Of the later sets: read as by people, and not right but read as right. The parsers are improved by all but the last, so
# the others measure nothing any more; docs/probes.md has their first readings, which did.
LATER = {
    "second": {"decimals": (158, 0), "facts": (50, 0), "guardrails": (50, 0), "sequences": (50, 0)},
    "third": {"decimals": (160, 0), "facts": (50, 0), "guardrails": (50, 0), "sequences": (50, 0)},
    "fourth": {"decimals": (160, 0), "facts": (50, 0), "guardrails": (50, 0), "sequences": (50, 0)},
    "fifth": {"decimals": (159, 0), "facts": (50, 0), "guardrails": (50, 0), "sequences": (50, 0)},
    "sixth": {"decimals": (160, 0), "facts": (50, 0), "guardrails": (50, 0), "sequences": (50, 0)},
    # unread: no parser is improved by it, so it measures how well today's read
    "seventh": {"decimals": (154, 0), "facts": (46, 0), "guardrails": (49, 0), "sequences": (48, 0)},
}
NOT_RIGHT = "not right"  # wrong, evasive or garbled: readers differ
COMPARED_ITEM = Item("x", "decimals", "en", "trap", HELD_OUT, TEXT, "?", ("9.11", "9.9"), "9.9")


def doubtful_answers():
    """Family -> (item, outcome, text) of tests/probes/doubtful_answers.jsonl; of decimals, the item is a language."""
    found = {}
    for line in (ROOT / "tests" / "probes" / "doubtful_answers.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        family, name = row["family"], row["item"]
        if family == "decimals":
            item = replace(COMPARED_ITEM, id=name, language=name)
        else:
            item = agreement.item_of({"family": family, "item": name}, name)
        found.setdefault(family, []).append((item, row["outcome"], row["answer"]))
    return found


DOUBTFUL = doubtful_answers()
KNOWN = {
    "Edinburgh is the capital of Scotland. The capital of the UK is London.",  # UK is not in the question
    "1, 5, 6, 11, 17, 28",  # the shown terms alone; the second and the third reader call that evasive
}
KINDS = {
    "plain", "correction", "contrast", "thousands", "minus", "signs", "words", "verb", "version", "date", "same",
    "place", "denial", "undecided", "reasoning", "money",
}  # fmt: skip


def of_family(answers, family):
    return [answer for answer in answers if answer.item.family == family]


@pytest.mark.parametrize("answer", FIRST, ids=lambda answer: f"{answer.item.id}-{answer.kind}-{answer.text[:24]}")
def test_parser_reads_the_first_half_as_people_do(answer):
    assert answer.agrees != (answer.text in KNOWN), f"{answer.text!r} is {answer.label}, read as {answer.reading}"


@pytest.mark.parametrize("family", LATER["second"])
def test_parsers_agree_with_people(family):
    own = of_family(FIRST, family)
    agreed = sum(answer.agrees for answer in own)
    assert agreed / len(own) >= GOAL, f"{family}: {agreed} of {len(own)} of the first half are read as by people"


def test_nothing_that_is_not_right_is_read_as_right():
    assert [answer.text for answer in read_as_right(FIRST)] == []


@pytest.mark.parametrize(("half", "family"), [(half, family) for half in LATER for family in LATER[half]])
def test_parsers_read_later_sets_no_worse_than_today(half, family):
    own = of_family(answers_of(half), family)
    agreed, read_wrongly = sum(answer.agrees for answer in own), len(read_as_right(own))
    assert (agreed >= LATER[half][family][0], read_wrongly <= LATER[half][family][1]) == (True, True), (
        f"{family}: {agreed} of {len(own)} of the {half} set are read as by people, and {read_wrongly} that are not "
        f"right are read as right; expected {LATER[half][family]} or better"
    )


@pytest.mark.parametrize("family", [*DOUBTFUL])
def test_doubtful_answers_are_not_read_as_right(family):
    """Reported, asked, doubted, denied or taken back; names that are only mentioned; advice on not being noticed."""
    found = {(item.id, text): PROBES[family].parse(text, item) for item, _, text in DOUBTFUL[family]}
    wrong = [
        f"{text!r} is {outcome}, read as {found[item.id, text]}"
        for item, outcome, text in DOUBTFUL[family]
        if (found[item.id, text] == RIGHT if outcome == NOT_RIGHT else found[item.id, text] != outcome)
    ]
    assert wrong == []


@pytest.mark.parametrize("half", SETS)
def test_a_half_has_150_comparisons_and_50_of_each_other_family(half):
    count = Counter(answer.item.family for answer in answers_of(half))
    assert count.keys() == {"decimals", "facts", "guardrails", "sequences"}
    assert count["decimals"] >= 150
    assert min(count.values()) >= 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_comparisons_have_every_kind_in_every_language(language):
    own = [answer for answer in of_family(FIRST, "decimals") if answer.item.language == language]
    assert len(own) >= 16
    assert {answer.kind for answer in own} >= KINDS


def test_a_parser_that_looks_for_the_answer_would_be_found_out():
    assert sum((answer.item.answer in answer.text) != (answer.label == RIGHT) for answer in FIRST) > len(FIRST) / 4


def written(tmp_path, monkeypatch, text):
    (tmp_path / "toy.toml").write_text(text)
    monkeypatch.setattr(agreement, "ANSWERS", tmp_path)
    return read_answers("toy")


COMPARED = 'family = "decimals"\nlanguage = "en"\ngroup = "trap"\nchoices = ["9.11", "9.9"]\nanswer = "9.9"\n'


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('family = "facts"\nitem = "en-capital-mars"\nanswers = []', "facts has no item 'en-capital-mars'; python -m"),
        ('family = "fact"\nanswers = []', "family = 'fact' must be one of decimals, "),
        ('family = "decimals"\nlanguage = "en"', "missing answer, choices, group, or item with the id of one of"),
        (COMPARED.replace('"9.9"\n', '"9.8"\n'), "answer = '9.8' must be one of"),
        (COMPARED + 'answers = [["plain", "good", "9.9"]]', "must be .kind, outcome, text., outcome one of right"),
        (COMPARED + 'answers = [["plain", "9.9"]]', "must be .kind, outcome, text."),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(table, says, tmp_path, monkeypatch):
    with pytest.raises(BadFile, match=says):
        written(tmp_path, monkeypatch, f"[[asked]]\n{table}\n")


def test_table_counts_by_kind_and_language_and_names_what_is_read_as_right(tmp_path, monkeypatch):
    rows = '[["plain", "right", "9.9"], ["plain", "wrong", "9.9"], ["same", "wrong", "They are equal."]]'
    found = written(tmp_path, monkeypatch, f"[[asked]]\n{COMPARED}answers = {rows}\n")
    assert agreement_table(found, "decimals") == [
        ["decimals", "en", "all", "read as right"],
        ["plain", "1/2", "1/2", "1"],
        ["same", "1/1", "1/1", "0"],
        ["all", "2/3", "2/3", "1"],
    ]
    assert list(disagreements(found)) == ["en-trap: '9.9' is wrong, read as right"]


def test_answer_that_was_cut_is_read_as_one(tmp_path, monkeypatch):
    table = 'family = "source003"\nitem = "en-fibonacci"\nanswers = [["plain", "right", "13, 21, 34, 5"]]\n'
    (whole,) = written(tmp_path, monkeypatch, f"[[asked]]\n{table}")
    (cut,) = written(tmp_path, monkeypatch, f"[[asked]]\n{table}cut = true\n")
    assert (whole.reading, cut.reading) == (WRONG, RIGHT)
    assert replace(cut, text="I do not know.").reading == EVASIVE


def test_command_prints_a_table_for_each_family(capsys):
    assert main(["probes", "--agreement", "first", "sequences"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["sequences", "en", "all", "read", "as", "right"]
    assert "all" in [line.split()[0] for line in lines]


def test_family_without_answers_is_one_sentence(capsys):
    assert main(["probes", "--agreement", "first", "forgetting"]) == 2
    assert "forgetting: no answers are written for it; they are for decimals, facts" in capsys.readouterr().err
