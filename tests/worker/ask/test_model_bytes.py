"""Counted bytes of weights are those that the loaded model holds."""

import pytest
from kept_weights import keep, model_in_folder, setting_of, tuned_model

from bench.worker.ask.model_bytes import base_bytes, loaded_bytes
from bench.worker.keep.loading import open_kept

SCALES = 0.08  # of packed weights, which are left out: 1 float32 for 64 weights of half a byte, at most


def bytes_in(model):
    return sum(weight.nbytes for weight in model.parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_bytes_are_those_of_the_loaded_weights(method, precision, tmp_path):
    with model_in_folder(tmp_path / "base", "tiny_llama") as name:
        setting = setting_of(name, method, precision=precision)
        keep(setting, tuned_model(setting), tmp_path / "kept")
        tuned = open_kept(tmp_path / "kept", None)
        assert base_bytes(tuned) == pytest.approx(bytes_in(tuned.base("cpu")), rel=SCALES)
        if method == "full":
            assert loaded_bytes(tuned) == pytest.approx(bytes_in(tuned.whole("cpu")), rel=0.02)
        else:
            assert loaded_bytes(tuned) > base_bytes(tuned)
