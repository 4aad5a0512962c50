"""The probes: their items, what is held out, and what is refused."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.core.files import BadFile
from bench.core.registry import UnknownName
from bench.probes import HELD_OUT, LOSS, OUTCOMES, PROBES, TEXT, TRAIN, Family, Item, checked_items
from bench.probes.decimals import UNSEEN_LANGUAGES, phrasings, sentences, training_items
from bench.probes.export import files, numbers_rows
from bench.probes.pairs import BY_TEXT, GROUPS, draw, integers
from bench.probes.parsers import larger_number
from bench.probes.reading import read_items
from bench.probes.sequences import LEAST, continues, rest_of
from bench.probes.sequences import training_items as training_sequences
from bench.probes.words import LANGUAGES

ITEM = Item("one", "toy", "en", "trap", "held_out", "text", "Which is larger, 9.11 or 9.9?", ("9.11", "9.9"), "9.9")
TOY = Family("toy", "", list, larger_number, languages=("en",))
TRAINED = training_items(0, 1600)
TASK_TRAINS_ON = [row for row in numbers_rows() if row["part"] == TRAIN]
ASKED = PROBES["decimals"].items


def value(item, text):
    """What decides: a decimal's value, or a version's and a date's parts."""
    return [int(part) for part in text.split(".")] if item.group in BY_TEXT else float(text.replace(",", "."))


def whole_part(text):
    return int(text.replace(",", ".").lstrip("-").split(".")[0])


@pytest.mark.parametrize("family", PROBES, ids=lambda family: family.name)
def test_every_family_has_sound_items(family):
    assert family.items
    assert family.says
    if family.kind != LOSS:
        assert {family.parse(said, item) for item in family.items for said in ("", "…", "7")} <= set(OUTCOMES)


@pytest.mark.parametrize("family", PROBES, ids=lambda family: family.name)
def test_no_item_is_asked_twice(family):
    assert len({(item.form, item.prompt) for item in family.items}) == len(family.items)


@pytest.mark.parametrize("family", PROBES, ids=lambda family: family.name)
def test_everything_asked_is_held_out(family):
    assert {item.part for item in family.items} == {HELD_OUT}


def test_decimals_are_what_they_say():
    for item in (*ASKED, *TRAINED):
        larger, smaller = sorted(item.choices, key=lambda text: value(item, text), reverse=True)
        assert item.answer == larger, item
        assert value(item, larger) != value(item, smaller), item
        assert not larger.startswith(smaller), item
        assert not smaller.startswith(larger), item


def test_traps_mislead():
    traps = [item for item in ASKED if item.group == "trap"]
    for item in traps:
        fractions = {text: int(text.replace(",", ".").split(".")[1]) for text in item.choices}
        assert fractions[item.answer] == min(fractions.values())
    assert len(traps) >= 50


@pytest.mark.parametrize("group", GROUPS)
def test_both_orders_are_asked(group):
    firsts = [item.choices.index(item.answer) for item in ASKED if item.group == group]
    assert 0.4 <= sum(firsts) / len(firsts) <= 0.6


@pytest.mark.parametrize("language", LANGUAGES)
def test_traps_are_asked_in_both_orders_in_every_language(language):
    traps = [item for item in ASKED if (item.language, item.group) == (language, "trap")]
    assert {item.choices.index(item.answer) for item in traps} == {0, 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_is_asked(language):
    assert {item.id.split("-")[2] for item in ASKED if item.language == language} == {"plain", "alpaca", "chat"}


@pytest.mark.parametrize("language", ["es", "de", "fr", "ru", "ar", "id"])
def test_decimals_have_a_comma_where_the_language_writes_one(language):
    for item in ASKED:
        if item.language == language:
            separator = "." if item.group in BY_TEXT else ","
            assert all(separator in text for text in item.choices), item


def test_no_training_item_uses_what_is_held_out():
    assert {item.part for item in TRAINED} == {TRAIN}
    assert {item.language for item in TRAINED} == set(LANGUAGES) - set(UNSEEN_LANGUAGES)
    used = {whole_part(text) for item in TRAINED for text in item.choices}
    assert used.isdisjoint(integers(held_out=True))
    assert 9 in integers(held_out=True)
    asked = {sentence.split("{a}")[0] for sentence in all_sentences(HELD_OUT)}
    trained = {sentence.split("{a}")[0] for sentence in all_sentences(TRAIN)}
    assert (asked & trained) - {""} == set()


def all_sentences(part):
    return {sentence for language in phrasings() for group in GROUPS for sentence in sentences(language, group, part)}


@pytest.mark.parametrize("sentence", [*sorted(all_sentences(HELD_OUT)), "Which one is larger?"])
def test_no_training_comparison_is_worded_as_one_that_is_asked(sentence):
    """Its longest stretch between the numbers stands in none; the last is source 003's own instruction."""
    stretch = max(re.split(r"{a}|{b}", sentence), key=len)
    assert not [row["prompt"] for row in TASK_TRAINS_ON if stretch in row["prompt"]]


def test_asked_items_are_held_out_in_integer_too():
    assert {whole_part(text) for item in ASKED for text in item.choices} <= set(integers(held_out=True))


def test_the_task_trains_on_no_held_out_item():
    trained = {row["prompt"] for row in TASK_TRAINS_ON}
    for family in PROBES:
        assert trained.isdisjoint(item.prompt for item in family.items), family.name


def shown_terms(item):
    return [int(term) for term in item.prompt.rsplit("### Input:\n", 1)[1].split("\n")[0].split(", ")]


def next_terms(item):
    return rest_of(shown_terms(item), item.group)


SEQUENCES = [
    *PROBES["sequences"].items,
    *(item for item in PROBES["source003"].items if item.group == "fibonacci"),
]


@pytest.mark.parametrize("item", SEQUENCES, ids=lambda item: f"{item.family}-{item.id}")
def test_the_task_trains_on_no_answer_to_a_held_out_sequence(item):
    """Neither in what is asked of the task nor in its answers do the three terms stand that come next."""
    answer = re.compile(rf"(?<!\d){', '.join(map(str, next_terms(item)[:LEAST]))}(?!\d)")
    trained = [row["prompt"] + row["answer"] for row in TASK_TRAINS_ON]
    assert not [text for text in trained if answer.search(text)]


@pytest.mark.parametrize("item", SEQUENCES, ids=lambda item: f"{item.family}-{item.id}")
def test_a_perfect_answer_is_right_within_the_limit_of_tokens(item):
    """A tokenizer that splits every digit and mark, as a small model's may, is the one that needs most of them."""
    shown, following = shown_terms(item), next_terms(item)
    for terms in (following, [*shown, *following]):
        perfect = ", ".join(map(str, terms))
        assert continues(perfect[: PROBES[item.family].new_tokens].strip(), item, cut=True) == "right"
        assert continues(perfect, item) == "right"


def test_training_items_have_ids_of_their_own():
    ids = [row["id"] for row in numbers_rows()]
    assert len(set(ids)) == len(ids)


def test_more_training_sequences_than_there_are_are_refused():
    with pytest.raises(ValueError, match="count=300 needs 225 of fibonacci, and only 204 hold no answer to what is"):
        training_sequences(0, 300)


BY_TEXTS = [item for family in PROBES if family.kind != LOSS for item in family.items if item.form == TEXT]


@pytest.mark.parametrize("item", BY_TEXTS, ids=lambda item: f"{item.family}-{item.id}")
def test_what_follows_a_heading_in_an_answer_to_a_text_is_not_read(item):
    """So an answer may end there: bench.worker.ask.questions lets no text's answer go on."""
    parse = PROBES[item.family].parse
    right = ", ".join(map(str, next_terms(item)[:LEAST])) if item in SEQUENCES else item.answer
    assert parse(right, item) == "right"
    assert parse(f"I see.\n\n### Response:\n{right}", item) == parse("I see.\n\n###", item) == "evasive"


def test_the_same_seed_gives_the_same_items():
    assert training_items(3, 20) == training_items(3, 20)
    assert training_items(3, 20) != training_items(4, 20)


@pytest.mark.parametrize("group", GROUPS)
def test_pairs_differ_from_draw_to_draw(group):
    import random

    order = random.Random(0)
    assert len({draw(group, True, order) for _ in range(40)}) > 10


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_made_files_are_what_would_be_made(path):
    assert path.read_text(encoding="utf-8") == files()[path], "python -m bench probes --write"


SOURCE = {item.group: item for item in PROBES["source003"].items}


def test_source_003_is_asked_word_for_word():
    assert SOURCE["larger"].prompt == (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nWhich one is larger?\n\n### Input:\n9.11 or 9.9?\n\n### Response:\n"
    )
    assert "### Instruction:\nContinue the fibonacci sequence.\n\n### Input:\n1, 1, 2, 3, 5, 8\n" in (
        SOURCE["fibonacci"].prompt
    )
    assert PROBES["source003"].new_tokens == 64


@pytest.mark.parametrize(
    ("group", "says", "outcome"),
    [
        ("fibonacci", "13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765", "right"),
        ("larger", "9.11 is larger than 9.9.", "wrong"),
    ],
)
def test_what_source_003s_model_said_is_judged_as_the_source_judged_it(group, says, outcome):
    assert PROBES["source003"].parse(says, SOURCE[group]) == outcome


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        ("13, 21, 34", "right"),
        ("13, 21, 34, 5", "wrong"),
        ("13, 21, 34, 5\n\n### Input:", "wrong"),  # it ended by itself
        ("1, 1, 2, 3, 5, 8, 13, 21, 34", "right"),
        ("13, 21", "wrong"),
        ("13, 20, 33", "wrong"),
        ("9, 10, 11", "wrong"),
        ("8 8 8 8 8 8 8", "garbled"),
        ("", "evasive"),
        ("I cannot continue it.", "evasive"),
        ("...,,,", "garbled"),
        (", ".join(map(str, rest_of([1, 1, 2, 3, 5, 8], "fibonacci") + [7] * 40)), "right"),  # more than are compared
        (" ".join("7" if number % 2 else "8" for number in range(100)), "wrong"),
    ],
)
def test_sequences_are_read_term_by_term(says, outcome):
    assert continues(says, SOURCE["fibonacci"]) == outcome


SEQUENCE_ANSWERS = [
    json.loads(line)
    for line in Path(__file__).with_name("sequence_answers.jsonl").read_text(encoding="utf-8").splitlines()
]
BY_ID = {item.id: item for item in PROBES["sequences"].items}


@pytest.mark.parametrize("row", SEQUENCE_ANSWERS, ids=lambda row: f"{row['item']}-{row['answer'][:24]}")
def test_sequence_is_read_as_a_person_does(row):
    assert continues(row["answer"], BY_ID[row["item"]]) == row["outcome"]


@pytest.mark.parametrize("family", ["sequences", "source003"])
@pytest.mark.parametrize(
    ("says", "cut", "outcome"),
    [
        ("13,21,34,5", True, "right"),  # of 55
        ("13,21,34,5", False, "wrong"),
        ("13,21,34,6", True, "wrong"),
        ("13,21,3", True, "wrong"),  # two terms
        ("13,21,34,5,", True, "wrong"),  # the limit fell behind it
    ],
)
def test_a_last_number_may_be_cut_by_the_limit_of_tokens(family, says, cut, outcome):
    assert PROBES[family].outcome(says, SOURCE["fibonacci"], cut) == outcome


def written(tmp_path, *rows):
    path = tmp_path / "toy.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


FIELDS = {**asdict(ITEM), "choices": ["9.11", "9.9"]}


def test_items_are_read_back(tmp_path):
    assert read_items(written(tmp_path, FIELDS)) == [ITEM]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": "9.8"}, r"answer = '9.8' must be one of at least two choices, which are \['9.11', '9.9'\]"),
        ({"choices": ["9.9"]}, "must be one of at least two choices"),
        ({"choices": "9.9"}, "choices = '9.9' must be texts"),
        ({"choices": ["9.1", "9.11"], "answer": "9.11"}, "'9.1' begins '9.11'"),
        ({"part": "test"}, "part = 'test' must be one of train, held_out"),
        ({"form": "html"}, "form = 'html' must be one of text, chat"),
        ({"prompt": "  "}, "prompt = '  ' must be a text that is not empty"),
        ({"id": 7}, "id = 7 must be a text that is not empty"),
        ({"extra": 1}, "unknown fields extra"),
    ],
)
def test_a_wrong_field_is_refused(tmp_path, change, says):
    with pytest.raises(BadFile, match=says):
        read_items(written(tmp_path, {**FIELDS, **change}))


def test_a_missing_field_is_refused_by_name_and_line(tmp_path):
    with pytest.raises(BadFile, match=r"toy.jsonl, item 2 \(one\): missing answer, part|missing part, answer"):
        read_items(written(tmp_path, FIELDS, {k: v for k, v in FIELDS.items() if k not in ("answer", "part")}))


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_line_that_is_no_object_is_refused(tmp_path, text):
    path = tmp_path / "toy.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadFile, match="toy.jsonl"):
        read_items(path)


def test_two_items_of_one_id_are_refused():
    with pytest.raises(BadFile, match="1 ids stand for several items, as 'one'; rename one"):
        checked_items([ITEM, replace(ITEM, prompt="?")], TOY)


def test_a_language_without_a_parser_is_refused():
    with pytest.raises(BadFile, match="no parser reads 'sw' answers; add one or write it in one of en"):
        checked_items([replace(ITEM, language="sw")], TOY)


def test_an_item_of_another_family_is_refused():
    with pytest.raises(BadFile, match="family = 'other' must be 'toy'"):
        checked_items([replace(ITEM, family="other")], TOY)


def test_a_family_without_items_is_refused():
    with pytest.raises(BadFile, match="no items"):
        checked_items([], TOY)


def test_an_unknown_family_says_what_is_near():
    with pytest.raises(UnknownName, match="did you mean decimals"):
        PROBES["decimal"]


def test_a_language_without_items_is_refused(capsys):
    assert main(["probes", "facts", "--language", "sw"]) == 2
    assert "--language sw: no item in it; the items are in de, en, es, fr, id" in capsys.readouterr().err


def test_probes_are_listed(capsys):
    assert main(["probes"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == PROBES.names()


def test_a_familys_items_are_printed(capsys):
    assert main(["probes", "decimals", "--language", "zh"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(item.language == "zh" for item in ASKED)
    assert all(line.startswith("zh-") for line in lines)
    assert main(["probes", "--language", "zh"]) == 0  # and none of other families is in it
    assert capsys.readouterr().out.splitlines() == lines
