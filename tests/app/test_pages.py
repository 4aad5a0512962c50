"""Each page shows what the rooms below it say, and what a person can mend is one sentence on it.

Streamlit runs a page in this process; its worker is a stand-in that says what it is told. app/test_browser.py opens the
real ones.
"""

import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from compared_runs import committed, run_of
from kept_manifests import KEPT
from streamlit.testing.v1 import AppTest

from bench.app import answering, ask_page, claims_page, compare_page, fit_page, methods_page, runs_page
from bench.app.asking import Asking, Busy, Loaded
from bench.app.comparing import NOTHING
from bench.app.served import Served, serve_these
from bench.app.showing import escape_markdown
from bench.core.paths import COMMITTED
from bench.executor import CallFailed
from bench.judge.compare.runs import compare_runs
from bench.judge.compare.sides import read_side
from bench.judge.score import WEIGHTS, compare
from bench.records.kept import MANIFEST
from bench.records.record import FAILED
from bench.records.run_progress import ProgressFile
from bench.records.votes import read_votes
from bench.report.comparison import counts
from bench.tasks.medqa import SOURCE_ANSWERS

CASES = ("pos-minilm_l6-lora-cpu-s0", "pos-minilm_l6-dora-cpu-s0", "pos-minilm_l6-full-cpu-s0")
KEPT_CASE, OTHER_CASE = "medqa-smollm2_135m-lora-cpu-s0", "medqa-smollm2_135m-rslora-cpu-s0"
CLAIM = {"id": "a", "source": "000", "kind": "measured", "verdict": "refuted", "expected": "refuted", "says": "It is so",
         "sentence": "It is not"}  # fmt: skip


class StandIn:
    """Answers with the question's words in turn; what: an error to raise."""

    def __init__(self, what=None):
        self.what, self.loaded, self.turns = what, [], 0

    @contextlib.contextmanager
    def turn(self):
        self.turns += 1
        try:
            yield
        finally:
            self.turns -= 1

    def load(self, folders, with_base):
        if self.what:
            raise self.what
        self.loaded.append((folders, with_base))
        names = [*(["the base"] * with_base), *(folder.name for folder in folders)]
        return Loaded((folders, with_base), tuple(names), (len(names),))

    def pieces(self, question, sampling):
        for column in range(len(self.loaded[-1][0]) + self.loaded[-1][1]):
            yield [(column, f"{word} ") for word in question.split()]


@pytest.fixture
def folder(tmp_path):
    """Runs: `early` and `late` of the same cases, and kept adapters in `late`."""
    records = [committed()[case] for case in CASES]
    run_of(tmp_path / "early", records)
    run_of(tmp_path / "late", [*records[1:], replace(records[0], status=FAILED, reason="it broke")])
    for case in (KEPT_CASE, OTHER_CASE):
        place = tmp_path / "late" / "adapters" / case
        place.mkdir(parents=True)
        (place / MANIFEST).write_text(replace(KEPT, case=case).to_text(), encoding="utf-8")
    return tmp_path


def open_page(module, folder, asking=None, **state):
    """The page as a person sees it first."""
    serve_these(Served((folder,), asking or StandIn()))
    name = module.__name__.rpartition(".")[2]
    page = AppTest.from_string(f"from bench.app import {name}\n{name}.show()", default_timeout=60)
    for key, value in state.items():
        page.session_state[key] = value
    return page.run()


def widget(widgets, label):
    return next(one for one in widgets if one.label == label)


def errors(page):
    assert not page.exception, page.exception[0].value
    return [one.value for one in page.error]


def texts(page):
    return [one.value for one in page.text]


@pytest.mark.parametrize("module", [runs_page, compare_page, methods_page, claims_page])
def test_a_folder_without_runs_is_one_sentence(module, tmp_path):
    (said,) = errors(open_page(module, tmp_path))
    assert said.startswith("There is no stored run")


def test_runs_are_filtered_by_the_parts_of_their_cases(folder):
    page = open_page(runs_page, folder)
    assert errors(page) == []
    assert list(page.dataframe[0].value["run"]) == ["early", "late"]
    widget(page.multiselect, "method").select("dora").run()
    assert list(page.dataframe[0].value["cases"]) == [1, 1]
    assert list(page.dataframe[1].value["case"]) == [CASES[1]]
    assert {one.label for one in page.multiselect} == set(runs_page.PARTS)
    assert [len(column.multiselect) for column in page.columns] == [2, 2, 2]


def test_a_run_shows_the_parts_of_its_report(folder):
    page = open_page(runs_page, folder)
    show = widget(page.selectbox, "Part")
    assert {"Cases", "Quality against memory", "Training losses", "Environment"} <= set(show.options)
    show.select("Training losses").run()
    assert errors(page) == []
    assert [one.value for one in page.subheader] == [r"Training loss\: pos × minilm\_l6 × cpu"]


def test_a_run_without_records_and_a_damaged_one_are_sentences(folder):
    (folder / "begun").mkdir()
    (folder / "begun" / "run.json").write_text("{", encoding="utf-8")
    page = open_page(runs_page, folder)
    assert errors(page) == ["There is no record in the run begun."]
    assert "run.json: damaged" in texts(page)[0]


def test_a_run_that_is_going_on_shows_what_its_cases_do(folder):
    file = ProgressFile()
    file.begin(folder / "early", CASES[:2])
    file.add(CASES[0], {"step": 3, "steps": 8, "loss": 2.0, "tokens_per_second": 9.0, "seconds_left": 5.0})
    try:
        page = open_page(runs_page, folder)
    finally:
        file.close()
    assert errors(page) == []
    assert list(page.dataframe[0].value["state"]) == ["running", "ended"]
    running = next(one.value for one in page.dataframe if "seconds left" in one.value)
    assert running[["case", "state", "step"]].values.tolist() == [[CASES[0], "running", 3], [CASES[1], "waiting", 0]]
    assert r"Training loss so far" in [one.value for one in page.subheader]


def test_two_runs_are_compared_as_by_the_command(folder):
    page = open_page(compare_page, folder)
    widget(page.selectbox, "Earlier run").select("early")
    widget(page.selectbox, "Later run").select("late").run()
    assert errors(page) == []
    comparison = compare_runs(read_side(folder / "early"), read_side(folder / "late"))
    assert counts(comparison) in texts(page)
    assert "worse" in set(page.dataframe[0].value["state"])
    assert any(one.value.startswith("pytest suites --tasks pos") for one in page.code)


def test_the_same_run_twice_is_refused(folder):
    page = open_page(compare_page, folder)
    widget(page.selectbox, "Earlier run").select("early")
    widget(page.selectbox, "Later run").select("early").run()
    assert errors(page) == ["Both are the same run; choose two."]


def test_cases_of_other_recipes_stand_side_by_side_and_are_not_judged(folder):
    page = open_page(compare_page, folder)
    page.radio[0].set_value("two cases").run()
    widget(page.selectbox, "First case").select(f"early/{CASES[0]}")
    widget(page.selectbox, "Second case").select(f"late/{CASES[1]}").run()
    assert errors(page) == [compare_page.NOT_JUDGED]
    assert any(one.startswith("recipe differs") for one in texts(page))
    assert list(page.dataframe[0].value["case"]) == list(CASES[:2])
    widget(page.selectbox, "Second case").select(f"late/{CASES[0]}").run()
    assert errors(page) == [NOTHING]
    assert "1 case: 1 worse" in texts(page)


def test_runs_without_a_common_case_are_one_sentence(folder):
    run_of(folder / "other", [committed()[KEPT_CASE]])
    page = open_page(compare_page, folder)
    widget(page.selectbox, "Earlier run").select("early")
    widget(page.selectbox, "Later run").select("other").run()
    assert errors(page) == [NOTHING]


def ranked(run, group, weights):
    """The methods as `python -m bench score` ranks them."""
    comparisons, _ = compare(committed(run).values(), weights)
    return [one.method for comparison in comparisons if comparison.name == group for one in comparison.standings]


def test_methods_are_ranked_by_the_weights_that_a_person_sets():
    page = open_page(methods_page, COMMITTED)
    assert errors(page) == []
    (run,) = page.multiselect[0].value
    group = page.selectbox[0].value
    assert list(page.dataframe[0].value["method"]) == ranked(run, group, WEIGHTS)
    for name in ("disk", "time", "quality", "truth"):
        widget(page.slider, name).set_value(0.0)
    page.run()
    by_memory = ranked(run, group, {**dict.fromkeys(WEIGHTS, 0.0), "memory": 1.0})
    assert list(page.dataframe[0].value["method"]) == by_memory != ranked(run, group, WEIGHTS)
    widget(page.slider, "memory").set_value(0.0).run()
    assert errors(page) == ["Every weight is 0; at least one must be above it."]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_newest_run_of_a_case_counts_in_whatever_order_runs_are_chosen(order, folder):
    old, new = "20260101T000000-old", "20260102T000000-new"
    records = [committed()[case] for case in CASES]
    run_of(folder / old, [replace(records[0], quality=dict.fromkeys(records[0].quality, 0.0)), *records[1:]])
    run_of(folder / new, records)
    page = open_page(methods_page, folder)
    widget(page.multiselect, "Runs").set_value([new]).run()
    newest = page.dataframe[0].value
    widget(page.multiselect, "Runs").set_value([old]).run()
    assert not page.dataframe[0].value.equals(newest)
    widget(page.multiselect, "Runs").set_value([(old, new)[one] for one in order]).run()
    assert page.dataframe[0].value.equals(newest)


def test_claims_are_filtered_and_keep_their_sentences(folder):
    other = {**CLAIM, "id": "b", "source": "001", "verdict": "confirmed"}
    (folder / "late" / "claims.json").write_text(json.dumps([CLAIM, other]), encoding="utf-8")
    page = open_page(claims_page, folder)
    assert errors(page) == []
    assert widget(page.selectbox, "Judged by run").value == "late"
    assert texts(page) == ["2 claims: 1 refuted, 1 confirmed"]
    widget(page.selectbox, "verdict").select("refuted").run()
    assert page.dataframe[0].value[["claim", "what was seen"]].values.tolist() == [["a", "It is so. It is not"]]
    widget(page.text_input, "Words").set_value("nowhere").run()
    assert not page.dataframe


def test_a_run_without_verdicts_says_how_to_get_them(folder):
    page = open_page(claims_page, folder)
    assert errors(page) == [claims_page.NOT_STORED]
    assert len(page.button) == 1


def test_what_fits_a_card_is_what_the_command_says(folder):
    page = open_page(fit_page, folder)
    assert errors(page) == []
    table = page.dataframe[0].value
    assert set(table["card"]) == set(fit_page.DEFAULT_CARDS)
    assert set(table["fits"]) == {"yes", "no"}
    widget(page.number_input, "Rank").set_value(2).run()
    widget(page.number_input, "Tokens of a row").set_value(10**6).run()
    assert errors(page) == ["None of these fits together."]
    widget(page.multiselect, "Cards").set_value([]).run()
    assert errors(page) == ["Choose at least one model, one method and one card."]


def press(page, label):
    next(one for one in page.button if one.label == label).click()
    return page.run()


def ask(page, question):
    widget(page.text_area, "Question").set_value(question)
    return press(page, "Ask")


def test_a_base_and_its_adapter_answer_side_by_side(folder):
    page = ask(open_page(ask_page, folder, asking := StandIn()), "what is it?")
    assert errors(page) == []
    assert texts(page) == ["what is it?"] * 2
    titles = [one.value for one in page.markdown]
    assert titles == ["**the base**", f"**{escape_markdown(KEPT_CASE)}**"]
    assert asking.loaded == [((folder / "late" / "adapters" / KEPT_CASE,), True)]
    assert escape_markdown("3, 3 tokens in one batch") in page.caption[-1].value
    page.run()
    assert texts(page) == ["what is it?"] * 2, "a later run of the page shows the answers again"
    assert len(asking.loaded) == 1


def test_a_question_of_the_source_has_the_actual_answer_beside(folder):
    page = open_page(ask_page, folder)
    example = SOURCE_ANSWERS[0]
    widget(page.selectbox, "Question of the task's source").select(example.question).run()
    assert widget(page.text_area, "Question").value == example.question
    press(page, "Ask")
    assert errors(page) == []
    assert texts(page)[0] == example.answer
    assert "Table V" in page.caption[-2].value


def test_a_blind_vote_is_stored_and_counted(folder):
    page = open_page(ask_page, folder)
    page.checkbox[0].check()
    ask(page, "what is it?")
    assert errors(page) == []
    assert [one.value for one in page.markdown[:2]] == ["**A**", "**B**"]
    assert escape_markdown(KEPT_CASE) not in "".join(one.value for one in [*page.markdown, *page.caption])
    press(page, "A")
    assert errors(page) == []
    ((vote,), damaged) = read_votes(folder / "late")
    assert (vote.preferred, vote.question, damaged) == (vote.shown[0], "what is it?", 0)
    assert any("of 1 votes" in one for one in texts(page))
    assert not [one for one in page.button if one.label == "A"], "one vote for one answer"


@pytest.mark.parametrize("there", [True, False])
def test_votes_are_neither_read_from_nor_written_to_a_link_out_of_the_folder(there, folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "votes"
    if there:
        elsewhere.write_text("mine\n", encoding="utf-8")
    (folder / "late" / "votes.jsonl").symlink_to(elsewhere)
    page = open_page(ask_page, folder)
    page.checkbox[0].check()
    ask(page, "what is it?")
    assert errors(page) == [answering.VOTES_ELSEWHERE]
    assert not [one for one in page.button if one.label == "A"]


def test_a_typed_folder_whose_manifest_is_a_link_out_of_the_folder_is_refused(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / MANIFEST
    elsewhere.write_text(KEPT.to_text(), encoding="utf-8")
    (folder / "copied").mkdir()
    (folder / "copied" / MANIFEST).symlink_to(elsewhere)
    page = open_page(ask_page, folder)
    page.text_input[0].set_value("copied").run()
    assert errors(page) == [ask_page.NO_ANSWER]
    assert f"its {MANIFEST} is a link out of the folder of runs" in texts(page)[0]


def test_two_cases_are_voted_on_without_their_base_and_three_are_refused(folder):
    place = folder / "late" / "adapters" / KEPT_CASE.replace("s0", "s1")
    place.mkdir()
    (place / MANIFEST).write_text(KEPT.to_text(), encoding="utf-8")
    page = open_page(ask_page, folder, asking := StandIn())
    page.multiselect[0].select(f"late/{OTHER_CASE}")
    page.checkbox[0].check()
    ask(page, "what is it?")
    assert asking.loaded[0][1] is False
    page.multiselect[0].select(f"late/{place.name}")
    press(page, "Ask")
    assert errors(page) == ["A blind vote is between two answers; choose one case or two, not 3."]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            CallFailed("not_run", "the weights of these models take 9 GB and cpu has 1 GB free; free memory"),
            "take 9 GB",
        ),
        (CallFailed("failed", "its base has other weights"), "other weights"),
        (Busy("another page is asking; wait"), "another page is asking"),
    ],
)
def test_what_keeps_models_from_answering_is_one_sentence(error, says, folder):
    page = ask(open_page(ask_page, folder, asking := StandIn(error)), "why?")
    assert errors(page) == [ask_page.NO_ANSWER]
    assert says in texts(page)[0]
    assert asking.turns == 0


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("../..", "does not lie below the folder of runs"),
        ("/etc/passwd", "does not lie below the folder of runs"),
        ("late", "is a run; give RUN/CASE"),
        ("late/adapters", "is no kept adapter"),
        ("nowhere", "there is no such folder below the folder of runs"),
        (f"smoke/{KEPT_CASE}", "there is no such folder below the folder of runs"),
    ],
)
def test_a_folder_that_is_no_kept_adapter_is_one_sentence(typed, says, folder):
    page = open_page(ask_page, folder)
    page.text_input[0].set_value(typed).run()
    assert errors(page) == [ask_page.NO_ANSWER]
    assert says in texts(page)[0]


def test_an_empty_question_is_refused(folder):
    assert errors(ask(open_page(ask_page, folder), " ")) == ["The question is empty."]


def test_without_kept_weights_the_page_says_how_to_keep_them(tmp_path):
    page = open_page(ask_page, tmp_path)
    (said,) = errors(page)
    assert "`pytest suites --keep adapter`" in said


def test_an_answer_that_is_not_read_to_its_end_lets_the_next_page_ask():
    asking = Asking("cpu")
    with asking.turn(), pytest.raises(Busy, match="another page is asking"), asking.turn():
        pass
    asking._session = SimpleNamespace(
        call=lambda method, **_: {"pieces": [[0, "x"]], "ended": False}, close=lambda: None
    )
    with asking.turn(), contextlib.closing(asking.pieces("why?", answering.Sampling(0.0, 9))) as pieces:
        assert next(pieces) == [(0, "x")]
    with asking.turn():
        asking.close()
    asking.stop()


def test_a_failed_case_is_shown_with_its_reason(folder):
    run_of(folder / "bad", [replace(committed()[CASES[0]], status=FAILED, reason="<b>it broke</b>")])
    page = open_page(runs_page, folder)
    widget(page.selectbox, "Run").select("bad").run()
    assert f"{CASES[0]}: failed, <b>it broke</b>" in texts(page)
