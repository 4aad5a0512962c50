"""A model's entry from its config.json, which every model on the Hub has: what a prediction needs and no more."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.models import MODELS, BadEntry, ModelEntry
from bench.models.families import FAMILIES

NO_NUMBERS = ("auto_map", "quantization_config")  # code of others, and how somebody has stored the weights


def read_entry(path: Path) -> ModelEntry:
    """The entry of a config.json, or of the one in this folder; its name is the folder's, as no other model has it.

    Raises BadEntry for a file that is none, or of an architecture that no family here is.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadEntry(f"{file}: {error.strerror}; it must be a model's config.json, or its folder") from None
    except ValueError as error:
        raise BadEntry(f"{file}: {error}; it must be a model's config.json") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind is None:
        raise BadEntry(f"{file} states no model_type; a model's config.json does")
    families = {family.model_type: name for name, family in FAMILIES.items()}
    if kind not in families:
        raise BadEntry(f"{file} is of model_type {kind!r}; predictions are for {', '.join(families)}")
    numbers: Mapping[str, Any] = {name: value for name, value in config.items() if name not in NO_NUMBERS}
    name = free_name(file.resolve())
    return ModelEntry(name, f"by {file}", families[kind], numbers, hub_id=config.get("_name_or_path") or name)


def free_name(file: Path) -> str:
    """A name that no model has, of the Hub's id where the file lies in its cache, else of the folder or the file."""
    owner = [part for part in file.parts if part.startswith("models--")]
    own = file.parent.name if file.name == "config.json" else file.stem
    said = owner[-1].rsplit("--", 1)[-1] if owner else own
    name = re.sub("[^a-z0-9]+", "_", said.lower()).strip("_") or "model"
    return f"{name}_by_config" if name in MODELS else name
