"""Calculations that claims of papers name: each gives the figure of an example done by hand, and sees a changed one."""

import pytest
from claim_records import TABLE, claim_of, evidence_of

from bench.core.files import BadFile
from bench.judge.claims.book import read_claims
from bench.judge.claims.calculations import CALCULATIONS
from bench.judge.claims.kinds import arithmetic

LLAMA = {
    "name": "small_llama",
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
QUERY = ["q_proj"]  # 8 -> 8, in each of two layers
LINEAR = 2 * (8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16)
BASE = LINEAR + 100 * 8 + 5 * 8
MATRICES = [[8, 4, 3], [4, 8, 1]]
MODEL = """source = "900"
title = "a paper"

[models.small]
model_type = "llama"
vocab_size = 100
hidden_size = 8
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 16
max_position_embeddings = 64

[x900-one]
where = "Table 1"
says = "LoRA trains 64 parameters"
kind = "arithmetic"
quantity = "trainable_parameters"
value = 64
unit = "parameters"
comparator = "equal"
protocol = { task = "none", model = "none", method = "lora", data = "unstated", recipe = "unstated", device = "unstated", seeds = "unstated" }
tolerance = 0
tolerance_reason = "exact"
by = { calculation = "adapter_parameters", form = "lora", rank = 2, config = "small", targets = ["q_proj"] }
expected = "confirmed"
evidence = "computed"
"""


def verdict(**changes):
    claim = claim_of(TABLE, **changes)
    return arithmetic.judge(claim, evidence_of(claims=[claim]))


@pytest.mark.parametrize(
    ("by", "unit", "quantity", "value"),
    [
        ({"calculation": "product", "of": [3, 4]}, "rows", "batch", 12),
        ({"calculation": "difference", "of": 0.5, "less": 0.125}, "bits", "bits_per_parameter", 0.375),
        ({"calculation": "increase", "of": 12, "over": 10}, "%", "relative_change", 20),
        ({"calculation": "decrease", "of": 8, "over": 10}, "%", "relative_change", 20),
        (
            {"calculation": "sum_of_quotients", "of": [8, 32], "over": [64, 128]},
            "bits",
            "bits_per_parameter",
            0.375,
        ),
        ({"calculation": "smallest", "of": [3, 2, 4]}, "s", "duration", 2),
        ({"calculation": "largest", "of": [3, 2, 4]}, "s", "duration", 4),
        ({"calculation": "smallest_growth", "of": [2, 6, 6], "over": [1, 1, 2]}, "x", "ratio", 0.5),
        ({"calculation": "spread_ratio", "of": [5, 4, 6], "over": [1, 9, 2]}, "x", "ratio", 0.25),
        (
            {
                "calculation": "steps_ratio",
                "rows": 33,
                "batch": 8,
                "accumulation": 1,
                "other_batch": 1,
                "other_accumulation": 4,
            },
            "x",
            "ratio",
            5 / 9,
        ),
        ({"calculation": "fibonacci_terms", "given": "1, 1, 2", "answer": "3, 5, 9, 14"}, "in all", "count", 2),
        (
            {"calculation": "adapter_parameters", "form": "lora", "rank": 2, "matrices": MATRICES},
            "parameters",
            "trainable_parameters",
            2 * 12 * 4,
        ),
        (
            {"calculation": "adapter_parameters", "form": "dora", "rank": 2, "matrices": MATRICES},
            "parameters",
            "trainable_parameters",
            2 * 12 * 4 + 3 * 4 + 8,
        ),
        (
            {"calculation": "adapter_parameters", "form": "vera", "rank": 2, "matrices": MATRICES},
            "parameters",
            "trainable_parameters",
            3 * (4 + 2) + 8 + 2,
        ),
        (
            {"calculation": "adapter_parameters", "form": "dvora", "rank": 2, "matrices": MATRICES},
            "parameters",
            "trainable_parameters",
            3 * (8 + 2) + 16 + 2,
        ),
        (
            {"calculation": "adapter_bytes", "form": "ia3", "bytes_each": 4, "matrices": MATRICES},
            "bytes",
            "memory",
            4 * (3 * 4 + 8),
        ),
        (
            {"calculation": "adapter_share", "form": "lora", "rank": 2, "config": LLAMA, "targets": QUERY},
            "fraction",
            "trainable_share",
            64 / (BASE + 64),
        ),
        (
            {"calculation": "adapted_total", "form": "lora", "rank": 2, "config": LLAMA, "targets": QUERY},
            "parameters",
            "total_parameters",
            BASE + 64,
        ),
        ({"calculation": "config_parameters", "config": LLAMA}, "parameters", "total_parameters", BASE),
        (
            {
                "calculation": "least_seconds",
                "model": "gpt2",
                "rows": 10,
                "tokens_per_row": 3,
                "peak_tflops": 2,
                "checkpointing": True,
            },
            "s",
            "duration",
            6 * (12 * 12 * 768**2 + 768 * 50257) * 30 / 2e12,
        ),
    ],
)
def test_calculations(by, unit, quantity, value):
    found = verdict(by=by, unit=unit, quantity=quantity, value=value)
    agrees = "possible" if CALCULATIONS[by["calculation"]].bound else "confirmed"
    assert found.state == agrees, found.says
    assert verdict(by=by, unit=unit, quantity=quantity, value=value * 0.9).state not in ("possible", "confirmed")


@pytest.mark.parametrize(
    ("by", "least"),
    [
        ({"calculation": "least_bytes", "parameters": 100, "bytes_each": 16}, 1600),
        ({"calculation": "config_weight_bytes", "config": LLAMA, "bits": 4}, LINEAR / 2 + 2 * (BASE - LINEAR)),
        ({"calculation": "config_weight_bytes", "config": LLAMA, "bits": 16, "cards": 2}, BASE),
        (
            {"calculation": "config_weight_bytes", "config": LLAMA, "bits": 4, "constants_bits": 0.5},
            LINEAR * 4.5 / 8 + 2 * (BASE - LINEAR),
        ),
        (
            {"calculation": "weight_bytes", "model": "llama2_7b", "bits": 4, "constants_bits": 0.5},
            6_476_005_376 * 4.5 / 8 + 2 * 262_410_240,
        ),
    ],
)
def test_figure_below_the_least_is_implausible(by, least):
    assert verdict(by=by, unit="bytes", quantity="memory", value=least).state == "possible"
    assert verdict(by=by, unit="bytes", quantity="memory", value=least - 1).state == "implausible"


@pytest.mark.parametrize(("model", "encoder"), [("bert_base", True), ("llama2_7b", False)])
def test_encoder_is_told_from_a_decoder(model, encoder):
    by = {"calculation": "has_encoder", "model": model}
    assert verdict(by=by, unit="yes/no", quantity="property", value=encoder).state == "confirmed"
    assert verdict(by=by, unit="yes/no", quantity="property", value=not encoder).state == "refuted"


def test_sentence_shows_the_matrices_it_counted():
    by = {"calculation": "adapter_parameters", "form": "lora", "rank": 2, "matrices": MATRICES}
    found = verdict(by=by, unit="parameters", quantity="trainable_parameters", value=96)
    assert "3 × 2 × (8 + 4) + 1 × 2 × (4 + 8) = 96 parameters" in found.says


def test_model_is_given_by_its_config_in_the_claims_file(tmp_path):
    (tmp_path / "paper.toml").write_text(MODEL, encoding="utf-8")
    claim = read_claims(tmp_path)["x900-one"]
    assert claim.by["config"]["hidden_size"] == 8
    assert arithmetic.judge(claim, evidence_of(claims=[claim])).state == "confirmed"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('config = "small"', 'config = "smal"', "paper.toml [x900-one]: by.config: 'smal' is unknown; did you mean small"),
        ("hidden_size = 8", "hidden_size = 9", "paper.toml [models.small]: the config of small has"),
        ('model_type = "llama"', 'model_type = "t5"', "paper.toml [models.small]: small is of model_type 't5'"),
        ("vocab_size = 100\n", "", "paper.toml [models.small]: the config of small lacks vocab_size"),
    ],
)  # fmt: skip
def test_model_that_cannot_be_is_refused_with_its_file(tmp_path, old, new, says):
    (tmp_path / "paper.toml").write_text(MODEL.replace(old, new), encoding="utf-8")
    with pytest.raises(BadFile) as raised:
        read_claims(tmp_path)
    assert str(raised.value).startswith(says)
