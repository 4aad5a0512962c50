"""Entries made from a config.json, as models on the Hub have one, so that nobody has to copy its numbers."""

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
# keys that are no architecture: training, storage, labels, what the model returns, and others' code
NO_NUMBERS = {
    "auto_map", "quantization_config", "gradient_checkpointing", "return_dict", "use_return_dict", "dtype",
    "torch_dtype", "id2label", "label2id", "num_labels",
}  # fmt: skip

# The defaults of transformers' Gemma3TextConfig for what the text part of a multimodal config leaves out.
GEMMA3_TEXT = {
    "vocab_size": 262208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
    "max_position_embeddings": 131072,
}  # fmt: skip
# Architectures that people tune but no family covers, with what would be counted wrongly.
NOT_YET = {
    "olmo2": "its norms come behind attention and feed-forward layer, and queries and keys are normed over all heads",
    "phi3": "its queries, keys and values are one matrix, as are gate and up (Phi-3 and Phi-4)",
    **dict.fromkeys(
        ("mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v3", "gpt_oss", "olmoe"),
        "it is a mixture of experts, of which each token passes through a few",
    ),
}


def read_config(path: Path) -> dict[str, Any]:
    """The content of this config.json, or of the one in this folder. Raises BadEntry for a file that is not one."""
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
    """The entry for the config.json at the path, under a name that no other model has. facts: where the model is.

    If a Llama's config does not say, its keys have as many heads as its queries. Of a multimodal Gemma 3 only the text
    part counts. Raises BadEntry for an architecture that no family covers.
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
    """The entry for a table in a user's file: its config.json, and the folder or Hub id of the weights.

    Raises BadFile naming the place and the key, BadEntry for a config that no family covers.
    """
    check_name(name, where)
    facts = {key: table[key] for key in ("folder", "hub_id", "revision") if key in table}
    path = Path(table["config"])
    try:
        return entry_of(read_config(path), path, name, **facts)
    except BadEntry as error:
        raise BadFile(f"{where}: {error}") from None


def name_for(word: str, registry: Registry) -> str:
    """A folder's, file's or Hub model's name as a part of a case id: in lower case, my_NAME if it is taken."""
    name = re.sub("[^a-z0-9]+", "_", word.lower()).strip("_") or "own"
    return f"my_{name}" if name in registry else name


def text_part(config: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a multimodal Gemma 3's language model, which adapters on text train; else the config."""
    part = config.get("text_config")
    if config.get("model_type") != "gemma3" or not isinstance(part, dict):
        return config
    return {**GEMMA3_TEXT, **part, "model_type": "gemma3_text"}


def other_than_predicted(config: dict[str, Any]) -> list[str]:
    """A reason if the config names a special storage of the weights, or if a part of the model is not counted."""
    stored = config.get("quantization_config")
    parts = ["of its parts the language model alone is predicted"] if text_part(config) is not config else []
    if not stored:
        return parts
    way = stored.get("quant_method", "a way of its own") if isinstance(stored, dict) else stored
    said = f"its config says that its weights are quantised by {way}; predicted are weights as the method stores them"
    return [*parts, said]


def free_name(path: Path) -> str:
    """A name that no model has, from the Hub id if the path is in the Hub's cache, else from the folder or file."""
    owner = [part for part in path.parts if part.startswith("models--")]
    own = path.parent.name if path.name == "config.json" else path.name.removesuffix(".json")
    said = owner[-1].rsplit("--", 1)[-1] if owner else own
    name = re.sub("[^a-z0-9]+", "_", said.lower()).strip("_") or "model"
    return f"{name}_by_config" if name in MODELS else name
