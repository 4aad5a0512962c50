"""A person's own data as a task: its columns, its split, and one sentence for everything that can be wrong."""

import json
from types import SimpleNamespace

import pytest

from bench.core.files import BadFile
from bench.models import DECODER, ENCODER
from bench.sources.data import load_rows
from bench.sources.tokenizer import byte_tokenizer
from bench.tasks import BadData
from bench.tasks.own import own_task

TICKETS = [{"question": f"What about order {n}, placed in week {n * 3}?", "answer": f"Order {n} is on its way.", "more": n}
           for n in range(40)]  # fmt: skip
TAGGED = [{"tokens": ["Anna", f"paid{n}", f"{n}"], "tags": [1, 2, n % 3]} for n in range(40)]
RECIPE = SimpleNamespace(max_length=512, train_examples=0, evaluation_examples=0)
PAIRS = {"instruction": "question", "response": "answer"}
TAGS = {"words": "tokens", "labels": "tags"}


@pytest.fixture
def write(tmp_path):
    def write(rows, name="rows.jsonl"):
        path = tmp_path / name
        if name.endswith(".parquet"):
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


def prepared(task, tokenizer):
    return task.run(load_rows(task.data, "sample", None).splits, tokenizer, RECIPE)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_prompts_and_responses(name, write, tokenizer):
    task = own_task("tickets", {"data": write(TICKETS, name), **PAIRS, "prompt": "Q{more}: {question}\nA: "}, "t")
    found = prepared(task, tokenizer)
    assert task.kind == DECODER
    assert (len(found.train), len(found.held_out)) == (36, 4)
    by_prompt = {f"Q{row['more']}: {row['question']}\nA: ": row["answer"] for row in TICKETS}
    assert {example.prompt: example.answer for example in [*found.train, *found.held_out]} == by_prompt


def test_words_and_labels_of_any_kind(write, tokenizer):
    task = own_task("entities", {"data": write(TAGGED), **TAGS}, "t")
    found = prepared(task, tokenizer)
    assert task.kind == ENCODER
    assert found.labels == ["0", "1", "2"]
    assert (len(found.train), len(found.held_out)) == (36, 4)


def test_columns_with_the_usual_names_need_not_be_named(write):
    rows = [{"instruction": row["question"], "response": row["answer"]} for row in TICKETS]
    assert own_task("tickets", {"data": write(rows)}, "t").data.columns == ("instruction", "response")
    rows = [{"words": row["tokens"], "labels": row["tags"]} for row in TAGGED]
    assert own_task("tickets", {"data": write(rows)}, "t").data.columns == ("words", "labels")


def test_held_out_rows_of_their_own_that_leak_are_left_out(write, tokenizer):
    held_out = [{**TICKETS[0], "question": TICKETS[0]["question"].upper()}, {**TICKETS[1], "question": "Who are you?"}]
    table = {"data": write(TICKETS), "held_out": write(held_out, "test.jsonl"), **PAIRS}
    found = prepared(own_task("tickets", table, "t"), tokenizer)
    assert [example.prompt for example in found.held_out] == ["Who are you?\n"]
    assert found.reasons == ["1 held-out rows left out, nearly a training row's text"]


def test_rows_that_are_all_alike_cannot_be_split(write, tokenizer):
    task = own_task("tickets", {"data": write([TICKETS[0]] * 40), **PAIRS}, "t")
    with pytest.raises(BadData, match="40 rows are too few or too alike to hold some out: .* name others as held_out"):
        prepared(task, tokenizer)


LONG = "Below is a task, paired with an input that gives it context; write a response that completes the task politely"


@pytest.mark.parametrize("prompt", ["{task}\n{input}\n", LONG + "\n{input}\n"])
def test_one_instruction_with_different_inputs_can_be_split(prompt, write, tokenizer):
    """What all rows share says nothing of whether two of them are alike."""
    rows = [{**row, "task": LONG, "input": row["question"]} for row in TICKETS]
    task = own_task("t", {"data": write(rows), "instruction": "task", "response": "answer", "prompt": prompt}, "t")
    found = prepared(task, tokenizer)
    assert (len(found.train), len(found.held_out)) == (36, 4)


def test_prompts_that_are_the_same_stay_together_whatever_else_differs(write, tokenizer):
    rows = [{**row, "question": f"Question {number}?", "context": f"a context {number % 20}"}
            for number, row in enumerate(TICKETS)]  # fmt: skip
    task = own_task("t", {"data": write(rows), **PAIRS, "prompt": "{context}"}, "t")
    found = prepared(task, tokenizer)
    assert not {one.prompt for one in found.train} & {one.prompt for one in found.held_out}


def test_an_empty_answer_is_named_by_its_row(write, tokenizer):
    task = own_task("tickets", {"data": write([*TICKETS, {"question": "Why?", "answer": " "}]), **PAIRS}, "t")
    with pytest.raises(BadData, match="train row 41: answer is empty; remove the row or fill it"):
        prepared(task, tokenizer)


def test_a_data_set_of_the_hub_is_not_a_paper_size_run():
    task = own_task("questions", {"data": "owner/name", "split": "train", "held_out": "test", **PAIRS}, "t")
    assert (task.data.hub_id, task.data.splits, task.data.revision) == ("owner/name", ("train", "test"), "main")
    assert not task.data.paper_size


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({**PAIRS, "instruction": "qestion"}, "t: the data has no column 'qestion'; did you mean question?"),
        ({**TAGS}, "t: the data has no column 'tokens'; did you mean question, answer, more?"),
        ({}, "t: name the columns by instruction and response, or by words and labels; the data has question, answer, more"),
        ({"instruction": "question"}, "t: response is missing: the column of what is to be answered; the data has question, answer, more"),
        ({**PAIRS, "words": "question"}, "t: instruction and words are of different tasks; name instruction and response"),
        ({**TAGS, "prompt": "{question}"}, "t: words and prompt are of different tasks; name words and labels"),
        ({**PAIRS, "respons": "answer"}, "t: no key 'respons'; did you mean response?"),
        ({**PAIRS, "says": 3}, "t: says = 3 must be text: a sentence for python -m bench list"),
        ({**PAIRS, "metric": "f1"}, "t: metric = 'f1' must be one of loss, token_accuracy"),
        ({**PAIRS, "prompt": "{qestion}"}, "t: the data has no column 'qestion'; did you mean question?"),
        ({**PAIRS, "prompt": "{question"}, "t: prompt = '{question': expected '}' before end of string; a brace that is text is written twice"),
        ({**PAIRS, "prompt": "Why?"}, "t: prompt = 'Why?' must name a column in braces, as {question}"),
        ({**PAIRS, "split": "train"}, "t: split is for a data set of the Hub, and data is a file; remove it"),
        ({**PAIRS, "data": "rows.csv"}, "t: data = 'rows.csv' must end in one of .jsonl, .json, .ndjson, .parquet, or be a data set of the Hub as owner/name"),
        ({"data": "owner/name"}, "t: name the columns by instruction and response, or by words and labels"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_key_and_what_is_near(table, says, write):
    with pytest.raises(BadFile) as caught:
        own_task("tickets", {"data": write(TICKETS), **table}, "t")
    assert str(caught.value) == says


def test_a_file_that_is_not_there_says_which_is_near(write):
    path = write(TICKETS)
    with pytest.raises(BadFile) as caught:
        own_task("tickets", {"data": path.replace("rows", "row"), **PAIRS}, "t")
    assert str(caught.value).endswith("row.jsonl': there is no such file; did you mean rows.jsonl?")


def test_a_name_that_no_case_id_can_have_is_refused(write):
    with pytest.raises(BadFile, match="the name 'My-Tickets' must be lower-case words joined by '_'"):
        own_task("My-Tickets", {"data": write(TICKETS), **PAIRS}, "t")


def test_a_broken_first_row_is_said_at_once(write, tmp_path):
    (tmp_path / "broken.jsonl").write_text("[1]\n", encoding="utf-8")
    with pytest.raises(BadFile, match=r"broken\.jsonl:1: a JSON list, expected an object"):
        own_task("tickets", {"data": str(tmp_path / "broken.jsonl"), **PAIRS}, "t")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadFile, match=r"rows\.parquet: not a whole parquet file"):
        own_task("tickets", {"data": str(tmp_path / "rows.parquet"), **PAIRS}, "t")
