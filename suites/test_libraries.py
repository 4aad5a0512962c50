"""Do transformers, peft and bitsandbytes keep their own promises: on tiny models, with no case and no baseline.

    pytest suites/test_libraries.py      seconds, after the libraries are imported

lorabench has its own loss, loop and loaders, so its cases pass although the libraries' own way is broken. Here the
libraries do the work. All checks run in one worker on the processor. Faults that are known stand in
fixtures/known_faults.toml, each with its version, and are expected to fail.
"""

from typing import Any

import pytest

from bench.machine.environment import library_versions

ROUNDING = (
    1e-5  # relative, of float32 sums in another order: 2e-7 to 7e-7 are seen, and a wrong term moves 1 % and more
)
UPGRADE = "does this version of transformers, peft or bitsandbytes do it differently?"

subjects = pytest.mark.subjects("tiny_bert", "tiny_llama")
new_tokens = pytest.mark.parametrize("trains", ["frozen", "tokens", "whole", "lora"])


@subjects
@pytest.mark.parametrize("batches", ["whole", "ignored", "parts"])
def test_models_own_loss_is_ours(model: str, batches: str, check: Any) -> None:
    """model(labels=...) gives the mean over the labels that count: without padding, with it, and in micro-batches."""
    seen = check("loss", model=model, kind=batches)
    assert seen["theirs"] == pytest.approx(seen["ours"], rel=ROUNDING), (
        f"{model}(labels=...) has a loss of {seen['theirs']:.6f}; the mean over the labels that count is "
        f"{seen['ours']:.6f}; are labels counted that are ignored, shifted twice, or is num_items_in_batch not used?"
    )
    assert seen["gradient_distance"] <= ROUNDING, (
        f"the gradients of {model}'s own loss differ from those of the same loss computed by lorabench by "
        f"{seen['gradient_distance']:.3g}, relative to their norm; rounding explains {ROUNDING:g}; {UPGRADE}"
    )


@subjects
def test_accumulation_gives_the_large_batch(model: str, check: Any) -> None:
    """Trainer with four micro-batches of one example trains as with one batch of four."""
    seen = check("accumulation", model=model)
    assert seen["accumulated"] == pytest.approx(seen["whole"], rel=ROUNDING), (
        f"Trainer's losses of {model} with gradient accumulation are {listed(seen['accumulated'])}, and in one "
        f"batch of the same examples {listed(seen['whole'])}; is the loss divided by the labels of all micro-batches?"
    )
    assert seen["update_distance"] <= ROUNDING, (
        f"the weights that Trainer gives {model} with gradient accumulation moved {seen['update_distance']:.3g} away "
        f"from those of one large batch, relative to their update; rounding explains {ROUNDING:g}; {UPGRADE}"
    )


@subjects
def test_resumed_training_is_the_same(model: str, check: Any) -> None:
    """Stopped, saved and resumed in a new model, Trainer ends where it ends straight through, to the bit."""
    require_equal_trainings(model, check("resumed", model=model, optimizer="adamw_torch"))


@subjects
def test_packed_optimizer_states_survive_a_checkpoint(model: str, check: Any) -> None:
    """bitsandbytes' states in 8 bits come back from Trainer's checkpoint in 8 bits, and the training goes on alike."""
    if library_versions()["bitsandbytes"] is None:
        pytest.skip("states in 8 bits need bitsandbytes, which is not installed here: pip install bitsandbytes")
    seen = check("resumed", model=model, optimizer="adamw_8bit", packed=True)
    assert seen["state_dtypes"].keys() == {"uint8"}, (
        f"after resuming, the moments of tensors with at least 4,096 elements are kept in {seen['state_dtypes']}; "
        "expected uint8 alone; are they dequantised when the optimizer is loaded?"
    )
    require_equal_trainings(model, seen)


def require_equal_trainings(model: str, seen: dict[str, Any]) -> None:
    """Fail unless the resumed training has the losses, learning rates and weights of the one straight through."""
    assert seen["resumed_rates"] == seen["rates"], (
        f"resumed, Trainer's learning rates for {model} are {listed(seen['resumed_rates'])}; straight through they are "
        f"{listed(seen['rates'])}; is the scheduler's state loaded from the checkpoint?"
    )
    assert seen["resumed"] == seen["straight"], (
        f"resumed, Trainer's losses for {model} are {listed(seen['resumed'])}; straight through they are "
        f"{listed(seen['straight'])}; are the adapter, the optimizer and the random numbers loaded from the checkpoint?"
    )
    assert seen["weight_distance"] == 0, (
        f"resumed, the adapter of {model} ends {seen['weight_distance']:.3g} away from where it ends straight through, "
        "relative to its norm; expected 0; is the optimizer's state loaded from the checkpoint?"
    )


@pytest.mark.subjects("tiny_bert", "tiny_llama", methods=("lora", "dora", "ia3"))
def test_transformers_loads_an_adapter_as_peft_does(model: str, method: str, check: Any) -> None:
    """model.load_adapter and PeftModel.from_pretrained both give the logits that the adapter was saved with."""
    seen = check("loaders", model=model, method=method)
    assert seen["effect"] > ROUNDING, (
        f"the adapter of {method} moves the logits of {model} by {seen['effect']:.3g} only, so nothing was compared; "
        "expected an adapter that acts; was it attached to the wrong modules?"
    )
    for library in ("peft", "transformers"):
        assert seen[library] == 0, (
            f"loaded by {library}, the saved adapter of {method} gives {model} logits that differ by "
            f"{seen[library]:.3g}, relative to their norm; expected 0; are weights of the file left out, or read under "
            "other names?"
        )


@subjects
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_16_bit_adapter_stays_in_16_bits(model: str, precision: str, check: Any) -> None:
    """In its file, and loaded by transformers, by lorabench and by peft without autocast_adapter_dtype."""
    seen = check("precision", model=model, precision=precision)
    for way in ("file", "kept", "ours", "transformers"):
        assert seen[way] == [precision], (
            f"{WAYS[way]} the {precision} adapter of {model} is in {' and '.join(seen[way])}; expected {precision}; "
            f"{UPGRADE}"
        )
    assert seen["widened"] == ["float32"], (
        f"with autocast_adapter_dtype=True peft loads the {precision} adapter of {model} in "
        f"{' and '.join(seen['widened'])}; its documentation says float32; {UPGRADE}"
    )
    assert not seen["changed"], (
        f"loading changed the values of {len(seen['changed'])} tensors of the {precision} adapter of {model}, first "
        f"{seen['changed'][0]}; expected the saved values; is the adapter rounded on its way?"
    )


WAYS = {
    "file": "in its file",
    "kept": "loaded by peft with autocast_adapter_dtype=False",
    "ours": "loaded by lorabench",
    "transformers": "loaded by transformers",
}


@subjects
@new_tokens
def test_new_tokens_survive_saving_and_merging(model: str, trains: str, check: Any) -> None:
    """A resized vocabulary comes back from the adapter's file and from a merged model, whatever of it trains."""
    require_equal_logits(model, trains, check("vocabulary", model=model, trains=trains))


@pytest.mark.subjects("tiny_llama")
@new_tokens
def test_tied_head_survives_saving_and_merging(model: str, trains: str, check: Any) -> None:
    """The same where the head is the embedding, which it stays."""
    seen = check("vocabulary", model=model, trains=trains, tied=True)
    require_equal_logits(f"{model} with a tied head", trains, seen)
    assert seen["stays_tied"] == [True, True], (
        f"merged, and merged, saved and loaded, {model}'s head is tied to its embedding: {seen['stays_tied']}; "
        f"expected both; was the config or the weight replaced? {UPGRADE}"
    )


def require_equal_logits(model: str, trains: str, seen: dict[str, Any]) -> None:
    """Fail unless the model with new tokens has the trained model's logits after loading and after merging."""
    assert seen["loaded"] == 0, (
        f"loaded onto a base that was resized again, the adapter ({trains}) of {model} gives logits that differ by "
        f"{seen['loaded']:.3g}, relative to their norm; expected 0; are the rows of new tokens missing from the file?"
    )
    for way in ("merged", "merged_and_saved"):
        assert seen[way] <= ROUNDING, (
            f"{way.replace('_', ' ')}, the adapter ({trains}) of {model} gives logits that differ by {seen[way]:.3g}, "
            f"relative to their norm; rounding explains {ROUNDING:g}; is a delta merged twice, or a new row lost?"
        )


def listed(values: list[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
