"""Answers side by side are those of each model alone, and stop when nobody reads on."""

import pytest
import torch
from kept_weights import keep, model_in_folder, setting_of, tuned_model

from bench.methods import METHODS
from bench.records.kept import NotKept, kept_folder
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
    """Keeps a case of each method once, in a run of its own for each recipe and seed, and opens it."""
    found, runs = {}, tmp_path_factory.mktemp("runs")
    with model_in_folder(tmp_path_factory.mktemp("base"), "tiny_llama") as name:

        def make(method, seed=0, run="run", **overrides):
            key = method, seed, run, *overrides.items()
            if key not in found:
                setting = setting_of(name, method, **overrides)
                (runs / run).mkdir(exist_ok=True)
                (runs / run / "records.jsonl").touch()
                folder = kept_folder(runs / run, setting.case.id)
                keep(setting, tuned_model(setting, scale=0.3, seed=seed), folder)
                found[key] = open_kept(folder, None)
            return found[key]

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


FORMATS = [
    {"precision": precision, "adapter_precision": adapter}
    for precision, adapter in (("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "bfloat16"))
]


@pytest.mark.parametrize("formats", FORMATS, ids=lambda formats: "-".join(formats.values()))
def test_a_batch_gives_the_texts_of_each_adapter_alone_and_of_the_base(formats, tuned):
    run = "-".join(formats.values())
    cases = [tuned(method, seed, run, **formats) for seed, method in enumerate(("lora", "lora_all", "rslora"))]
    panel = load_panel(cases)
    assert len(panel.speakers) == 1
    assert panel.names == ("stored_tiny_llama, the base", *(one.name for one in cases))
    texts = texts_of(panel)
    assert texts[1:] == [texts_of(load_panel([one], with_base=False))[0] for one in cases]
    kept = {part.dtype for name, part in panel.speakers[0].model.named_parameters() if "lora_" in name}
    assert kept == {getattr(torch, formats["adapter_precision"])}
    if formats["precision"] != "float32":  # a row's products in bfloat16 depend on the batch
        return
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


def test_columns_have_different_titles(tuned):
    first, second = tuned("lora"), tuned("lora", 1, "other")
    names = load_panel([first, second]).names
    assert names == ("stored_tiny_llama, the base", f"run/{first.name}", f"other/{first.name}")
    assert load_panel([tuned("lora"), tuned("lora_all")]).names[1:] == (first.name, tuned("lora_all").name)


def test_bases_of_two_tasks_have_different_titles(tuned):
    names = load_panel([tuned("lora"), tuned("lora", task="medqa")]).names
    assert names[0] == "stored_tiny_llama, the base with the prompt of support"
    assert names[2] == "stored_tiny_llama, the base with the prompt of medqa"


@pytest.mark.parametrize("temperature", [1e-40, 1e-320, 1e-8])
def test_a_tiny_temperature_draws_the_likeliest_token(temperature):
    logits = torch.tensor([1.0, 30.0, -5.0, 29.0])
    assert side_by_side.choose(logits, temperature, torch.Generator().manual_seed(0)) == 1


@pytest.mark.parametrize("methods", [["lora"], ["lora", "lora_all"], ["lora", "ia3"], ["dora"], ["full"]])
def test_the_bytes_of_a_panel_are_those_of_the_weights_that_it_loads(methods, tuned):
    cases = [tuned(method) for method in methods]
    panel = load_panel(cases)
    held = sum(weight.nbytes for speaker in panel.speakers for weight in speaker.model.parameters())
    assert side_by_side.panel_bytes(cases) == pytest.approx(held, rel=0.02)  # a file has a header


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
