"""`python -m bench predict`: what a person sees, and one sentence for what cannot be asked."""

import json
import math
import re
import sys

import pytest

from bench.__main__ import main
from bench.core.registry import unknown
from bench.judge.claims import gathering
from bench.judge.compare import engines
from bench.judge.predictions import growth
from bench.machine import devices
from bench.machine.cards import CARDS, GIB, MIB
from bench.methods import METHODS
from bench.models import MODELS, BadEntry
from bench.models.of_config import entry_of, read_config
from bench.models.shapes import total_parameters
from bench.predict import both
from bench.predict.card.budget import BadBudget, read_budget
from bench.predict.card.fit import fit, least_bytes
from bench.predict.card.search import FIELDS, DoesNotFit, largest, largest_that_fits, size_of
from bench.predict.formula.closed_form import closed_form
from bench.predict.prediction import Prediction
from bench.predict.question import BadQuestion, ask
from bench.predict.terms import Peaks
from bench.report.prediction import as_text

QUICK = ("predict", "--model", "llama31_8b", "--method", "qlora", "--quick")


def told(capsys, *words):
    """(exit code, what was printed, what was said of a mistake)."""
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, "".join(line for line in err.splitlines(keepends=True) if not line.startswith("next: "))


@pytest.fixture
def no_trace(monkeypatch):
    """The closed form in the trace's place: what the command does with it is the same, and takes no time."""
    monkeypatch.setattr(both, "trace_of", lambda question: Peaks(closed_form(question).phases))


def test_quick_answer_has_terms_phases_and_cards(capsys):
    code, out, _ = told(capsys, *QUICK, "--batch", "2", "--length", "2048")
    assert code == 0
    for said in ("batch 2 × 2048 tokens, rank 16", "weights, quantised codes", "logits and loss", "GiB by phase"):
        assert said in out
    assert [line.split()[0] for line in out.splitlines() if " GiB  " in line] == CARDS.names()
    assert "  rtx4060_8gb       7.8     7.0 GiB  lacks " in out
    assert "  h200            139.7   139.0 GiB  fits, " in out


@pytest.mark.usefixtures("no_trace")
def test_both_ways_stand_side_by_side(capsys):
    _, out, _ = told(capsys, *QUICK[:-1])
    assert "closed form         trace" in out


@pytest.mark.usefixtures("no_trace")
def test_json_has_all_of_it(capsys):
    _, out, _ = told(capsys, *QUICK[:-1], "--rank", "32", "--json")
    found = json.loads(out)
    assert (found["model"], found["rank"], found["length"]) == ("llama31_8b", 32, 2048)
    assert found["closed_form"] == found["trace"]
    assert "searched" not in found
    assert found["peak_bytes"] == max(sum(phase.values()) for phase in found["trace"].values())
    assert found["fits"].keys() == set(CARDS.names())


def test_a_method_without_closed_form_says_so_beside_its_trace():
    asked = ask("tiny_llama", "dora", max_length=64)
    lines = as_text(Prediction(asked, None, Peaks({"forward": {"what trains": 1}}), ["dora has no closed form: so"]))
    assert "note: dora has no closed form: so" in lines


@pytest.mark.parametrize("what", ["length", "batch"])
def test_largest_is_the_last_that_fits(capsys, what):
    other = {"length": ("--batch", "1"), "batch": ("--length", "1024")}[what]
    code, out, _ = told(capsys, *QUICK, *other, "--largest", what, "--budget", "16GB", "--json")
    found, card = json.loads(out), read_budget("16GB")
    assert code == 0
    assert found["searched"] == {
        "what": what, "budget": "16GB", "budget_bytes": 16 * 10**9, "largest": found[what], "is_last": False,
    }  # fmt: skip
    asked = ask("llama31_8b", "qlora", batch_size=found["batch"], max_length=found["length"])
    next_up = {"length": asked.at(max_length=found["length"] + 8), "batch": asked.at(batch_size=found["batch"] + 1)}
    assert fit(closed_form(asked), card).fits
    assert not fit(closed_form(next_up[what]), card).fits


@pytest.mark.parametrize(("what", "other"), [("length", ("--batch", "64")), ("batch", ("--length", "512"))])
@pytest.mark.parametrize("method", ["lora", "dora"])  # with a closed form to begin at, and without
def test_largest_by_traces_is_judged_as_the_table_of_cards(capsys, method, what, other):
    shape = ("--model", "tiny_llama", "--method", method, *other)
    code, out, err = told(capsys, "predict", *shape, "--largest", what, "--budget", "150MB")
    size, beyond = map(int, re.match(f"largest {what} that fits 150MB: ([0-9]+); ([0-9]+) does not\n", out).groups())
    assert code == 0
    assert f"tracing a {what} of {size}\n" in err
    asked = ask("tiny_llama", method, batch_size=64, max_length=512)
    field, card = FIELDS[what], read_budget("150MB")
    assert fit(both.trace_of(asked.at(**{field: size})), card).fits
    assert not fit(both.trace_of(asked.at(**{field: beyond})), card).fits


@pytest.mark.parametrize("budget", ["150MB", "1MB"])
def test_traces_begin_where_the_closed_form_ends_and_are_made_once(capsys, monkeypatch, budget):
    asked, card = ask("tiny_llama", "lora"), read_budget(budget)
    traced = []

    def trace_of(question):
        traced.append(question.recipe.batch_size)
        return Peaks(closed_form(question).phases)

    monkeypatch.setattr(both, "trace_of", trace_of)
    words = ("predict", "--model", "tiny_llama", "--method", "lora", "--largest", "batch", "--budget", budget)
    if budget == "1MB":
        assert "does not fit 1MB: a batch of 1 needs" in told(capsys, *words)[2]
        assert traced == [1]
    else:
        largest_of_all = size_of(largest_that_fits(asked, "batch", card).question, "batch")
        assert told(capsys, *words, "--json")[0] == 0
        assert traced[0] == largest_of_all
        assert len(traced) == len(set(traced))


@pytest.mark.parametrize(("model", "method", "most"), [
    ("gpt2", "lora", 1024), ("gpt2", "prompt", 1008), ("roberta_base", "full", 512), ("tiny_bert", "lora", 512),
])  # fmt: skip
def test_a_row_is_no_longer_than_there_are_positions(model, method, most):
    asked = ask(model, method)
    assert asked.method.longest_row(asked.entry, asked.recipe) == most
    found = largest_that_fits(asked, "length", read_budget("9TB"), lambda question: Peaks({}))
    assert (size_of(found.question, "length"), found.is_last) == (most, True)


def test_a_length_that_is_not_said_fits_the_model():
    assert ask("gpt2", "lora").recipe.max_length == 1024
    assert ask("llama31_8b", "lora").recipe.max_length == 2048
    with pytest.raises(
        BadQuestion,
        match="1024 is more than 1008 tokens, the most in multiples of 8 that gpt2 has positions for beside 16 virt",
    ):
        ask("gpt2", "prompt", max_length=1024)


def test_a_card_that_computes_otherwise_is_named_at_once(capsys):
    _, out, _ = told(capsys, *QUICK, "--largest", "length", "--batch", "1", "--budget", "t4")
    assert re.match("largest length that fits t4: .* does not \\(no bfloat16", out)


def test_no_card_has_more_free_than_is_usable(capsys):
    _, out, _ = told(capsys, *QUICK, "--batch", "1", "--length", "128")
    rows = re.findall(r"^  \S+ +[0-9.]+ +([0-9.]+) GiB  fits, ([0-9.]+) GiB free", out, re.MULTILINE)
    assert len(rows) > 5
    asked = closed_form(ask("llama31_8b", "qlora", batch_size=1, max_length=128)).peak_bytes
    for usable, free in rows:
        assert float(free) == pytest.approx(float(usable) - asked / GIB / 0.97, abs=0.2)


def tries(need, budget, most, first):
    """(what is found, whose need was asked)"""
    asked = []
    return largest(lambda size: (asked.append(size) or need(size)) <= budget, most, first), asked


@pytest.mark.parametrize("start", [0.9, 0.97, 1.0, 1.03, 1.1])
@pytest.mark.parametrize("step", [2 * MIB, 6 * MIB, 60 * MIB])
def test_search_needs_few_tries_near_the_answer(step, start):
    """As of an allocator: on a base of 6 GB, in stairs of 20 MiB."""

    def need(size):
        return 6000 * MIB + size * step // (20 * MIB) * 20 * MIB

    answer = next(size for size in range(1, 65_536) if need(size + 1) > 12e9)
    found, asked = tries(need, 12 * 10**9, 65_536, first=round(start * answer))
    assert found == answer
    assert len(asked) <= 3 + math.ceil(math.log2(answer / 8))  # first, a 16th and an 8th away, and that 8th halved
    assert max(asked) < 1.3 * answer


@pytest.mark.parametrize(("budget", "found"), [(2, 0), (3, 1), (14, 4), (1000, 9)])
@pytest.mark.parametrize("first", [1, 4, 9, 20])
def test_search_ends_at_its_ends(budget, found, first):
    assert largest(lambda size: 3 * size <= budget, 9, first) == found


@pytest.mark.parametrize("first", [1, 70, 4000, 65_536])
def test_search_ends_where_need_falls_again(first):
    def need(size):
        return 5000 + 10 * (size % 7 - 3) if size < 5000 else 9000

    found, asked = tries(need, 5000, 65_536, first)
    assert need(found) <= 5000 < need(found + 1)
    assert len(asked) < 40


def test_what_never_fits_is_an_error_with_the_figure():
    with pytest.raises(
        DoesNotFit,
        match=r"llama31_70b × qlora does not fit 8GB: a batch of 1 needs 50[0-9.]+ GB of the 8.00 GB that are usable",
    ):
        largest_that_fits(ask("llama31_70b", "qlora"), "batch", read_budget("8GB"))


@pytest.mark.parametrize(("text", "amount"), [("8GB", 8e9), ("7.5 GiB", 7.5 * GIB), ("500mb", 5e8)])
def test_budget_has_a_unit(text, amount):
    assert read_budget(text).usable_bytes == read_budget(text).total_bytes == amount


@pytest.mark.parametrize("text", ["0.0000000001GB", "9" * 400 + "GB"])
def test_a_budget_is_a_number_of_bytes(text):
    with pytest.raises(BadBudget, match="must be at least a byte, and finite"):
        read_budget(text)


def test_what_is_needed_does_not_depend_on_the_budget():
    peaks = closed_form(ask("llama31_8b", "qlora"))
    sizes = {least_bytes(peaks, read_budget(budget)) for budget in ("1GB", "100GB")}
    assert len(sizes) == 1
    (size,) = sizes
    assert fit(peaks, read_budget(f"{size / 1e9 + 1e-6}GB")).fits
    assert not fit(peaks, read_budget(f"{size / 1e9 - 1e-6}GB")).fits


def test_a_card_is_a_budget_without_what_is_cudas_own():
    assert read_budget("t4") is CARDS["t4"]
    assert CARDS["t4"].cannot("bfloat16").startswith("no bfloat16")
    assert CARDS["a100_40gb"].cannot("bfloat16") == ""


@pytest.mark.parametrize(("words", "sentence"), [
    (("--batch", "0"), "batch 0 must be at least 1"),
    (("--length", "-8"), "length -8 must be at least 1"),
    (("--rank", "0"), "rank 0 must be at least 1"),
    (("--method", "full", "--rank", "4"), "full has no rank"),
    (("--method", "prompt", "--rank", "4"), "prompt has no rank"),
    (("--length", "200000"), "length 200000 is more than 131072 tokens, the most in multiples of 8 that llama31_8b has positions for"),
    (("--largest", "length", "--budget", "8"), "budget '8' needs a unit: 8GB is 10^9 bytes each, 8GiB 2^30"),
    (("--largest", "length", "--budget", "0GB"), "budget '0GB' must be at least a byte, and finite"),
    (("--largest", "length", "--budget", "0.1e"), "budget '0.1e' needs a unit: 0.1GB is 10^9 bytes each, 0.1GiB 2^30"),
    (("--largest", "length", "--budget", "rtx309"), str(unknown("card", "rtx309", [*CARDS.names(), "NAME=GiB"]))),
    (("--largest", "length"), "--largest needs --budget, as --budget 8GB or --budget rtx3090"),
    (("--largest", "batch", "--budget", "8GB", "--batch", "2"),
     "--largest batch searches the batch; ask without --batch"),
    (("--steps", "2"), "--steps does not go with --model, but with --case"),
    (("--data", "full"), "--data does not go with --model, but with --case"),
    (("--published",), "--model does not go with --published"),
    (("--baseline",), "--model does not go with --baseline"),
    (("--method", "qlorra"), str(unknown("method", "qlorra", METHODS.names()))),
    (("--model", "llama31_9b"), str(unknown("model", "llama31_9b", MODELS.names()))),
    (("--method", "dora"), "dora has no closed form: DoRA's norms take a dequantised or multiplied copy of each weight; "
                           "the trace has its figure"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(capsys, words, sentence):
    code, out, err = told(capsys, *QUICK, *words)
    assert (code, out, err) == (2, "", f"bench: {sentence}\n")


@pytest.mark.parametrize(("words", "sentence"), [
    (("--published", "--steps", "3"), "--steps does not go with --published, but with --case"),
    (("--measured", "--json"), "--json does not go with --measured, but with --case or --config or --model"),
    (("--measured", "--baseline"), "--measured does not go with --baseline"),
])  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(capsys, words, sentence):
    assert told(capsys, "predict", *words) == (2, "", f"bench: {sentence}\n")


OWN = """
from dataclasses import replace
from bench.models import MODELS, add
add(replace(MODELS["tiny_llama"], name="own_llama", {change}))
"""


@pytest.fixture
def write_own(tmp_path, monkeypatch):
    """Write a person's module `own_models`, whose model is tiny_llama with a change; it is unknown again afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda change: (tmp_path / "own_models.py").write_text(OWN.format(change=change), encoding="utf-8")
    sys.modules.pop("own_models", None)
    if "own_llama" in MODELS:
        MODELS.remove("own_llama")


@pytest.mark.parametrize("by_option", [True, False])
def test_a_persons_own_model_is_predicted(capsys, monkeypatch, write_own, by_option):
    write_own("config=MODELS['tiny_llama'].config | {'num_hidden_layers': 3}")
    if not by_option:
        monkeypatch.setenv("LORABENCH_ENTRIES", "own_models")
    words = ("predict", "--model", "own_llama", "--method", "lora", "--quick", "--json")
    code, out, err = told(capsys, *words, *(("--entries", "own_models") if by_option else ()))
    assert (code, err) == (0, "")
    peaks = {name: closed_form(ask(name, "lora")).peak_bytes for name in ("tiny_llama", "own_llama")}
    assert peaks["own_llama"] > peaks["tiny_llama"]
    assert json.loads(out)["peak_bytes"] == peaks["own_llama"]


CONFIGS = {  # with what transformers has written into them over the years, and what others have
    "Qwen3-1.7B": {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "head_dim": 128, "hidden_act": "silu",
        "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 40960, "max_window_layers": 28,
        "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": True,
        "use_sliding_window": False, "vocab_size": 151936,
    },
    "Qwen2.5-0.5B-bnb-4bit": {
        "model_type": "qwen2", "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864,
        "max_position_embeddings": 32768, "max_window_layers": 24, "num_attention_heads": 14, "num_hidden_layers": 24,
        "num_key_value_heads": 2, "quantization_config": {"load_in_4bit": True, "quant_method": "bitsandbytes"},
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": True,
        "auto_map": {"AutoModelForCausalLM": "evil.Model"}, "use_sliding_window": False, "vocab_size": 151936,
    },
}  # fmt: skip


@pytest.fixture
def write_config(tmp_path):
    """Write a model's config.json into the folder of this name; what is read of it is unknown again afterwards."""
    known = set(MODELS.names())

    def write(folder, text):
        file = tmp_path / folder / "config.json"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
        return file

    yield write
    for name in set(MODELS.names()) - known:
        MODELS.remove(name)


@pytest.mark.parametrize(("folder", "name", "parameters"), [
    ("Qwen3-1.7B", "qwen3_1_7b", 1_720_574_976),
    ("Qwen2.5-0.5B-bnb-4bit", "qwen2_5_0_5b_bnb_4bit", 494_032_768),
])  # fmt: skip
def test_any_models_config_is_predicted(capsys, write_config, folder, name, parameters):
    file = write_config(folder, json.dumps(CONFIGS[folder]))
    words = ("--method", "qlora", "--batch", "1", "--length", "256", "--json")
    code, out, err = told(capsys, "predict", "--config", str(file.parent), *words)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["model"] == name
    assert total_parameters(MODELS[name]) == parameters
    by_formula = max(sum(terms.values()) for terms in found["closed_form"].values())
    assert by_formula == pytest.approx(found["peak_bytes"], rel=0.03)


@pytest.mark.parametrize(("text", "sentence"), [
    ("{", "config.json: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); it must be a "
          "model's config.json"),
    ("[1]", "config.json states no model_type; a model's config.json does"),
    ('{"model_type": "gemma3"}', "config.json is of model_type 'gemma3', and the families here are of bert, roberta, mpnet, gpt2, llama,"),
    ('{"model_type": "qwen3"}', "the config of odd_model lacks vocab_size, hidden_size, num_hidden_layers,"),
])  # fmt: skip
def test_a_config_that_cannot_be_is_one_sentence(capsys, write_config, text, sentence):
    file = write_config("Odd Model!", text)
    code, out, err = told(capsys, "predict", "--config", str(file), "--method", "lora")
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def named(path):
    return entry_of(read_config(path), path).name


def test_a_config_is_named_after_its_model(write_config):
    cached = write_config("models--Qwen--Qwen3-1.7B/snapshots/70d244cc", json.dumps(CONFIGS["Qwen3-1.7B"]))
    assert named(cached) == named(cached.parent) == "qwen3_1_7b"
    known = json.dumps(dict(MODELS["gpt2"].config) | {"model_type": "gpt2"})
    assert named(write_config("gpt2", known)) == "gpt2_by_config"
    other = cached.parent / "other.json"
    cached.rename(other)
    with pytest.raises(
        BadEntry, match=r"config.json: No such file or directory; it must be a model's config.json, or "
    ):
        read_config(cached.parent)
    assert named(other) == "qwen3_1_7b"


OLD_LLAMA = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
             "num_hidden_layers": 2, "vocab_size": 264, "max_position_embeddings": 512, "gradient_checkpointing": True,
             "return_dict": False}  # fmt: skip


def test_a_llama_of_before_grouped_heads_has_a_key_for_every_query(capsys, write_config):
    file = write_config("old", json.dumps(OLD_LLAMA))
    code, out, err = told(capsys, "predict", "--config", str(file), "--method", "lora", "--length", "64", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert MODELS["old"].config["num_key_value_heads"] == 4
    by_formula = max(sum(terms.values()) for terms in found["closed_form"].values())
    # of all activations, whatever somebody trained by
    assert by_formula == pytest.approx(found["peak_bytes"], rel=0.05)


def test_weights_that_are_stored_otherwise_are_told(capsys, write_config):
    file = write_config("awq", json.dumps({**OLD_LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4}}))
    code, out, _ = told(capsys, "predict", "--config", str(file), "--method", "lora", "--length", "64", "--quick")
    assert code == 0
    assert "note: its config says that its weights are quantised by awq; predicted are weights as the method" in out


@pytest.mark.parametrize(("change", "sentence"), [
    ({"model_type": ["llama"]}, "config.json states no model_type; a model's config.json does"),
    ({"head_dim": 15}, "has num_attention_heads = 4; heads would be 15 wide; positions turn pairs, so it must be even"),
    ({"num_attention_heads": 3}, "has hidden_size = 64; it must be a multiple of num_attention_heads = 3"),
    ({"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": "32"}, "it must be a whole number of at least 1"),
    ({"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": 0}, "it must be a whole number of at least 1"),
    ({"model_type": "qwen2", "num_key_value_heads": 2, "max_window_layers": None}, "must be a whole number of at least 0"),
    ({"model_type": "bert", "type_vocab_size": None}, "has type_vocab_size = None; it must be a whole number of at least 0"),
    ({"model_type": "roberta", "pad_token_id": "1"}, "has pad_token_id = '1'; it must be a whole number of at least 0"),
    ({"rms_norm_eps": "1e-5"}, "transformers refuses the config of odd: StrictDataclassFieldValidationError: "),
    ({"pad_token_id": 264}, "transformers refuses the config of odd: AssertionError: Padding_idx must be within"),
    ({"rope_scaling": {"rope_type": "foo", "factor": 2.0}}, "transformers refuses the config of odd: KeyError: 'foo'"),
    ({"model_type": "qwen2", "num_key_value_heads": 2, "head_dim": None}, "transformers refuses the config of odd: TypeErr"),
    ({"model_type": "gemma3_text", "num_key_value_heads": 2, "head_dim": 16, "sliding_window": None},
     "has sliding_window = None; it must be a whole number of at least 1"),
    ({"model_type": "gemma3_text", "num_key_value_heads": 2, "head_dim": 16, "use_bidirectional_attention": True},
     "has use_bidirectional_attention = True; gemma3_text's formulas here are for False"),
    ({"model_type": "bert", "add_cross_attention": True}, "has add_cross_attention = True; bert's formulas here are for"),
])  # fmt: skip
def test_a_configs_number_that_cannot_be_is_one_sentence(capsys, write_config, change, sentence):
    file = write_config("odd", json.dumps({**OLD_LLAMA, **change}))
    code, out, err = told(capsys, "predict", "--config", str(file), "--method", "lora", "--length", "64")
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [("engines", "pos-tiny_bert-lora-cpu-s0"), ("claims",)])
def test_workers_import_a_persons_own(monkeypatch, write_own, words):
    write_own("")
    seen = []
    for module in (engines, gathering):
        monkeypatch.setattr(module, "Executor", lambda preload, *_: seen.append(preload) or sys.exit())
    with pytest.raises(SystemExit):
        main([*words, "--entries", "own_models"])
    assert [preload[-1] for preload in seen] == ["own_models"]


@pytest.mark.parametrize(("change", "sentence"), [
    ("config={**MODELS['tiny_gpt2'].config}", "BadEntry: the config of own_llama lacks hidden_size, num_hidden_layers,"),
    ("family_name='mixtral'", "UnknownName: no family named 'mixtral'; did you mean mistral?"),
    ("famly=''", "TypeError: "),
])  # fmt: skip
def test_a_model_that_cannot_be_is_one_sentence(capsys, write_own, change, sentence):
    write_own(change)
    code, out, err = told(capsys, *QUICK, "--entries", "own_models")
    assert (code, out) == (2, "")
    assert err.startswith(f"bench: --entries own_models: {sentence}")
    assert err.count("\n") == 1


def test_a_baseline_that_cannot_be_written_is_one_sentence(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(growth, "measure", lambda question: {})
    monkeypatch.setattr(growth, "FILE", tmp_path / "file" / "peaks.json")
    code, out, err = told(capsys, "predict", "--baseline")
    assert (code, out) == (2, "")
    assert err.startswith("bench: [Errno ")
    assert err.count("\n") == 1


def test_an_interrupt_is_one_line(capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(growth, "write_baseline", interrupt)
    assert told(capsys, "predict", "--baseline") == (130, "", "bench: interrupted\n")


@pytest.mark.parametrize(("asked", "sentence"), [
    ("pos-llama31_8b-lora-cpu-s0", "pos is a task for encoder models, and llama31_8b is not one"),
    ("support-tiny_bert-lora-cpu-s0", "support is a task for decoder models, and tiny_bert is not one"),
    ("support-tiny_gpt2-olora-cpu-s0", "olora does not suit tiny_gpt2: "),
    ("pos-minilm_l6-lora-cuda-s0", "needs a CUDA device; this machine has none"),
    ("pos-minilm_l66-lora-cpu-s0", "no model named 'minilm_l66'; did you mean minilm_l6"),
    ("pos-minilm_l6-lora-gpu-s0", "no device named 'gpu'; did you mean cpu"),
])  # fmt: skip
def test_engines_of_a_case_that_cannot_run_are_one_sentence(capsys, monkeypatch, asked, sentence):
    monkeypatch.setattr(devices, "cards", lambda: ())
    monkeypatch.setattr(engines, "Executor", lambda *_: pytest.fail("a worker was started"))
    code, out, err = told(capsys, "engines", asked)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_nothing_asked_is_one_sentence(capsys):
    assert told(capsys, "predict") == (
        2, "", "bench: predict needs --model or --config and --method, or --case, --published, --measured or --baseline\n",
    )  # fmt: skip
