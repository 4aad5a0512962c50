"""`python -m bench fit`: what a person with a card sees, and one sentence for what cannot be asked."""

import json
import time

import pytest

from bench.__main__ import main
from bench.commands import fit as fit_command
from bench.machine.cards import CARDS, GIB
from bench.models import MODELS
from bench.predict import both
from bench.predict.card.budget import read_budget
from bench.predict.card.fit import fit
from bench.predict.formula.closed_form import closed_form
from bench.predict.question import ask
from bench.predict.terms import Peaks

SMALL = ("--models", "qwen3_06b", "--methods", "lora", "--cards", "rtx4060_8gb")
MODELS_3 = "llama31_8b,qwen3_8b,qwen3_4b"
METHODS_5 = "full,lora,lora_all,qlora,qlora_lean"
CARDS_6 = "rtx4060_8gb,rtx3060_12gb,l4,rtx4090,rtx5090,h200"


def told(capsys, *words):
    """(exit code, what was printed, what was said of a mistake)."""
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, "".join(line for line in err.splitlines(keepends=True) if not line.startswith("next: "))


def fits_of(capsys, *words):
    code, out, _ = told(capsys, "fit", *words, "--json")
    assert code == 0
    return json.loads(out)["fits"]


def test_one_table_has_a_line_for_each_model_method_and_card(capsys):
    code, out, err = told(capsys, "fit", "--models", "qwen3_4b,qwen3_8b", "--methods", "lora,qlora",
                          "--cards", "rtx3060_12gb,laptop=6", "--batch", "1", "--length", "1024")  # fmt: skip
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if line.startswith("qwen3_")]
    assert [(row[0], row[1], row[5]) for row in rows] == [
        (model, method, card)
        for model in ("qwen3_4b", "qwen3_8b") for method in ("lora", "qlora") for card in ("rtx3060_12gb", "laptop")
    ]  # fmt: skip
    assert out.startswith("bfloat16, gradient checkpointing on\n")
    assert max(map(len, (line for line in out.splitlines() if line.startswith("qwen3_")))) <= 100


@pytest.mark.parametrize("model", ["qwen3_4b", "mistral_7b", "gemma3_1b"])
@pytest.mark.parametrize("method", ["lora", "qlora_lean"])
def test_largest_sizes_are_the_last_that_fit(capsys, model, method):
    (found,) = fits_of(
        capsys, "--models", model, "--methods", method, "--cards", "rtx4090", "--batch", "2", "--length", "1000"
    )
    card, asked = CARDS["rtx4090"], ask(model, method, batch_size=2, max_length=1000)
    longest, most = found["largest_length"], found["largest_batch"]
    assert fit(closed_form(asked.at(max_length=longest)), card).fits
    assert (
        longest == asked.method.longest_row(asked.entry, asked.recipe)
        or not fit(closed_form(asked.at(max_length=longest + 8)), card).fits
    )
    assert fit(closed_form(asked.at(batch_size=most)), card).fits
    assert not fit(closed_form(asked.at(batch_size=most + 1)), card).fits


def test_what_does_not_fit_has_no_largest_size_and_says_the_least(capsys):
    (found,) = fits_of(capsys, "--models", "llama31_70b", "--methods", "qlora", "--cards", "rtx3060_12gb")
    assert (found["fits"], found["largest_length"], found["largest_batch"]) == (False, 0, 0)
    assert CARDS["rtx3060_12gb"].total_bytes < found["least_bytes"] < found["needed_bytes"]


def test_needs_are_what_the_card_must_have(capsys):
    (found,) = fits_of(capsys, *SMALL, "--batch", "1", "--length", "512")
    peaks = closed_form(ask("qwen3_06b", "lora", batch_size=1, max_length=512)).peak_bytes
    assert found["fits"] is (found["needed_bytes"] <= CARDS["rtx4060_8gb"].total_bytes)
    assert peaks + CARDS["rtx4060_8gb"].context_bytes < found["needed_bytes"] < 1.1 * peaks + GIB


def test_checkpoints_are_on_for_every_decoder_and_it_says_so(capsys, tmp_path):
    config = {**MODELS["llama2_7b"].config, "model_type": "llama"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = fits_of(capsys, "--models", f"llama2_7b,llama31_8b,{tmp_path}", "--methods", "qlora", "--cards", "l4")
    assert [one["gradient_checkpointing"] for one in found] == [True] * 3
    assert found[0]["needed_bytes"] == found[2]["needed_bytes"]
    _, out, _ = told(capsys, "fit", "--models", "llama2_7b", "--methods", "qlora", "--cards", "l4")
    assert "note: --length was left out: rows of 2,048 tokens, the recipe's; memory grows with them" in out
    assert "note: --checkpointing was left out: on, as for every decoder; off keeps all activations" in out
    _, out, _ = told(capsys, "fit", *SMALL, "--length", "512", "--checkpointing", "off")
    assert "left out" not in out
    assert out.startswith("bfloat16, gradient checkpointing off\n")


def test_a_model_of_the_hub_is_a_known_one_or_its_config_json(capsys, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({**MODELS["llama2_7b"].config, "model_type": "llama"}), "utf-8")
    monkeypatch.setattr(fit_command, "config_file", lambda hub_id, revision: tmp_path / "config.json")
    words = ("--models", f"{MODELS['qwen3_4b'].hub_id},somebody/Their-Llama", "--methods", "qlora", "--cards", "l4")
    assert [one["model"] for one in fits_of(capsys, *words)] == ["qwen3_4b", "their_llama"]
    assert [one["model"] for one in fits_of(capsys, *words)] == ["qwen3_4b", "their_llama"]  # asked twice, added once


def test_what_has_no_closed_form_is_traced_with_progress(capsys, monkeypatch):
    monkeypatch.setattr(both, "trace_of", lambda question: Peaks({"forward": {"what trains": 9 * GIB}}))
    words = ("fit", "--models", "llama31_8b", "--methods", "dora", "--cards", "rtx3060_12gb,rtx4060_8gb")
    code, out, err = told(capsys, *words)
    assert code == 0
    assert err.startswith("tracing llama31_8b × dora: batch 2 × 2048 tokens")
    assert err.count("\n") == 1
    assert [line.split()[7] for line in out.splitlines() if line.startswith("llama")] == ["yes", "no"]
    assert "note: dora has no closed form and was traced at this size; predict --largest searches its largest" in out
    code, out, err = told(capsys, *words, "--quick")
    assert (code, err) == (0, "")
    assert [line.split()[6:8] for line in out.splitlines() if line.startswith("llama")] == [["–", "?"]] * 2
    assert "note: dora has no closed form: DoRA's norms take" in out


def test_a_pair_that_cannot_work_is_said_below_the_others(capsys):
    code, out, _ = told(capsys, "fit", "--models", "gpt2", "--methods", "lora,olora", "--cards", "l4")
    assert code == 0
    assert "note: olora does not suit gpt2: " in out
    assert told(capsys, "fit", "--models", "gpt2", "--methods", "olora")[0] == 2


def test_a_card_without_bfloat16_says_what_differs(capsys):
    _, out, _ = told(capsys, "fit", "--models", "qwen3_06b", "--methods", "lora", "--cards", "t4")
    assert "note: t4 has no bfloat16: precision = float16 there, and other attention kernels" in out


def test_markdown_is_a_table(capsys):
    _, out, _ = told(capsys, "fit", *SMALL, "--markdown")
    lines = [line for line in out.splitlines() if line.startswith("|")]
    assert lines[0] == "| model | method | batch | card | needs GiB | fits | longest row | most rows | least GiB |"
    assert len(lines) == 3


def test_quick_answers_for_ninety_in_three_seconds(capsys):
    began = time.process_time()
    found = fits_of(capsys, "--models", MODELS_3, "--methods", METHODS_5, "--cards", CARDS_6, "--quick")
    assert len(found) == 90
    assert time.process_time() - began < 3


@pytest.mark.parametrize(("words", "sentence"), [
    (("--models", "qwen3_4bb"), "no model named 'qwen3_4bb'; did you mean qwen3_4b"),
    (("--models", "qwen3_4b", "--methods", "qlor"), "no method named 'qlor'; did you mean qlora"),
    (("--models", "qwen3_4b", "--cards", "rtx3060"), "no card named 'rtx3060'; did you mean rtx3090, rtx3060_12gb, rtx5090?"),
    (("--models", "qwen3_4b", "--cards", "mine=0.5"), "'mine=0.5': a CUDA context alone takes 0.74 GiB; expected more"),
    (("--models", "qwen3_4b", "--cards", "12"), "budget '12' needs a unit: 12GB is 10^9 bytes each, 12GiB 2^30"),
    (("--models", "./nowhere"), "nowhere: No such file or directory; it must be a model's config.json, or its folder"),
    (("--models", "qwen3_4b", "--length", "0"), "length 0 must be at least 1"),
    (("--models", "qwen3_4b", "--batch", "0"), "batch 0 must be at least 1"),
    (("--models", "qwen3_4b", "--length", "99999"), "length 99999 is more than 40960 tokens, the most in multiples of 8"),
    (("--models", ","), "name at least one model and one method"),
    (("--models", "qwen3_4b", "--json", "--markdown"), "--json does not go with --markdown; ask for one"),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(capsys, words, sentence):
    code, out, err = told(capsys, "fit", *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("kind", "why"), [
    ("qwen3_moe", "it is a mixture of experts, of which each token passes through a few"),
    ("phi3", "its queries, keys and values are one matrix, as are gate and up (Phi-3 and Phi-4)"),
    ("olmo2", "its norms come behind attention and feed-forward layer"),
])  # fmt: skip
def test_a_family_that_is_missing_says_why(capsys, tmp_path, kind, why):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}), encoding="utf-8")
    code, _, err = told(capsys, "fit", "--models", str(tmp_path))
    assert code == 2
    assert why in err
    assert "the families here are of bert, roberta, mpnet, gpt2, llama" in err


def test_of_a_multimodal_gemma_the_text_part_is_predicted(capsys, tmp_path):
    """The numbers that google/gemma-3-4b-pt's config.json states."""
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024,
            "model_type": "gemma3_text"}  # fmt: skip
    folder = tmp_path / "gemma-3-4b-pt"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text}), encoding="utf-8")
    words = ("--config", str(folder), "--method", "qlora", "--length", "512", "--quick")
    code, out, _ = told(capsys, "predict", *words)
    assert code == 0
    assert "note: of its parts the language model alone is predicted" in out


@pytest.mark.parametrize("words", [
    ("--method", "lora,qlora", "--budget", "12GB,laptop=8"),
    ("--method", "lora", "--budget", "12GB,laptop=8"),
    ("--method", "lora,qlora"),
    ("--method", "qlora", "--budget", "rtx3060_12gb"),
])  # fmt: skip
def test_predict_of_several_is_the_same_table(capsys, words):
    shape = ("--batch", "1", "--length", "512")
    code, out, err = told(capsys, "predict", "--model", "qwen3_4b", *words, *shape)
    assert (code, err) == (0, "")
    options = dict(zip(words[::2], words[1::2], strict=True))
    cards = ("--cards", options["--budget"]) if "--budget" in options else ()
    assert out == told(capsys, "fit", "--models", "qwen3_4b", "--methods", options["--method"], *cards, *shape)[1]


def test_largest_searches_for_one(capsys):
    code, _, err = told(capsys, "predict", "--model", "qwen3_4b", "--method", "lora,qlora", "--largest", "length",
                        "--budget", "12GB")  # fmt: skip
    assert code == 2
    assert "--largest searches for one; name one method, or ask `python -m bench fit` for a table" in err


def test_a_card_of_ones_own_is_a_budget_too():
    assert read_budget("laptop=7.5").total_gib == 7.5
    assert read_budget("laptop=7.5").context_bytes > 0


def test_a_trainers_own_defaults_decide_and_are_said(capsys):
    words = ("--model", "llama31_8b", "--method", "lora", "--batch", "2", "--length", "2048", "--trainer", "trl")
    code, out, err = told(capsys, "predict", *words)
    assert (code, err) == (0, "")
    assert out.startswith("llama31_8b × lora by trl: batch 2 × 2048 tokens")
    assert "note: --checkpointing was left out: on, the default of trl" in out
    assert 'note: to save memory by trl: model_init_kwargs={"dtype": "bfloat16"} saves ' in out
    of = ("--models", "llama31_8b", "--methods", "qlora", "--cards", "rtx3090", "--length", "1024")
    needs = {name: fits_of(capsys, *of, *by)[0]["needed_bytes"]
             for name, by in (("own", ()), ("trl", ("--trainer", "trl")), ("axolotl", ("--trainer", "axolotl")))}  # fmt: skip
    assert (
        needs["trl"] < needs["own"] < needs["axolotl"]
    )  # chunks of logits; all activations, unless one says otherwise
    code, _, err = told(capsys, "fit", *of, "--trainer", "unslot")
    assert (code, err) == (
        2,
        "bench: no trainer named 'unslot'; did you mean unsloth, unsloth_2024, unsloth_2024_12?\n",
    )
