"""Answers side by side are those of each model alone, and stop when nobody reads on."""

import pytest
import torch
from kept_weights import keep, model_in_folder, setting_of, tuned_model

from bench.methods import METHODS
from bench.records.kept import NotKept
from bench.tasks.support import PROMPT
from bench.worker.ask import side_by_side
from bench.worker.ask.side_by_side import Sampling, answers, load_panel
from bench.worker.build.adapter import load_adapter
from bench.worker.keep.loading import open_kept

QUESTION = "Where is my parcel?"
GREEDY = Sampling(new_tokens=12)
ALONE = ["dora", "ia3", "prefix", "prompt", "pissa", "full"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Keeps a case of each method once and opens it."""
    found = {}
    with model_in_folder(tmp_path_factory.mktemp("base"), "tiny_llama") as name:

        def make(method, seed=0):
            if (method, seed) not in found:
                setting = setting_of(name, method)
                folder = tmp_path_factory.mktemp("run") / setting.case.id
                keep(setting, tuned_model(setting, scale=0.3, seed=seed), folder)
                found[method, seed] = open_kept(folder, None)
            return found[method, seed]

        yield make


def texts_of(panel, sampling=GREEDY):
    texts = [""] * len(panel.names)
    for column, piece in answers(panel, QUESTION, sampling):
        texts[column] += piece
    return texts


def by_transformers(model, tokenizer):
    """What transformers' own greedy generation says."""
    asked = tokenizer(PROMPT.format(instruction=QUESTION), return_tensors="pt", add_special_tokens=False)
    asked = {name: asked[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        more = {"max_new_tokens": GREEDY.new_tokens, "do_sample": False, "pad_token_id": 0, "use_cache": True}
        said = model.eval().generate(**asked, **more)
    return tokenizer.decode(said[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)


def test_a_batch_gives_the_texts_of_each_adapter_alone_and_of_the_base(tuned):
    cases = [tuned("lora"), tuned("lora_all", 1), tuned("rslora", 2)]
    panel = load_panel(cases)
    assert len(panel.speakers) == 1
    assert panel.names == ("stored_tiny_llama, the base", *(one.name for one in cases))
    texts = texts_of(panel)
    assert texts[1:] == [texts_of(load_panel([one], with_base=False))[0] for one in cases]
    alone = load_adapter(cases[0].base("cpu"), cases[0].folder)
    with alone.disable_adapter():
        assert texts[0].rstrip("\ufffd") == by_transformers(alone, cases[0].tokenizer()).rstrip("\ufffd")
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("method", ALONE)
def test_other_methods_take_turns_and_say_what_transformers_generates(method, tuned):
    one = tuned(method)
    panel = load_panel([one])
    assert len(panel.speakers) == 2
    base, text = texts_of(panel)
    whole = not METHODS[method].is_adapter
    model = one.whole("cpu") if whole else load_adapter(one.base("cpu"), one.folder)
    assert text.rstrip("\ufffd") == by_transformers(model, one.tokenizer()).rstrip("\ufffd")
    assert base == texts_of(load_panel([tuned("lora")]))[0]


def test_columns_grow_in_turns(tuned):
    columns = [column for column, _ in answers(load_panel([tuned("lora"), tuned("ia3")]), QUESTION, GREEDY)]
    assert columns[:6] == [0, 1, 2, 0, 1, 2]


def test_an_iterator_that_is_closed_stops_generating(tuned, monkeypatch):
    calls = []
    forward = side_by_side.forward
    monkeypatch.setattr(side_by_side, "forward", lambda *args: (calls.append(1), forward(*args))[1])
    pieces = answers(load_panel([tuned("lora")]), QUESTION, Sampling(new_tokens=100))
    next(pieces)
    pieces.close()
    assert len(calls) == 1
    assert list(pieces) == []


def test_drawn_tokens_repeat_with_their_seed(tuned):
    panel = load_panel([tuned("lora")])
    first, again, other = (texts_of(panel, Sampling(2.0, 12, seed)) for seed in (0, 0, 1))
    assert first == again != other


def test_a_question_without_room_for_an_answer_is_refused(tuned):
    with pytest.raises(ValueError, match="the model has room for 512 with the answer; ask a shorter one"):
        next(answers(load_panel([tuned("lora")]), "why? " * 120, GREEDY))


def test_an_encoders_case_answers_nothing(tmp_path):
    with model_in_folder(tmp_path / "base", "tiny_bert") as name:
        setting = setting_of(name, "lora")
        keep(setting, tuned_model(setting), tmp_path / "kept")
        with pytest.raises(NotKept, match="labels words and answers nothing; name a decoder's case"):
            load_panel([open_kept(tmp_path / "kept", None)])
