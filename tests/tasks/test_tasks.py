"""Tasks: rows become ids and labels, answers become metrics, and the samples are what they claim to be."""

import json
import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.case import Case
from bench.core.paths import ROOT, SAMPLES
from bench.recipes.of_case import recipe_for
from bench.sources import find_full, load_rows
from bench.tasks import IGNORE, TASKS, BadData, Example, Prepared, alpaca, medqa, pos, responses, support
from bench.tasks.medqa import clean

MIRROR = Path(os.environ.get("LORABENCH_MIRROR") or ROOT.parent / "shared" / "mirror")
RECIPE = replace(recipe_for(Case("toy", "tiny_bert", "lora", "cpu")), max_length=32)
PENN = """
CC CD DT EX FW IN JJ JJR JJS LS MD NN NNS NNP NNPS PDT POS PRP PRP$ RB RBR RBS RP SYM TO UH VB VBD VBG VBN VBP VBZ WDT
WP WP$ WRB . , : ( ) `` '' $ #
"""
WORDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "the": 4, "dog": 5, "play": 6, "##s": 7, "##ful": 8, "##ly": 9}
DOGS = {"words": ["the", "dogs", "plays", "playfully"], "labels": ["DT", "NNS", "VBZ", "RB"]}


def needs_mirror(spec):
    return pytest.mark.skipif(
        find_full(spec, MIRROR) is None, reason=f"needs {spec.hub_id} in {MIRROR}; set LORABENCH_MIRROR"
    )


@pytest.fixture(scope="module")
def encoder_tokenizer():
    """Word pieces between [CLS] and [SEP], as BERT's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(vocab=WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


def without_zero_width(tokenizer):
    """The tokenizer with a normalizer that drops what has no width, as BERT's does."""
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast

    text = json.loads(tokenizer.backend_tokenizer.to_str())
    fresh = type(tokenizer.backend_tokenizer).from_str(json.dumps(text))
    fresh.normalizer = normalizers.BertNormalizer()
    return PreTrainedTokenizerFast(tokenizer_object=fresh, pad_token="[PAD]", unk_token="[UNK]")


@pytest.fixture(scope="module")
def byte_tokenizer():
    """One token a byte, byte b is b + 8; </s> is 2; nothing is put around a text."""
    from bench.sources.tokenizer import byte_tokenizer

    return byte_tokenizer()


@pytest.fixture(scope="module")
def bos_tokenizer():
    """As Llama's: <s> before a text."""
    from tokenizers import processors

    from bench.sources.tokenizer import byte_tokenizer

    tokenizer = byte_tokenizer()
    tokenizer.bos_token = "<s>"
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def sample(name):
    text = (SAMPLES / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def squeezed(text):
    return " ".join(text.lower().split())


def sentence(*tags):
    return {"words": ["the"] * len(tags), "labels": list(tags)}


# --- pos: rows to labels


def test_label_stands_on_each_words_first_piece(encoder_tokenizer):
    prepared = pos.prepare({"train": [DOGS], "test": [DOGS]}, encoder_tokenizer, RECIPE)
    (example,) = prepared.train
    assert prepared.labels == ["DT", "NNS", "RB", "VBZ"]
    assert example.input_ids == [2, 4, 5, 7, 6, 7, 6, 8, 9, 3]
    assert example.labels == [IGNORE, 0, 1, IGNORE, 3, IGNORE, 2, IGNORE, IGNORE, IGNORE]
    assert example.prompt == "the dogs plays playfully"
    assert prepared.truncated_share == 0


@pytest.mark.parametrize(
    ("length", "ids", "labels"),
    [
        (9, [2, 4, 5, 7, 6, 7, 6, 8, 3], [IGNORE, 0, 1, IGNORE, 3, IGNORE, 2, IGNORE, IGNORE]),
        (4, [2, 4, 5, 3], [IGNORE, 0, 1, IGNORE]),
    ],
)
def test_truncation_keeps_the_last_special_token(encoder_tokenizer, length, ids, labels):
    recipe = replace(RECIPE, max_length=length)
    prepared = pos.prepare({"train": [DOGS], "test": [sentence("DT")]}, encoder_tokenizer, recipe)
    assert prepared.train[0].input_ids == ids
    assert prepared.train[0].labels == labels
    assert prepared.truncated_share == 0.5


def test_truncation_without_a_special_token_cuts_the_end(byte_tokenizer):
    recipe = replace(RECIPE, max_length=5)
    prepared = pos.prepare({"train": [DOGS], "test": [DOGS]}, byte_tokenizer, recipe)
    assert prepared.train[0].input_ids == byte_tokenizer("thedogs")["input_ids"][:5]


def rows_of(*pairs):
    return {"all": [{"instruction": asked, "response": told} for asked, told in pairs]}


PAIRS = [(f"Where is parcel {number}?", f"Parcel {number} is on its way.") for number in range(10)]


def test_identity_is_that_of_the_texts_and_not_of_the_tokenizer(byte_tokenizer, bos_tokenizer):
    recipe = replace(RECIPE, max_length=256)
    first, second = (support.prepare(rows_of(*PAIRS), one, recipe) for one in (byte_tokenizer, bos_tokenizer))
    assert first.train[0].input_ids != second.train[0].input_ids
    assert first.identity() == second.identity()


@pytest.mark.parametrize("changed", ["PROMPT", "split", "rows"])
def test_identity_changes_with_wording_split_and_rows(byte_tokenizer, monkeypatch, changed):
    recipe = replace(RECIPE, max_length=256)
    before = support.prepare(rows_of(*PAIRS), byte_tokenizer, recipe).identity()
    pairs = PAIRS
    if changed == "PROMPT":
        monkeypatch.setattr(support, "PROMPT", "Client: {instruction}\nAgent: ")
    elif changed == "split":
        monkeypatch.setattr(responses, "SPLIT_SEED", 1)
    else:
        pairs = [*PAIRS[:-1], (PAIRS[-1][0], "Parcel 9 is lost.")]
    assert support.prepare(rows_of(*pairs), byte_tokenizer, recipe).identity() != before


def test_identity_changes_with_one_tag(encoder_tokenizer):
    rows = {"train": [DOGS], "test": [DOGS]}
    other = {"train": [DOGS], "test": [{**DOGS, "labels": ["DT", "NNS", "RB", "VBZ"]}]}
    assert pos.prepare(rows, encoder_tokenizer, RECIPE).identity() != (
        pos.prepare(other, encoder_tokenizer, RECIPE).identity()
    )


def test_identity_changes_with_the_tag_of_a_held_out_word_that_is_cut(encoder_tokenizer):
    """It counts as wrong in macro_f1, so it is part of what a record stands on; in training it teaches nothing."""
    recipe = replace(RECIPE, max_length=4)  # of DOGS the first two words
    other = {**DOGS, "labels": [*DOGS["labels"][:3], "DT"]}

    def identity(train, test):
        return pos.prepare({"train": [DOGS, train], "test": [test]}, encoder_tokenizer, recipe).identity()

    assert identity(DOGS, other) != identity(DOGS, DOGS)
    assert identity(other, DOGS) == identity(DOGS, DOGS)


def test_lists_written_as_text_are_read(encoder_tokenizer):
    row = {"words": "['the', \"dog's\", '[']", "labels": "['DT', 'NN', '(']"}
    assert pos.check_rows([row], "train") == [(["the", "dog's", "["], ["DT", "NN", "("], "train row 1")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"words": ["a", "b"], "labels": ["DT"]}, "train row 2: 2 words but 1 labels; there must be one label a word"),
        ({"words": [], "labels": []}, "train row 2: empty; remove it"),
        ({"words": "the dog", "labels": ["DT", "NN"]}, "train row 2, words: 'the dog' is no list of words"),
        ({"words": "{'a'}", "labels": ["DT"]}, "train row 2, words: expected a list of words, saw set"),
        ({"words": None, "labels": ["DT"]}, "train row 2, words: expected a list of words, saw NoneType"),
        ({"words": ["a", 3], "labels": ["DT", "CD"]}, "train row 2, words: expected a list of words, saw list"),
        (
            {"words": ["a"], "labels": "__import__('os')"},
            "train row 2, labels: \"__import__('os')\" is no list of words",
        ),
        (
            {"words": [""], "labels": ["DT"]},
            "train row 2: word 1 is '' with the label 'DT'; remove both, or fill them",
        ),
        (
            {"words": "['']", "labels": "['DT']"},
            "train row 2: word 1 is '' with the label 'DT'; remove both, or fill them",
        ),
        (
            {"words": ["the", "dog"], "labels": ["DT", " "]},
            "train row 2: word 2 is 'dog' with the label ' '; remove both, or fill them",
        ),
    ],
)
def test_wrong_row_is_named(row, says):
    with pytest.raises(BadData) as raised:
        pos.check_rows([DOGS, row], "train")
    assert str(raised.value) == says


def test_label_that_no_training_row_has_is_named(encoder_tokenizer):
    rows = {"train": [DOGS], "test": [sentence("DT", "UH", "UH", "FW")]}
    with pytest.raises(BadData, match=r"no training row has: UH \(2 tokens\), FW \(1 tokens\); add training rows"):
        pos.prepare(rows, encoder_tokenizer, RECIPE)


def test_each_fifth_sentence_of_the_sample_is_held_out():
    train, held_out = pos.split_sample([pos.Sentence([str(number)], ["DT"], "") for number in range(10)])
    assert [sentence.words for sentence in held_out] == [["0"], ["5"]]
    assert len(train) == 8


def test_rare_tags_stay_in_the_training_part():
    """UH is in four sentences, one of them a fifth one; FW in five, which is enough."""
    sentences = [sentence("DT") for _ in range(20)]
    sentences[0] = sentence("DT", "UH", "UH")
    sentences[1:4] = [sentence("UH")] * 3
    sentences[5:10] = [sentence("FW")] * 5
    train, held_out = pos.split_sample(pos.check_rows(sentences, "sample"))
    assert "UH" not in {tag for sentence in held_out for tag in sentence.tags}
    assert "FW" in {tag for sentence in held_out for tag in sentence.tags}
    assert (len(train), len(held_out)) == (17, 3)


ZERO_WIDTH = "\u200b"


@pytest.mark.parametrize("part", ["train", "test"])
def test_row_without_a_token_is_named(encoder_tokenizer, part):
    nothing = {"words": [ZERO_WIDTH], "labels": ["DT"]}
    rows = {"train": [DOGS], "test": [DOGS]}
    rows[part] = [DOGS, nothing]
    says = rf"^{part} row 2: none of its words, \['\\u200b'\], becomes a token within max_length = 32; remove the row$"
    with pytest.raises(BadData, match=says):
        pos.prepare(rows, without_zero_width(encoder_tokenizer), RECIPE)


def test_words_without_a_token_are_counted_and_told(encoder_tokenizer):
    odd = {"words": ["the", ZERO_WIDTH, "dog"], "labels": ["DT", "RB", "NNS"]}
    prepared = pos.prepare({"train": [DOGS, odd], "test": [odd, DOGS]}, without_zero_width(encoder_tokenizer), RECIPE)
    assert [example.unscored for example in prepared.held_out] == [[prepared.labels.index("RB")], []]
    assert prepared.reasons == [
        "1 held-out words become no token, or are cut off by max_length = 32; they count as wrong in f1, accuracy and "
        "macro_f1",
        "1 training words become no token, or are cut off by max_length = 32; they teach nothing",
    ]


def test_words_that_are_cut_off_are_counted(encoder_tokenizer):
    prepared = pos.prepare({"train": [DOGS], "test": [DOGS]}, encoder_tokenizer, replace(RECIPE, max_length=4))
    assert [prepared.labels[label] for label in prepared.held_out[0].unscored] == ["VBZ", "RB"]
    assert prepared.reasons[0].startswith("2 held-out words become no token, or are cut off by max_length = 4")


def test_rows_that_are_whole_need_no_reason(encoder_tokenizer):
    assert pos.prepare({"train": [DOGS], "test": [DOGS]}, encoder_tokenizer, RECIPE).reasons == []


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"train": [DOGS], "test": []}, "no row is held out: the test part is empty; add rows"),
        ({"train": [], "test": [DOGS]}, "no row is left to train on; add rows"),
        ({"all": [DOGS]}, "no row is held out: of the sample each row of 5 is, unless one of its tags"),
    ],
)
def test_part_without_a_row_is_named(encoder_tokenizer, rows, says):
    with pytest.raises(BadData, match=f"^{says}"):
        pos.prepare(rows, encoder_tokenizer, RECIPE)


def test_limits_of_the_recipe_hold(encoder_tokenizer):
    recipe = replace(RECIPE, train_examples=3, evaluation_examples=2)
    prepared = pos.prepare({"train": [DOGS] * 9, "test": [DOGS] * 9}, encoder_tokenizer, recipe)
    assert (len(prepared.train), len(prepared.held_out)) == (3, 2)
    assert [example.key for example in prepared.held_out] == ["test-0", "test-1"]


# --- pos: predictions to metrics


@pytest.fixture(scope="module")
def scored():
    """DT NN NN VBZ, of which the second NN is taken for JJ, and VBZ alone, which is right."""
    names = ["DT", "JJ", "NN", "VBZ"]
    held_out = [Example("test-0", [2, 4, 4, 4, 4, 3], [IGNORE, 0, 2, 2, 3, IGNORE]), Example("test-1", [4], [3])]
    outcomes = [{"predicted": [0, 2, 1, 3], "loss": 4.0, "tokens": 4}, {"predicted": [3], "loss": 0.5, "tokens": 1}]
    return pos.score(Prepared([], held_out, names), outcomes)


def test_neighbouring_equal_tags_are_one_span(scored):
    """4 gold spans (the two NN are one), 5 predicted, 3 right: all of them below the accuracy."""
    seqeval = {name: value for name, value in scored.quality.items() if name.startswith("seqeval")}
    assert seqeval == pytest.approx({"seqeval_precision": 3 / 5, "seqeval_recall": 3 / 4, "seqeval_f1": 2 / 3})
    assert scored.quality["accuracy"] == pytest.approx(4 / 5)


def swapped(*pairs):
    """A score of rows of tags, each of which is taken for another."""
    names = sorted({tag for pair in pairs for row in pair for tag in row.split()})
    held_out = [Example("", [], [names.index(tag) for tag in gold.split()]) for gold, _ in pairs]
    told = [{"predicted": [names.index(tag) for tag in taken.split()], "loss": 1.0} for _, taken in pairs]
    return pos.score(Prepared([], held_out, names), told).quality


@pytest.mark.parametrize(
    ("gold", "taken"), [("NN IN", "IN NN"), ("VB RB", "RB VB"), ("CD MD", "MD CD"), ("WP RP", "RP WP"), (", .", ". ,")]
)
def test_f1_sees_a_confusion_of_tags_that_differ_in_their_first_character(gold, taken):
    """seqeval's F1 on bare tags does not: to it both are of one type, or of none."""
    quality = swapped((gold, taken), ("DT", "DT"))
    assert quality["seqeval_f1"] == 1.0
    assert quality["f1"] == quality["accuracy"] == 1 / 3


@pytest.mark.parametrize("tags", ["DT X", "X", ". , : #", "-LRB- -NONE- -RRB-", "O EX SYM B I E S"])
def test_f1_of_right_tags_is_one_whatever_they_are_called(tags):
    assert swapped((tags, tags))["f1"] == 1.0


def test_f1_is_the_accuracy_of_the_words():
    """Even where a tag is O, which seqeval takes for no span."""
    order = random.Random(0)
    names = ["O", "NN", "IN", "-LRB-", ".", "_", "VBZ"]
    rows = [[" ".join(order.choices(names, k=9)) for _ in range(2)] for _ in range(40)]
    quality = swapped(*rows)
    assert quality["f1"] == pytest.approx(quality["accuracy"], abs=1e-12)
    assert 0 < quality["f1"] < 1


def test_macro_f1_is_the_mean_over_the_tags_that_occur(scored):
    """DT 1, NN 2/3, VBZ 1; JJ does not occur."""
    assert scored.quality["macro_f1"] == pytest.approx((1 + 2 / 3 + 1) / 3)


def test_loss_is_a_mean_over_tokens_and_not_over_sentences(scored):
    assert scored.quality["loss"] == pytest.approx(4.5 / 5)


def test_confusion_counts_gold_by_row(scored):
    assert scored.tables["confusion"] == {
        "labels": ["DT", "JJ", "NN", "VBZ"],
        "counts": [[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 2]],
    }


def test_each_sentence_has_a_row(scored):
    assert scored.examples[0] == {"key": "test-0", "gold": [0, 2, 2, 3], "predicted": [0, 2, 1, 3], "loss": 4.0}


def test_word_without_a_prediction_is_wrong():
    """DT and NN are right, a second NN has no token: 2 of 3; NN has a recall of 1/2."""
    prepared = Prepared([], [Example("test-0", [4, 5], [0, 1], unscored=[1])], ["DT", "NN"])
    found = pos.score(prepared, [{"predicted": [0, 1], "loss": 3.0}])
    assert found.quality["f1"] == found.quality["accuracy"] == pytest.approx(2 / 3)
    assert found.quality["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert found.quality["seqeval_f1"] == 1.0
    assert found.quality["loss"] == 3.0 / 2
    assert found.examples[0]["unscored"] == [1]


@pytest.mark.parametrize("words", range(1, 40))
def test_f1_is_accuracy_to_the_bit(words):
    """seqeval and scikit-learn give 0.8000000000000002 for 4 of 5."""
    prepared = Prepared([], [Example("test-0", [4] * words, [0] * words)], ["DT", "NN"])
    for right in range(words + 1):
        outcome = {"predicted": [0] * right + [1] * (words - right), "loss": 1.0}
        quality = pos.score(prepared, [outcome]).quality
        assert quality["f1"] == quality["accuracy"] == right / words


def test_spans_of_known_numbers():
    """Gold DT | NN NN | VB, predicted DT | NN | JJ | VB: 2 of 4 predicted are right, 2 of 3 are found."""
    found = pos.bare_spans([["DT", "NN", "NN", "VB"]], [["DT", "NN", "JJ", "VB"]])
    assert found == pytest.approx({"seqeval_precision": 1 / 2, "seqeval_recall": 2 / 3, "seqeval_f1": 4 / 7})


def test_perfect_tags_are_perfect_spans():
    tags = [["DT", "NN", "NN", ".", "IN", "IN", "EX", "SYM", "``"]]
    assert set(pos.bare_spans(tags, tags).values()) == {1.0}


# --- prompt and response


def test_loss_counts_the_answer_and_its_end_alone(byte_tokenizer):
    (example,), cut, dropped = responses.encode([("test-0", "ab", "cd")], byte_tokenizer, RECIPE)
    a, b, c, d = byte_tokenizer("abcd")["input_ids"]
    assert example.input_ids == [a, b, c, d, byte_tokenizer.eos_token_id]
    assert example.labels == [IGNORE, IGNORE, c, d, byte_tokenizer.eos_token_id]
    assert (cut, dropped) == (0, 0)


def test_beginning_of_sequence_stands_once_and_is_not_scored(bos_tokenizer):
    (example,), _, _ = responses.encode([("test-0", "ab", "cd")], bos_tokenizer, RECIPE)
    assert example.input_ids.count(1) == 1
    assert example.input_ids[0] == 1
    assert example.labels[:3] == [IGNORE] * 3
    assert example.labels[-1] == bos_tokenizer.eos_token_id


def test_answer_that_is_cut_has_no_end(byte_tokenizer):
    recipe = replace(RECIPE, max_length=4)
    (example,), cut, dropped = responses.encode([("test-0", "ab", "cd")], byte_tokenizer, recipe)
    assert len(example) == 4
    assert example.labels == [IGNORE, IGNORE, *byte_tokenizer("cd")["input_ids"]]
    assert (cut, dropped) == (1, 0)


def test_share_of_cut_examples_is_told(byte_tokenizer):
    train = [(f"train-{number}", "ab", "c" * number) for number in range(1, 8)]
    prepared = responses.prepare_pairs(train, [("test-0", "ab", "c")], byte_tokenizer, replace(RECIPE, max_length=8))
    assert prepared.truncated_share == pytest.approx(2 / 8)
    assert prepared.reasons == []


def test_prompts_without_room_for_an_answer_are_dropped_and_told(byte_tokenizer):
    train = [("train-0", "ab", "c"), ("train-1", "abcdefgh", "c"), ("train-2", "abcdefghi", "c")]
    prepared = responses.prepare_pairs(train, [("test-0", "ab", "c")], byte_tokenizer, replace(RECIPE, max_length=8))
    assert [example.key for example in prepared.train] == ["train-0"]
    assert prepared.reasons == ["2 examples dropped: their prompt alone fills max_length = 8"]


def test_no_room_for_any_answer_is_an_error(byte_tokenizer, monkeypatch):
    rows = [("train-0", "abcd", "e")]
    says = "no example is left: every prompt fills max_length = 4; raise it"
    with pytest.raises(BadData, match=rf"^{says}, or let .* it is split into bytes, .* tokenizer_stand_in .* a mirror"):
        responses.prepare_pairs(rows, rows, byte_tokenizer, replace(RECIPE, max_length=4))
    monkeypatch.setattr(byte_tokenizer, "name_or_path", "a model's own")
    with pytest.raises(BadData, match=f"^{says}$"):
        responses.prepare_pairs(rows, rows, byte_tokenizer, replace(RECIPE, max_length=4))


def test_a_part_of_no_name_is_refused(byte_tokenizer):
    row = {"id": "a", "part": "test", "form": "text", "prompt": "1 or 2?", "answer": "2"}
    with pytest.raises(BadData, match="train row 2: part = 'test' must be one of train, held_out"):
        TASKS["numbers"].run({"train": [{**row, "part": "train"}, row]}, byte_tokenizer, RECIPE)


RESPONSE_TASKS = ["alpaca", "medqa", "numbers", "support"]


def full_row(task, number=0, **changes):
    """A row of the task's columns, each with a text."""
    return (
        {column: f"{column} {number}" for column in TASKS[task].data.columns}
        | {"part": "train", "form": "text"}
        | changes
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "is empty; remove the row or fill it"),
        ("  \n", "is empty; remove the row or fill it"),
        (None, "is empty; remove the row or fill it"),
        (3, "must be text, not int; correct the row"),
        ([], "must be text, not list; correct the row"),
    ],
)
@pytest.mark.parametrize(("split", "name"), [("all", "sample"), ("train", "train")])
@pytest.mark.parametrize("task", RESPONSE_TASKS)
def test_column_without_text_is_named(byte_tokenizer, task, split, name, value, says):
    column = {"alpaca": "output", "medqa": "Answer", "numbers": "answer", "support": "response"}[task]
    rows = [full_row(task), full_row(task, 1, **{column: value})]
    with pytest.raises(BadData, match=f"^{name} row 2: {column} {says}$"):
        TASKS[task].run({split: rows}, byte_tokenizer, RECIPE)


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("task", RESPONSE_TASKS)
def test_too_few_rows_to_hold_some_out_are_one_sentence(byte_tokenizer, task, rows):
    """Five rows of one group each, or of the training part alone."""
    same = {"Question": "a", "instruction": "a"}
    given = [full_row(task, number) for number in range(rows)]
    with pytest.raises(
        BadData, match=r"^(no row is (held out|to train on)|\d rows with \d values of .* too few).*; add rows"
    ):
        TASKS[task].run(
            {"all": [row | {k: v for k, v in same.items() if k in row} for row in given]}, byte_tokenizer, RECIPE
        )


@pytest.mark.parametrize("column", ["Question", "Answer"])
def test_text_that_cleaning_empties_is_named(byte_tokenizer, column):
    rows = [full_row("medqa", number) for number in range(9)]
    rows[4][column] = "https://a.org/x?y=1"
    with pytest.raises(
        BadData, match=f"^sample row 5: {column} 'https://a.org/x.y=1' is empty once .*; remove the row"
    ):
        medqa.prepare({"all": rows}, byte_tokenizer, RECIPE)


def test_prompt_that_becomes_no_token_is_named(byte_tokenizer):
    with pytest.raises(BadData, match="^test-0: its prompt '' becomes no token; remove the row$"):
        responses.encode([("test-0", "", "cd")], byte_tokenizer, RECIPE)


def test_responses_are_scored_by_token():
    held_out = [Example("test-0", [1], [1], "p", "a"), Example("test-1", [1], [1], "q", "b")]
    outcomes = [
        {"loss": 6.0, "tokens": 3, "correct": 1},
        {"loss": 1.0, "tokens": 1, "correct": 1},
    ]
    score = responses.score_responses(Prepared([], held_out), outcomes)
    assert score.quality == {"loss": 7 / 4, "token_accuracy": 2 / 4}
    assert score.tables == {}
    assert [row["key"] for row in score.examples] == ["test-0", "test-1"]


# --- the split


def texts(rows, column):
    return {responses.normalise(row[column]) for row in rows}


def test_same_text_is_never_in_both_parts():
    rows = [{"q": text, "n": number} for number in range(3) for text in ("A b", "a  B?", "c", "d.", "D", "e", "f", "g")]
    train, held_out = responses.split_by_group(rows, "q")
    assert texts(train, "q") & texts(held_out, "q") == set()
    assert len(train) + len(held_out) == len(rows)


def test_split_belongs_to_the_rows_and_not_to_their_order():
    rows = [{"q": f"question {number}"} for number in range(50)]
    train, held_out = responses.split_by_group(rows, "q")
    again, held_out_again = responses.split_by_group(rows[::-1], "q")
    assert (texts(train, "q"), texts(held_out, "q")) == (texts(again, "q"), texts(held_out_again, "q"))
    assert len(held_out) == 5


def test_too_few_rows_to_hold_some_out_is_an_error():
    with pytest.raises(BadData, match="2 rows with 1 values of 'q' are too few to hold some out"):
        responses.split_by_group([{"q": "a"}, {"q": "a"}], "q")


def test_kept_rows_of_a_large_held_out_part_are_spread_over_the_file():
    rows = [{"q": f"{number:05}"} for number in range(20_000)]
    _, held_out = responses.split_by_group(rows, "q")
    thirds = Counter(int(row["q"]) // 6_667 for row in held_out)
    assert len(held_out) == responses.HELD_OUT_LIMIT
    assert min(thirds.values()) > 100


PAIRED = [(support, "instruction"), (medqa, "Question"), (alpaca, "instruction")]


@pytest.mark.parametrize(("task", "column"), PAIRED)
def test_no_text_of_the_sample_is_in_both_parts(task, column):
    rows = load_rows(task.DATA, "sample", None).splits["all"]
    train, held_out = responses.split_by_group(rows, column)
    assert texts(train, column) & texts(held_out, column) == set()


@pytest.mark.parametrize(("task", "column"), [pytest.param(*pair, marks=needs_mirror(pair[0].DATA)) for pair in PAIRED])
def test_no_text_of_the_mirror_is_in_both_parts(task, column):
    rows = load_rows(task.DATA, "full", MIRROR).splits["train"]
    train, held_out = responses.split_by_group(rows, column)
    assert texts(train, column) & texts(held_out, column) == set()
    assert len(held_out) == responses.HELD_OUT_LIMIT


# --- prompts


def test_alpaca_prompt_is_source_003s():
    """Its Fig. 5, word for word."""
    row = {"instruction": "Continue the fibonacci sequence.", "input": "1, 1, 2, 3, 5, 8", "output": "13, 21"}
    assert alpaca.pairs([row], "train") == [
        (
            "train-0",
            "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
            "response that appropriately completes the request.\n\n### Instruction:\nContinue the fibonacci sequence.\n\n"
            "### Input:\n1, 1, 2, 3, 5, 8\n\n### Response:\n",
            "13, 21",
        )
    ]


@pytest.mark.parametrize("empty", ["", None])
def test_alpaca_prompt_keeps_the_part_of_an_empty_input(empty):
    (_, prompt, _), *_ = alpaca.pairs([{"instruction": "Rest.", "input": empty, "output": "Yes."}], "train")
    assert prompt.endswith("### Instruction:\nRest.\n\n### Input:\n\n\n### Response:\n")


def test_braces_in_a_text_are_text():
    rows = [{"instruction": "cancel {{Order Number}}", "response": "{0}", "input": "{x}", "output": "y"}]
    assert support.pairs(rows, "train") == [("train-0", "Customer: cancel {{Order Number}}\nAgent: ", "{0}")]
    assert "### Input:\n{x}\n" in alpaca.pairs(rows, "train")[0][1]


def test_medqa_cleans_question_and_answer():
    rows = [{"Question": "What is <b>flu</b>?", "Answer": "A virus. #flu"}]
    assert medqa.pairs(medqa.clean_rows(rows, "test"), "test") == [
        ("test-0", "Question: What is flu?\nAnswer: ", "A virus.")
    ]


# --- cleaning

RESIDUES = {
    "tags": ("<p>Rest.<br/>Drink.</p>", "Rest. Drink."),
    "tag with attributes": ("see <a class='x' href=\"y\">this</a> page", "see this page"),
    "escaped tag": ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
    "comment": ("a <!-- hidden\n<b> --> b", "a b"),
    "source 000's table": (
        '<p><i>Glaucoma can damage the nerve.</i><a href="http://www.deschoppe.com">http://www.deschoppe.com</a></p>',
        "Glaucoma can damage the nerve.",
    ),
    "entities": ("fish &amp; chips &#39;n&#39; salt&nbsp;water", "fish & chips 'n' salt water"),
    "URL in the middle": ("See https://a.org/x?y=1&z=2#top for more.", "See for more."),
    "URL at the end": ("Visit www.nih.gov.", "Visit."),
    "URL in parentheses": ("The guide (https://a.org/x) helps.", "The guide helps."),
    "URL in brackets": ("The guide [www.a.org] helps.", "The guide helps."),
    "URL with parentheses": ("The guide (https://a.org/A_(b)) helps.", "The guide helps."),
    "URL in capitals": ("HTTP://A.ORG/X now", "now"),
    "hashtag": ("Wash. #foodsafety #Flu2024", "Wash."),
    "emoticons": ("Good :-) or :) or ;-) or :D or :( or :-/ or xD or ^_^ news", "Good or or or or or or or news"),
    "emoji": ("Fine 🙂 then 👨‍👩‍👧 and ☀️.", "Fine then and."),
    "white space": ("a \n\n b\t\tc\u00a0 d", "a b c d"),
    "space before a mark": ("Hi , there .", "Hi, there."),
}  # fmt: skip
KEPT = {
    "comparison": "pressure < 120",
    "comparison without spaces": "pressure<120 and age>40",
    "comparisons around words": "x <y and z> 3",
    "comparison with three": "a dose <3 mg, or a count of <3.",
    "rank": "the #1 cause",
    "language": "C# and F#",
    "colon between letters": "a:b and T:P",
    "time": "at 10:30 or 8:30 pm",
    "ratio": "3:1, 2 :3 and n =3",
    "list": "1) wash 8) dry x) rest",
    "parenthesis": "herpesvirus-8 (HHV-8) and (type X)",
    "eighty-three": "an 83% risk",
    "chromosome": "8p and 8p23, XP and XPD",
    "number and mark": "R* and X*",
    "address without scheme": "nih.gov and a@b.org",
    "slashes": "and/or 5/8 km/h",
    "punctuation and numbers": "33.6% (12.4 million) -- what's more: 65+!",
    "other scripts": "ä 漢字 العربية",
    "empty": "",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), RESIDUES.values(), ids=RESIDUES)
def test_residue_is_removed(before, after):
    assert clean(before) == after


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_says_something_stays(text):
    assert clean(text) == text


@pytest.mark.parametrize(("before", "after"), RESIDUES.values(), ids=RESIDUES)
def test_cleaning_twice_is_cleaning_once(before, after):
    assert clean(clean(before)) == after


@pytest.mark.parametrize(
    "text", ["<" * 20_000, "www." * 5_000, "<a b=" * 5_000, "http://" + "(" * 20_000, ":" * 20_000]
)
def test_cleaning_hostile_text_ends(text):
    assert len(clean(text)) <= len(text)


def test_sample_has_residues_and_cleaning_leaves_no_empty_text():
    rows = sample("medqa.jsonl")
    changed = [row for row in rows if clean(row["Answer"]) != row["Answer"]]
    assert len(changed) >= 10
    assert all(clean(row[column]) for row in rows for column in ("Question", "Answer"))


# --- the samples


@pytest.mark.parametrize(
    ("task", "asked", "least"),
    [
        ("pos", ("words",), 400),
        ("support", ("instruction",), 150),
        ("medqa", ("Question",), 100),
        ("alpaca", ("instruction", "input"), 120),
    ],
)
def test_sample_is_large_enough_and_asks_nothing_twice(task, asked, least):
    rows = [row for name in TASKS[task].data.samples for row in sample(name)]
    assert len(rows) >= least
    assert len({squeezed(" ".join(str(row[column]) for column in asked)) for row in rows}) == len(rows)


def test_support_has_at_least_ten_intents():
    assert len({row["intent"] for row in sample("support.jsonl")}) >= 10


@pytest.mark.parametrize("name", ["pos_news.jsonl", "pos_everyday.jsonl"])
def test_sample_has_penn_tags_alone_and_one_a_word(name):
    rows = sample(name)
    assert {tag for row in rows for tag in row["labels"]} <= set(PENN.split())
    assert [row for row in rows if len(row["words"]) != len(row["labels"])] == []
    assert [row for row in rows if not all(word and word == word.strip() for word in row["words"])] == []


def test_sample_has_most_penn_tags():
    tags = {tag for name in TASKS["pos"].data.samples for row in sample(name) for tag in row["labels"]}
    assert len(tags) >= 36


@pytest.mark.parametrize(
    "name", ["alpaca.jsonl", "medqa.jsonl", "pos_everyday.jsonl", "pos_news.jsonl", "support.jsonl"]
)
def test_sample_file_is_a_tasks(name):
    assert [task.name for task in TASKS if name in task.data.samples]


@needs_mirror(pos.DATA)
def test_pos_sample_is_not_the_hubs():
    full = load_rows(pos.DATA, "full", MIRROR).splits
    theirs = {" ".join(sentence.words).lower() for split in full for sentence in pos.check_rows(full[split], split)}
    ours = {" ".join(row["words"]).lower() for name in pos.DATA.samples for row in sample(name)}
    assert ours & theirs == set()


@pytest.mark.parametrize(
    ("task", "columns"),
    [
        pytest.param(support, ("instruction", "response"), marks=needs_mirror(support.DATA)),
        pytest.param(medqa, ("Question", "Answer"), marks=needs_mirror(medqa.DATA)),
        pytest.param(alpaca, ("output",), marks=needs_mirror(alpaca.DATA)),
    ],
)
def test_sample_is_not_the_hubs(task, columns):
    full = load_rows(task.DATA, "full", MIRROR).splits["train"]
    theirs = {squeezed(row[column] or "") for row in full for column in columns}
    ours = {squeezed(row[column]) for name in task.DATA.samples for row in sample(name) for column in columns}
    assert ours & theirs == set()


@needs_mirror(medqa.DATA)
def test_cleaning_the_hubs_rows_leaves_none_empty():
    rows = load_rows(medqa.DATA, "full", MIRROR).splits["train"]
    assert len(medqa.clean_rows(rows, "train")) == len(rows)


@needs_mirror(pos.DATA)
def test_tagging_the_hubs_test_part_needs_no_label_that_training_lacks():
    full = load_rows(pos.DATA, "full", MIRROR).splits
    seen = {tag for sentence in pos.check_rows(full["train"], "train") for tag in sentence.tags}
    assert {tag for sentence in pos.check_rows(full["test"], "test") for tag in sentence.tags} <= seen
