"""A model's entry from its config.json, as models on the Hub have one, so that nobody writes its numbers again."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.files import BadFile, check_name
from bench.core.registry import Registry
from bench.models import MODELS, BadEntry, ModelEntry
from bench.models.families import FAMILIES

PAGE = "docs/adding-a-model.md"
# how somebody trains, stores, labels or returns what the model computes, and code of others; no architecture
NO_NUMBERS = {
    "auto_map", "quantization_config", "gradient_checkpointing", "return_dict", "use_return_dict", "dtype",
    "torch_dtype", "id2label", "label2id", "num_labels",
}  # fmt: skip

# What transformers' Gemma3TextConfig has where the text part of a multimodal config does not say.
GEMMA3_TEXT = {
    "vocab_size": 262208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
    "max_position_embeddings": 131072,
}  # fmt: skip
# Architectures that people tune and no family here is, with what would be counted wrongly.
NOT_YET = {
    "olmo2": "its norms come behind attention and feed-forward layer, and queries and keys are normed over all heads",
    "phi3": "its queries, keys and values are one matrix, as are gate and up (Phi-3 and Phi-4)",
    **dict.fromkeys(
        ("mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v3", "gpt_oss", "olmoe"),
        "it is a mixture of experts, of which each token passes through a few",
    ),
}


def read_config(path: Path) -> dict[str, Any]:
    """What a config.json says, or the one in this folder. Raises BadEntry for a file that is none."""
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadEntry(f"{file}: {error.strerror}; it must be a model's config.json, or its folder") from None
    except ValueError as error:
        raise BadEntry(f"{file}: {error}; it must be a model's config.json") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise BadEntry(f"{file} states no model_type; a model's config.json does")
    return config


def entry_of(config: dict[str, Any], path: Path, name: str = "", **facts: Any) -> ModelEntry:
    """The entry of what a config.json at the path says, under a name that no other model has; facts: where it lies.

    A Llama's keys are of as many heads as its queries where it does not say; of a multimodal Gemma 3 the text part is
    taken. Raises BadEntry for an architecture that no family here is.
    """
    config = text_part(config)
    kind = config["model_type"]
    families = {family.model_type: family_name for family_name, family in FAMILIES.items()}
    if kind not in families:
        why = f" ({NOT_YET[kind]})" if kind in NOT_YET else ""
        raise BadEntry(
            f"{path} is of model_type {kind!r}{why}, and the families here are of {', '.join(families)}; "
            f"{PAGE} shows how a module of yours adds one"
        )
    numbers = {name: value for name, value in config.items() if name not in NO_NUMBERS}
    if kind == "llama" and numbers.get("num_key_value_heads") is None:
        numbers["num_key_value_heads"] = numbers.get("num_attention_heads")
    name = name or free_name(path.resolve())
    return ModelEntry(name, f"by {path}", families[kind], numbers, **(facts or {"hub_id": name}))


def own_entry(name: str, table: Mapping[str, str], where: str) -> ModelEntry:
    """The entry of a table of a person's file: its config.json, and the folder or the Hub's id that the weights are of.

    Raises BadFile naming where and key, BadEntry for a config that no family here is for.
    """
    check_name(name, where)
    facts = {key: table[key] for key in ("folder", "hub_id", "revision") if key in table}
    path = Path(table["config"])
    try:
        return entry_of(read_config(path), path, name, **facts)
    except BadEntry as error:
        raise BadFile(f"{where}: {error}") from None


def name_for(word: str, registry: Registry) -> str:
    """A case id's part for the name of a folder, a file or a Hub's model: in lower case, my_NAME where it is taken."""
    name = re.sub("[^a-z0-9]+", "_", word.lower()).strip("_") or "own"
    return f"my_{name}" if name in registry else name


def text_part(config: dict[str, Any]) -> dict[str, Any]:
    """A multimodal Gemma 3's numbers of its language model, which is what adapters on text train; else the config."""
    part = config.get("text_config")
    if config.get("model_type") != "gemma3" or not isinstance(part, dict):
        return config
    return {**GEMMA3_TEXT, **part, "model_type": "gemma3_text"}


def other_than_predicted(config: dict[str, Any]) -> list[str]:
    """A reason where the config says that weights are stored in a way of their own, or where a part is not counted."""
    stored = config.get("quantization_config")
    parts = ["of its parts the language model alone is predicted"] if text_part(config) is not config else []
    if not stored:
        return parts
    way = stored.get("quant_method", "a way of its own") if isinstance(stored, dict) else stored
    said = f"its config says that its weights are quantised by {way}; predicted are weights as the method stores them"
    return [*parts, said]


def free_name(path: Path) -> str:
    """A name that no model has, of the Hub's id where the path is in its cache, else of the folder or the file."""
    owner = [part for part in path.parts if part.startswith("models--")]
    own = path.parent.name if path.name == "config.json" else path.name.removesuffix(".json")
    said = owner[-1].rsplit("--", 1)[-1] if owner else own
    name = re.sub("[^a-z0-9]+", "_", said.lower()).strip("_") or "model"
    return f"{name}_by_config" if name in MODELS else name
