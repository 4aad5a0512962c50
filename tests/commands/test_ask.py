"""`python -m bench ask`: answers beside each other, examples with their place, and blind votes that are counted."""

import io
import json

import pytest
from kept_weights import keep, model_in_folder, setting_of, tuned_model
from run_files import append_record

from bench.__main__ import main
from bench.commands import ask as ask_command
from bench.records.kept import kept_folder
from bench.records.record import Record
from bench.records.votes import FILE, read_votes
from bench.tasks.medqa import SOURCE_ANSWERS

SHORT = ["--new-tokens", "6", "--device", "cpu"]
SUPPORT, OTHER, HEALTH = (f"{task}-stored_tiny_llama-{method}-cpu-s0" for task, method in (
    ("support", "lora"), ("support", "rslora"), ("medqa", "lora")))  # fmt: skip


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory):
    """A run with kept adapters of two tasks."""
    run = tmp_path_factory.mktemp("runs") / "mine"
    with model_in_folder(tmp_path_factory.mktemp("base"), "tiny_llama") as name:
        for case, task, method in (
            (SUPPORT, "support", "lora"),
            (OTHER, "support", "rslora"),
            (HEALTH, "medqa", "lora"),
        ):
            setting = setting_of(name, method, task=task)
            kept = keep(setting, tuned_model(setting, scale=0.3), kept_folder(run, setting.case.id))
            assert setting.case.id == case
            append_record(run / "records.jsonl", Record(case=case, status="ok", kept=kept))
        yield run


@pytest.fixture
def typed(monkeypatch):
    """Gives standard input these lines."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_question_is_answered_by_base_and_adapter_side_by_side(kept_run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["ask", f"{kept_run}/{SUPPORT}", f"{kept_run}/{OTHER}", "-q", "Where is it?", *SHORT]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Q: Where is it?\n")
    assert all(name in out for name in ("stored_tiny_llama, the base", SUPPORT, OTHER))
    assert "tokens/s in all" in out


def test_questions_come_from_standard_input(kept_run, capsys, typed):
    typed("first?\n\nsecond?\n")
    assert main(["ask", f"{kept_run}/{SUPPORT}", *SHORT]) == 0
    out = capsys.readouterr().out
    assert out.index("Q: first?") < out.index("Q: second?")


def test_a_vote_between_two_runs_of_a_case_shows_two_answers_and_counts_them_in_either_order(
    kept_run, tmp_path, capsys, typed
):
    """Their ids are equal."""
    setting, other = setting_of("stored_tiny_llama", "lora", task="support"), tmp_path / "later"
    kept = keep(setting, tuned_model(setting, scale=0.3, seed=1), kept_folder(other, SUPPORT))
    append_record(other / "records.jsonl", Record(case=SUPPORT, status="ok", kept=kept))
    cases = [f"{kept_run}/{SUPPORT}", f"{other}/{SUPPORT}"]
    (kept_run / FILE).unlink(missing_ok=True)
    for number, order in enumerate((cases, cases[::-1]), start=1):
        typed("a\n")
        assert main(["ask", *order, "-q", "Where is it?", "--vote", *SHORT]) == 0
        assert f"of {number} votes" in capsys.readouterr().out
    votes, _ = read_votes(min(kept_run, other))
    first, second = (dict(zip(vote.shown, vote.answers, strict=True)) for vote in votes)
    assert first == second
    assert first.keys() == {f"mine/{SUPPORT}", f"later/{SUPPORT}"}
    assert len(set(first.values())) == 2


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(kept_run, capsys, monkeypatch):
    monkeypatch.setattr(ask_command, "free_bytes", lambda device: 10**5)
    assert main(["ask", f"{kept_run}/{SUPPORT}", "-q", "Where is it?", *SHORT]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "the weights of these models take 0.4 MB and cpu has 0.1 MB free; name fewer cases" in error


def test_examples_have_the_actual_answer_and_their_place(kept_run, capsys):
    assert main(["ask", f"{kept_run}/{HEALTH}", "--examples", *SHORT]) == 0
    out = capsys.readouterr().out
    for answer in SOURCE_ANSWERS:
        assert f"Q: {answer.question} ({answer.where})" in out
    assert "optic" in out
    assert "source 000, Table V (the first of that number), row 2" in out


def test_a_vote_is_stored_and_counted(kept_run, capsys, typed):
    typed("x\na\n")
    (kept_run / FILE).unlink(missing_ok=True)
    assert main(["ask", f"{kept_run}/{SUPPORT}", "-q", "Where is it?", "--vote", *SHORT]) == 0
    out = capsys.readouterr().out
    shown, _, after = out.partition("A was ")
    assert SUPPORT not in shown
    assert "the base" not in shown
    ((vote,), damaged) = read_votes(kept_run)
    assert vote.preferred == vote.shown[0]
    assert not damaged
    assert f"{SUPPORT} was preferred to stored_tiny_llama, the base in " in after
    assert "of 1 votes" in after
    assert json.loads((kept_run / FILE).read_text(encoding="utf-8"))["question"] == "Where is it?"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{run}/{case}", "-q", " "], "the question is empty"),
        (["{run}/{case}", "{run}/{case}"], "a case is named twice"),
        (["{run}/{case}", "{run}/./adapters/{case}"], "a case is named twice"),
        (["{run}/{case}", "--temperature", "-1"], "--temperature -1 must be 0 or above"),
        (["{run}/{case}", "--temperature", "nan"], "--temperature nan must be 0 or above"),
        (["{run}/{case}", "--new-tokens", "0"], "--new-tokens 0 must be at least 1"),
        (["{run}/{case}", "--examples"], "--examples: no source prints questions for the task of"),
        (["a", "b", "c", "--vote"], "--vote compares two answers, not 3"),
        (["{run}/nothing"], "the run mine has no such case"),
        (["{run}/adapters"], "is no kept adapter"),
        (["{run}/{case}", "-q", "why? ", "--vote"], "no vote was given, so none is stored"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(words, says, kept_run, capsys, typed):
    typed("")
    words = [word.format(run=kept_run, case=SUPPORT) for word in words]
    assert main(["ask", *words, *SHORT][: None if "--new-tokens" not in words else -4]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("bench: ")
    assert says in error


def test_a_growing_answer_is_drawn_over_itself(capsys):
    drawn = ask_command.redraw(["one"], 0)
    ask_command.redraw(["one two"], drawn)
    assert capsys.readouterr().out == "one\n\x1b[1F\x1b[Jone two\n"
