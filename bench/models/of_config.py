"""A model's entry from its config.json, as models on the Hub have one: what a prediction needs and no more."""

import json
import re
from pathlib import Path
from typing import Any

from bench.models import MODELS, BadEntry, ModelEntry
from bench.models.families import FAMILIES

# how somebody trains, stores, labels or returns what the model computes, and code of others; no architecture
NO_NUMBERS = {
    "auto_map", "quantization_config", "gradient_checkpointing", "return_dict", "use_return_dict", "dtype",
    "torch_dtype", "id2label", "label2id", "num_labels",
}  # fmt: skip


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


def entry_of(config: dict[str, Any], path: Path) -> ModelEntry:
    """The entry of what a config.json at the path says, under a name that no other model has.

    A Llama's keys are of as many heads as its queries where it does not say. Raises BadEntry for an architecture that
    no family here is.
    """
    kind = config["model_type"]
    families = {family.model_type: name for name, family in FAMILIES.items()}
    if kind not in families:
        raise BadEntry(f"{path} is of model_type {kind!r}; predictions are for {', '.join(families)}")
    numbers = {name: value for name, value in config.items() if name not in NO_NUMBERS}
    if kind == "llama" and numbers.get("num_key_value_heads") is None:
        numbers["num_key_value_heads"] = numbers.get("num_attention_heads")
    name = free_name(path.resolve())
    return ModelEntry(name, f"by {path}", families[kind], numbers, hub_id=name)


def stored_otherwise(config: dict[str, Any]) -> list[str]:
    """A reason where the config says that its weights are stored in a way of their own."""
    stored = config.get("quantization_config")
    if not stored:
        return []
    way = stored.get("quant_method", "a way of its own") if isinstance(stored, dict) else stored
    return [f"its config says that its weights are quantised by {way}; predicted are weights as the method stores them"]


def free_name(path: Path) -> str:
    """A name that no model has, of the Hub's id where the path is in its cache, else of the folder or the file."""
    owner = [part for part in path.parts if part.startswith("models--")]
    own = path.parent.name if path.name == "config.json" else path.name.removesuffix(".json")
    said = owner[-1].rsplit("--", 1)[-1] if owner else own
    name = re.sub("[^a-z0-9]+", "_", said.lower()).strip("_") or "model"
    return f"{name}_by_config" if name in MODELS else name
