"""A kept adapter loads onto its own base alone, and merged it gives the answers that it gave before."""

from dataclasses import replace

import pytest
from kept_weights import keep, logits, model_in_folder, setting_of, tuned_model
from transformers import AutoModelForCausalLM

from bench.__main__ import main
from bench.core.registry import UnknownName
from bench.methods import METHODS
from bench.methods.tolerances import rounding_tolerance
from bench.models import MODELS
from bench.records.kept import MANIFEST, NotKept, read_kept
from bench.worker.build.adapter import load_adapter
from bench.worker.check.evidence import distance
from bench.worker.keep.loading import merge_kept, open_kept


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with model_in_folder(tmp_path_factory.mktemp("base"), "tiny_llama") as name:
        yield name


@pytest.fixture
def kept(decoder, tmp_path):
    """Keeps a method's adapter: its folder, and the logits of the model that was kept."""

    def make(method):
        setting = setting_of(decoder, method)
        model = tuned_model(setting)
        keep(setting, model, tmp_path / setting.case.id)
        return tmp_path / setting.case.id, logits(model)

    return make


@pytest.mark.parametrize("method", ["lora", "dora", "qlora"])
def test_a_merged_model_loads_in_plain_transformers_with_the_adapters_answers(method, decoder, kept, tmp_path):
    folder, expected = kept(method)
    merge_kept(open_kept(folder, None), tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert str(model.dtype) == "torch.bfloat16"
    assert distance(logits(model), expected) < rounding_tolerance(METHODS[method], MODELS[decoder], "bfloat16")
    assert read_kept(tmp_path / "merged").what == "merged"
    assert str(tmp_path) not in (tmp_path / "merged" / "config.json").read_text(encoding="utf-8")


def test_an_adapter_on_its_own_base_gives_its_answers(kept):
    folder, expected = kept("lora")
    tuned = open_kept(folder, None)
    assert distance(logits(load_adapter(tuned.base("cpu"), folder)), expected) == 0


def test_a_base_with_other_weights_is_refused(decoder, kept, tmp_path):
    folder, _ = kept("lora")
    entry = MODELS[decoder]
    with model_in_folder(tmp_path / "other", "tiny_llama", seed=1, name="other"):
        pass
    MODELS.remove(decoder)
    MODELS.put(decoder, replace(entry, folder=str(tmp_path / "other")))
    try:
        with pytest.raises(
            NotKept, match="was trained on stored_tiny_llama with the weights sha256:.* here they are sha256:"
        ):
            open_kept(folder, None)
    finally:
        MODELS.remove(decoder)
        MODELS.put(decoder, entry)


def test_a_base_that_is_not_registered_is_named(kept):
    folder, _ = kept("lora")
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    (folder / MANIFEST).write_text(text.replace("stored_tiny_llama", "elsewhere"), encoding="utf-8")
    with pytest.raises(UnknownName, match="there is no model elsewhere here; name the module or file"):
        open_kept(folder, None)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("prompt", "prompt has no weights that could be merged"),
        ("head", "is a whole model, so there is nothing to merge"),
    ],
)
def test_the_command_says_what_cannot_be_merged(method, says, kept, tmp_path, capsys):
    folder, _ = kept(method)
    assert main(["merge", str(folder), "-o", str(tmp_path / "merged")]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "merged").exists()


def test_the_command_merges_and_does_not_overwrite(kept, tmp_path, capsys):
    folder, _ = kept("lora")
    words = ["merge", str(folder), "-o", str(tmp_path / "merged")]
    assert main(words) == 0
    assert "in bfloat16" in capsys.readouterr().out
    assert main(words) == 2
    assert "exists; give another folder with -o" in capsys.readouterr().err
