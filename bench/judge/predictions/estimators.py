"""Public estimators of a training step's memory, run on the same rows as this project's predictions.

Each is called as documented, with every setting that it has. Judging needs none of them: their answers are stored in
results/baselines/estimators.json. `python -m bench predict --published --measure` runs those that are installed again
(pip install --no-deps fitcheck-llm ftuneai qmemcalc vramcalc, and their few requirements).
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.core.files import write_atomically
from bench.core.paths import RESULTS
from bench.judge.predictions.published import Published, read_models, read_published
from bench.machine.cards import GIB, MIB
from bench.methods import INT8, NF4
from bench.models import MODELS, ModelEntry
from bench.models.families import head_size
from bench.models.shapes import hidden_size, layer_count, total_parameters
from bench.predict.question import Question

FILE = RESULTS / "baselines" / "estimators.json"
STORED = {NF4: "nf4", INT8: "int8"}


def fitcheck_llm(one: Published, asked: Question) -> float:
    from fitcheck.config_parser import ModelConfig
    from fitcheck.estimator import TrainingConfig, estimate
    from fitcheck.gpu_db import GPU_DB

    entry, config = asked.entry, asked.entry.config
    model = ModelConfig(
        entry.name, total_parameters(entry), hidden_size(entry), layer_count(entry), config["num_attention_heads"],
        config["num_key_value_heads"], config["intermediate_size"], config["vocab_size"], head_size(config),
        bool(config.get("tie_word_embeddings")),
    )  # fmt: skip
    training = TrainingConfig(
        precision="bf16", quantization=STORED.get(asked.method.storage, "none"),
        double_quant=one.double and asked.method.storage == NF4,
        optimizer="adam8bit" if one.optimizer == "paged_adamw_8bit" else "adamw", batch_size=one.batch,
        seq_len=one.length, lora_rank=None if one.method == "full" else one.rank,
        lora_targets=list(asked.method.targets(entry)), grad_checkpoint=one.checkpointing, flash_attn=True,
    )  # fmt: skip
    return float(estimate(model, training, GPU_DB["a100-80"]).total_mib) * MIB


def ftuneai(one: Published, asked: Question) -> float:
    from ftuneai.core import memory, models

    entry, config, targets = asked.entry, asked.entry.config, asked.method.targets(asked.entry)
    spec = models.ModelSpec(
        entry.name, total_parameters(entry), hidden_size(entry), layer_count(entry), config["num_attention_heads"],
        config["num_key_value_heads"], config["intermediate_size"], config["vocab_size"], 1 << 20,
    )  # fmt: skip
    where = models.LoRATarget.ALL_LINEAR if "down_proj" in targets else (
        models.LoRATarget.ATTENTION if set(targets) == {"q_proj", "v_proj"} else models.LoRATarget.ATTENTION_ALL
    )  # fmt: skip
    stored = {NF4: models.Quantization.INT4, INT8: models.Quantization.INT8}
    method = "full" if one.method == "full" else "qlora" if asked.method.storage == NF4 else "lora"
    training = models.TrainingConfig(
        method=models.FineTuneMethod(method), quantization=stored.get(asked.method.storage, models.Quantization.NONE),
        batch_size=one.batch, seq_length=one.length, gradient_checkpointing=one.checkpointing, lora_rank=one.rank,
        lora_target=where, flash_attention=True,
        optimizer=models.OptimizerType("adam_8bit" if one.optimizer == "paged_adamw_8bit" else "adamw"),
    )  # fmt: skip
    return float(memory.MemoryEstimator(spec, training).estimate().total_gb) * GIB


def qmemcalc(one: Published, asked: Question) -> float:
    from qmemcalc.memory import estimate_memory

    with tempfile.TemporaryDirectory() as folder:
        config = {**asked.entry.config, "model_type": asked.entry.family.model_type}
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        found = estimate_memory(
            folder, one.batch, one.length, lora_r=0 if one.method == "full" else one.rank, precision="bf16",
            quantization={NF4: "4bit", INT8: "8bit"}.get(asked.method.storage, "none"), optimizer="adamw",
            gradient_checkpointing=one.checkpointing,
        )  # fmt: skip
    return float(found["total_MB"]) * 1e6


def vramcalc(one: Published, asked: Question) -> float | None:
    """vramcalc's bytes; it supports training in 16 bits only."""
    from vramcalc.estimate import estimate

    if asked.method.quantised:
        return None
    config = {**asked.entry.config, "model_type": asked.entry.family.model_type}
    rank = None if one.method == "full" else one.rank
    found = estimate(
        config, mode="train", dtype="bf16", batch=one.batch, seq_len=one.length, lora_rank=rank,
        grad_checkpoint=one.checkpointing, attn_impl="flash",
    )  # fmt: skip
    return float(found.total + found.overhead)


Estimator = Callable[[Published, Question], float | None]
ESTIMATORS: Mapping[str, Estimator] = {
    "fitcheck-llm": fitcheck_llm, "ftuneai": ftuneai, "qmemcalc": qmemcalc, "vramcalc": vramcalc,
}  # fmt: skip


def read_estimates() -> dict[str, Any]:
    """versions, and bytes: estimator -> row -> bytes, or None if the estimator does not support the row."""
    return dict(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.exists() else {"versions": {}, "bytes": {}}


def measure() -> str:
    """Run every installed estimator on every row and store the answers; returns a sentence about it."""
    kept, models = read_estimates(), read_models()
    rows = read_published()
    for name, ask_it in ESTIMATORS.items():
        try:
            kept["versions"][name] = version(name)
        except PackageNotFoundError:
            continue
        kept["bytes"][name] = {one.id: ask_one(ask_it, one, models) for one in rows}
    write_atomically(FILE, json.dumps(kept, indent=1) + "\n")
    return f"{FILE.name}: {', '.join(f'{name} {number}' for name, number in kept['versions'].items()) or 'none'}"


def ask_one(ask_it: Estimator, one: Published, models: Mapping[str, ModelEntry]) -> int | None:
    """The estimator's bytes; None if it has no answer for such a row."""
    entry = models[one.model] if one.model in models else MODELS[one.model]
    asked = one.question({**models, one.model: entry})
    try:
        found = ask_it(one, asked)
    except (ValueError, KeyError):
        return None
    return None if found is None else round(found)
