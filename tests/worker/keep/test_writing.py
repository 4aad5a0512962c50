"""Every method's weights are kept, and load in plain peft and plain transformers by the lines that the card prints.

The Hub cannot be reached from here, so the line that names the base's place on it is replaced by a local folder with the
same weights; nothing else of the lines is changed.
"""

import json
import re

import pytest
import torch
from kept_weights import ADAPTERS, HUB_ID, REVISION, keep, logits, model_in_folder, setting_of, tuned_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from bench.methods import METHODS, NF4
from bench.models import MODELS
from bench.records.kept import ADAPTER, CARD, MANIFEST, MERGED, read_kept, sha256_of
from bench.tasks.support import PROMPT
from bench.worker.check.evidence import distance
from bench.worker.keep.writing import QUESTION, save_model

SAME = 1e-5  # float32, the same products
PACKED = 5e-3  # the scales of packed weights are rounded on another way
ENCODERS_METHODS = ["lora", "qlora", "prefix", "dora"]
BASE_LINE = re.compile(r"^BASE, REVISION = .*$", re.MULTILINE)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_bert"])
def stored(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    with model_in_folder(folder, request.param) as name:
        yield name


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with model_in_folder(tmp_path_factory.mktemp("base"), "tiny_llama", seed=1) as name:
        yield name


def run_lines(folder, number, base, monkeypatch):
    """The model that the card's block of this number loads, run inside the folder."""
    monkeypatch.chdir(folder)
    lines = BLOCK.findall((folder / CARD).read_text(encoding="utf-8"))[number]
    names = {}
    exec(BASE_LINE.sub(f"BASE, REVISION = {str(base)!r}, {REVISION!r}", lines), names)
    return names["model"]


@pytest.mark.parametrize("method", ADAPTERS)
def test_an_adapter_loads_by_the_lines_of_its_card(method, stored, tmp_path, monkeypatch, capsys):
    entry = MODELS[stored]
    if METHODS[method].refusal(entry) or ("bert" in stored and method not in ENCODERS_METHODS):
        pytest.skip("the method is for other models, or the encoder's others are as these")
    setting = setting_of(stored, method)
    model = tuned_model(setting)
    expected, folder = logits(model), tmp_path / "kept"
    kept = keep(setting, model, folder)
    blocks = BLOCK.findall((folder / CARD).read_text(encoding="utf-8"))
    allowed = PACKED if METHODS[method].quantised else SAME
    for number in range(len(blocks)):
        loaded = run_lines(folder, number, entry.folder, monkeypatch)
        assert distance(logits(loaded), expected) < allowed, blocks[number]
    assert kept["what"] == ADAPTER
    assert len(blocks) == (1 if read_kept(folder).facts.only_peft else 2)


@pytest.mark.parametrize("method", ["full", "head"])
def test_a_whole_model_loads_by_the_lines_of_its_card(method, stored, tmp_path, monkeypatch, capsys):
    setting = setting_of(stored, method)
    model = tuned_model(setting)
    expected, folder = logits(model), tmp_path / "kept"
    assert keep(setting, model, folder)["what"] == "model"
    assert distance(logits(run_lines(folder, 0, "", monkeypatch)), expected) < SAME


def test_no_file_names_a_folder_of_this_machine(decoder, tmp_path):
    setting = setting_of(decoder, "lora")
    keep(setting, tuned_model(setting), tmp_path / "kept")
    for path in (tmp_path / "kept").iterdir():
        assert MODELS[decoder].folder.encode() not in path.read_bytes(), path.name
    assert "datasets:" not in (tmp_path / "kept" / CARD).read_text(encoding="utf-8")  # the sample is not the Hub's data
    config = json.loads((tmp_path / "kept" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["base_model_name_or_path"], config["revision"]) == (HUB_ID, REVISION)


def test_the_record_has_the_digest_of_every_file(decoder, tmp_path):
    setting = setting_of(decoder, "lora")
    folder = tmp_path / setting.case.id
    kept = keep(setting, tuned_model(setting), folder)
    assert kept["files"] == {path.name: sha256_of(path) for path in folder.iterdir() if path.name != MANIFEST}
    assert kept["folder"] == f"adapters/{setting.case.id}"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("prompt", "prompt has no weights that could be merged into the base; --keep adapter keeps it"),
        ("full", "full trains the model itself, so there is nothing to merge; --keep adapter keeps the model"),
    ],
)
def test_what_cannot_be_merged_says_why(method, says, decoder, tmp_path):
    setting = setting_of(decoder, method)
    kept = keep(setting, None, tmp_path / "kept", MERGED)
    assert kept == {"what": "none", "reason": says, "asked": "merged", "lasting": True}
    assert setting.reasons[-1] == f"not kept: {says}"
    assert not (tmp_path / "kept").exists()


def test_an_adapter_on_a_base_that_nobody_else_has_is_not_kept(decoder, tmp_path):
    setting = setting_of(decoder, "lora_after_full")
    assert "which no one else has; --keep merged" in keep(setting, None, tmp_path / "kept")["reason"]


def test_a_full_disk_costs_the_weights_and_not_the_record(decoder, tmp_path):
    setting = setting_of(decoder, "lora")
    (tmp_path / "file").touch()
    kept = keep(setting, tuned_model(setting), tmp_path / "file" / "kept")
    assert kept["what"] == "none"
    assert "could not be written" in kept["reason"]
    assert not kept["lasting"]


def test_a_packed_base_is_loaded_packed(decoder, tmp_path):
    setting = setting_of(decoder, "qlora")
    assert setting.method.storage == NF4
    keep(setting, tuned_model(setting), tmp_path / "kept")
    assert 'bnb_4bit_quant_type="nf4"' in (tmp_path / "kept" / CARD).read_text(encoding="utf-8")


def test_a_base_with_a_packed_head_is_not_merged(decoder, tmp_path):
    setting = setting_of(decoder, "qlora", quantise_head=True)
    kept = keep(setting, None, tmp_path / "kept", MERGED)
    assert kept["reason"].startswith("quantise_head packs the embeddings, which merging does not unpack")


def test_the_card_prints_a_neutral_question_and_no_example_of_the_data(decoder, tmp_path):
    setting = setting_of(decoder, "lora")
    keep(setting, tuned_model(setting), tmp_path / "kept")
    written = [(tmp_path / "kept" / name).read_text(encoding="utf-8") for name in (CARD, MANIFEST)]
    for example in setting.prepared.held_out:
        question = example.prompt.removeprefix("Customer: ").removesuffix("\nAgent: ")
        assert not any(question in text for text in written), question
    assert f"prompt = {PROMPT.format(instruction=QUESTION)!r}" in written[0]


def test_the_card_does_not_name_the_mirrors_folder(decoder, tmp_path):
    setting = setting_of(decoder, "lora")
    setting.data["reason"] = "somebody/rows from the Hub; the mirror lacks /home/me/mirror"
    keep(setting, tuned_model(setting), tmp_path / "kept")
    assert all("/home/me" not in path.read_text(encoding="utf-8", errors="ignore")
               for path in (tmp_path / "kept").iterdir())  # fmt: skip


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_tied_weights_are_written_once(dtype, tmp_path):
    config = LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                         num_attention_heads=2, tie_word_embeddings=True)  # fmt: skip
    model = LlamaForCausalLM(config)
    save_model(model, tmp_path, [], dtype)
    assert load_file(tmp_path / "model.safetensors").keys() == dict(model.named_parameters()).keys()
    again = LlamaForCausalLM.from_pretrained(tmp_path)
    assert again.lm_head.weight.data_ptr() == again.model.embed_tokens.weight.data_ptr()
    assert torch.equal(again.lm_head.weight, model.lm_head.weight.to(dtype or torch.float32))


def test_kept_again_replaces_what_was_kept(decoder, tmp_path):
    setting = setting_of(decoder, "lora")
    first = keep(setting, tuned_model(setting), tmp_path / "kept")
    second = keep(setting, tuned_model(setting, seed=1), tmp_path / "kept")
    assert first["files"] != second["files"]
    assert read_kept(tmp_path / "kept").files == second["files"]
