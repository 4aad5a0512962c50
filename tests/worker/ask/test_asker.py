"""A page reads answers a few tokens at a time, and nothing is generated that it does not read."""

import pytest
from kept_weights import keep, model_in_folder, setting_of, tuned_model
from tiny_trainees import silent

from bench.records.kept import kept_folder
from bench.worker.ask import side_by_side
from bench.worker.ask.asker import Asker
from bench.worker.ask.side_by_side import NoRoom, Sampling, answers, load_panel
from bench.worker.emulate import CannotRun
from bench.worker.keep.loading import open_kept

QUESTION = "Where is my parcel?"
PLENTY = 10**12
TOKENS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A kept adapter of a tiny model."""
    run = tmp_path_factory.mktemp("run")
    (run / "records.jsonl").touch()
    with model_in_folder(tmp_path_factory.mktemp("base"), "tiny_llama") as name:
        setting = setting_of(name, "lora")
        keep(setting, tuned_model(setting, scale=0.3), kept_folder(run, setting.case.id))
        yield kept_folder(run, setting.case.id)


@pytest.fixture
def asker(folder):
    found = Asker({}, silent)
    said = found.load([str(folder)], "", "cpu", PLENTY, with_base=True)
    assert said == {"names": ["stored_tiny_llama, the base", folder.name], "batches": [2]}
    return found


def test_what_is_read_is_what_the_panel_answers(asker, folder):
    panel = load_panel([open_kept(folder, None)])
    expected = [list(piece) for piece in answers(panel, QUESTION, Sampling(new_tokens=TOKENS))]
    asker.begin(QUESTION, 0.0, TOKENS, 0)
    first = asker.read(0.0)
    assert first == {"pieces": expected[:1], "ended": False}
    assert asker.read(60.0) == {"pieces": expected[1:], "ended": True}
    assert asker.read(60.0) == {"pieces": [], "ended": True}


def test_nothing_is_generated_until_it_is_read_nor_after_the_next_question(asker, monkeypatch):
    calls = []
    forward = side_by_side.forward
    monkeypatch.setattr(side_by_side, "forward", lambda *args: (calls.append(1), forward(*args))[1])
    asker.begin(QUESTION, 0.0, TOKENS, 0)
    assert calls == []
    asker.read(0.0)
    asker.begin("another?", 0.0, 1, 0)
    asker.read(60.0)
    assert len(calls) == 2


def test_models_that_do_not_fit_are_refused_before_they_are_loaded(folder):
    with pytest.raises(
        CannotRun, match=r"^the weights of these models take 0.4 MB and cpu has 0.1 MB free; name fewer"
    ):
        Asker({}, silent).load([str(folder)], "", "cpu", 10**5, with_base=True)


def test_a_question_without_room_is_refused_and_the_next_one_is_answered(asker):
    asker.begin("why? " * 120, 0.0, TOKENS, 0)
    with pytest.raises(NoRoom, match="ask a shorter one"):
        asker.read(0.0)
    asker.begin(QUESTION, 0.0, 1, 0)
    assert len(asker.read(60.0)["pieces"]) == 2
