"""A vocabulary with new tokens and an adapter: saved, loaded onto a base that was resized again, merged, saved merged.

The new rows of the embedding are drawn anew wherever a base is resized, so they come back only if the file has them.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch

from bench.models import MODELS
from bench.worker.check.evidence import distance
from bench.worker.check.libraries.subjects import (
    RANK,
    batching_of,
    examples_of,
    frozen_base,
    labels_of,
    logits_of,
    move_adapter,
)
from bench.worker.train.batches import Batch

TOKENS, WHOLE, LORA = "tokens", "whole", "lora"  # what of the embedding trains, if anything does
NEW_TOKENS = 8
ROWS = 4


def compare_vocabularies(model: str, trains: str, tied: bool = False) -> dict[str, Any]:
    """How far the logits are from those of the trained model: loaded, merged, and merged, saved and loaded again.

    trains: of the embedding nothing (frozen), the new tokens, the whole table, or LoRA on it. stays_tied: whether the
    merged model's head is still its embedding, in memory and after loading it again.
    """
    from peft import PeftModel, get_peft_model

    batch = batch_with_new_tokens(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frozen_base(model, tied=tied).save_pretrained(folder / "base")
        base = resized(folder / "base", model, seed=1)
        built = get_peft_model(base, configuration(base, model, trains, tied))
        move_adapter(built)
        expected = logits_of(built, batch)
        built.save_pretrained(folder / "adapter")
        loaded = PeftModel.from_pretrained(resized(folder / "base", model, seed=2), folder / "adapter")
        found: dict[str, Any] = {"loaded": distance(logits_of(loaded, batch), expected)}
        merged = loaded.merge_and_unload()
        found["merged"] = distance(logits_of(merged, batch), expected)
        merged.save_pretrained(folder / "merged")
        again = from_folder(folder / "merged", model)
        found["merged_and_saved"] = distance(logits_of(again, batch), expected)
    return {**found, "stays_tied": [is_tied(merged), is_tied(again)]}


def batch_with_new_tokens(model: str) -> Batch:
    """A batch in which every row has a new token, each another one."""
    batch = batching_of(model).one(examples_of(model, ROWS))
    batch.input_ids[:, 1] = MODELS[model].config["vocab_size"] + torch.arange(ROWS)
    return batch


def from_folder(folder: Path, model: str) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

    auto = AutoModelForTokenClassification if labels_of(model) else AutoModelForCausalLM
    return auto.from_pretrained(folder, local_files_only=True).requires_grad_(False).eval()


@torch.no_grad()
def resized(folder: Path, model: str, seed: int) -> Any:
    """The base with rows for new tokens, whose values are drawn with the seed."""
    base = from_folder(folder, model)
    base.resize_token_embeddings(MODELS[model].config["vocab_size"] + NEW_TOKENS)
    generator = torch.Generator().manual_seed(seed)
    tables = [base.get_input_embeddings(), base.get_output_embeddings()]
    for table in tables if not is_tied(base) else tables[:1]:
        if table is not None:  # an encoder's head is no table of words
            table.weight[-NEW_TOKENS:] = torch.randn(table.weight[-NEW_TOKENS:].shape, generator=generator) / 10
    return base.requires_grad_(False)


def configuration(base: Any, model: str, trains: str, tied: bool) -> Any:
    """LoRA on query and value, and on the embedding as `trains` says; a tied head is to stay tied."""
    from peft import LoraConfig

    entry = MODELS[model]
    table = next(name for name, one in base.named_modules() if one is base.get_input_embeddings()).rpartition(".")[2]
    first = entry.config["vocab_size"]
    targets = ["query", "value"] if labels_of(model) else ["q_proj", "v_proj"]
    more: dict[str, dict[str, Any]] = {
        TOKENS: {"trainable_token_indices": {table: list(range(first, first + NEW_TOKENS))}},
        WHOLE: {"modules_to_save": [table] if tied or labels_of(model) else [table, "lm_head"]},
    }
    tying: dict[str, Any] = {"ensure_weight_tying": True} if tied and trains in (WHOLE, LORA) else {}
    return LoraConfig(
        r=RANK, target_modules=[*targets, table] if trains == LORA else targets,
        task_type="TOKEN_CLS" if labels_of(model) else "CAUSAL_LM", **more.get(trains, {}), **tying,
    )  # fmt: skip


def is_tied(model: Any) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight
