"""lm-evaluation-harness beside our own asking, on a tiny model."""

import pytest
from tiny_trainees import tiny_trainee

from bench import lm_evaluation
from bench.asking import ask, reading_only
from bench.lm_evaluation import TASKS_FOLDER, check_names, evaluate
from bench.probes import OWN, PROBES, TEXT
from bench.probes.export import LM_EVAL_FAMILIES
from bench.registry import UnknownName
from bench.sources.hub import Answer
from bench.tokenizers import byte_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # lm-eval's imports warn of what is not ours


@pytest.mark.parametrize("family", LM_EVAL_FAMILIES)
def test_accuracy_is_ours_on_the_same_items(family):
    trainee, tokenizer = tiny_trainee(), byte_tokenizer()
    items = [item for item in PROBES[family].items if item.form == TEXT]
    with reading_only(trainee):
        replies = ask(trainee, tokenizer, items, new_tokens=[1] * len(items))
    right = [reply.margin(item) > 0 for item, reply in zip(items, replies, strict=True)]
    found, reasons = evaluate(trainee, tokenizer, [f"{OWN}{family}"])
    assert reasons == []
    assert found[f"{OWN}{family}"]["acc"] == pytest.approx(sum(right) / len(right))
    assert 0 < sum(right) < len(right)  # else a broken comparison would agree as well


def test_an_unknown_task_says_what_is_near():
    with pytest.raises(UnknownName, match="no lm-eval task named 'lorabench_decimal'; did you mean lorabench_decimals"):
        check_names(["lorabench_decimal"])


def test_every_exported_family_has_its_task():
    assert {path.stem for path in TASKS_FOLDER.glob("*.yaml")} == {f"{OWN}{family}" for family in LM_EVAL_FAMILIES}


@pytest.fixture
def away(monkeypatch):
    """No task can be read, though the Hub answers."""

    def fail(trainee, tokenizer, name):
        raise ConnectionError("no such host\nand more lines")

    monkeypatch.setattr(lm_evaluation, "metrics_of", fail)
    monkeypatch.setattr(lm_evaluation, "hub_answers", lambda: Answer(True, ""))


def test_a_foreign_task_that_cannot_be_read_is_one_reason(away):
    found, reasons = evaluate(None, None, ["arc_easy"])
    assert found == {}
    assert reasons == ["lm-eval arc_easy: not run, ConnectionError: no such host"]


def test_a_task_of_ours_that_fails_is_an_error(away):
    with pytest.raises(ConnectionError, match="no such host"):
        evaluate(None, None, ["lorabench_decimals"])
