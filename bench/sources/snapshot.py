"""A folder in the Hub's file layout: which of its files count, and whether they are complete.

Only safetensors are accepted as weights: reading a pickle runs the code in it.
"""

import json
from pathlib import Path
from typing import Any

MODEL_FILES = (".safetensors", ".json", ".txt", ".model", ".jinja")  # what transformers reads, except pickles and code
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
WHOLE = "model.safetensors"
MANIFEST = "manifest.json"  # facts about the files in a folder of our cache; no model reads it
INDEX = "model.safetensors.index.json"  # names the shard of each tensor
ADAPTER = "adapter_config.json"  # transformers attaches the adapter it names when loading the base
TEMPLATES = "additional_chat_templates"  # a folder that tokenizers read too
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json")


def read_json(path: Path) -> dict[str, Any]:
    """The file's JSON object; {} if the file is missing or contains no JSON object."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def weight_files(folder: Path) -> list[Path]:
    """The model's safetensors files; shards as the index names them, whether they exist or not."""
    if (folder / WHOLE).exists():
        return [folder / WHOLE]
    shards = read_json(folder / INDEX).get("weight_map")
    return [folder / name for name in sorted(set(shards.values()))] if isinstance(shards, dict) else []


def loaded_files(folder: Path) -> list[Path]:
    """Every file that the model and its tokenizer may be read from: config, tokenizer, templates and the weights."""
    beside = [
        path
        for path in folder.iterdir()
        if path.suffix in MODEL_FILES and path.suffix != ".safetensors" and path.name != MANIFEST
    ]
    return sorted([*beside, *(folder / TEMPLATES).glob("*.jinja"), *weight_files(folder)])


def wanted_files(names: list[str]) -> list[str]:
    """The files to fetch from a repository: the top folder's, with one set of safetensors; [] without safetensors."""
    top = [name for name in names if "/" not in name and name.endswith(MODEL_FILES)]
    weights = [name for name in top if name == WHOLE]
    weights = weights or [name for name in top if name.startswith("model-") and name.endswith(".safetensors")]
    others = [name for name in top if not name.endswith(".safetensors")]
    return others + weights if weights else []


def pickles_among(names: list[str]) -> list[str]:
    return [name for name in names if "/" not in name and name.endswith(PICKLES)]


def no_safetensors(names: list[str]) -> str:
    """The reason why a folder or repository without safetensors is refused."""
    if pickles := pickles_among(names):
        return f"has {pickles[0]} but no safetensors, and pickles are refused because reading one runs code"
    return f"has no {WHOLE}"


HAS_ADAPTER = (
    f"has an {ADAPTER}, so that an adapter would be loaded into the base; move it and the adapter's weights elsewhere"
)


def complaint(folder: Path) -> str:
    """The reason why the folder cannot be loaded; "" if it can. Reads only headers."""
    if not folder.is_dir():
        return "is not there"
    names = [path.name for path in folder.iterdir()]
    if ADAPTER in names:
        return HAS_ADAPTER
    files = weight_files(folder)
    if not files:
        return no_safetensors(names)
    for file in files:
        if wrong := broken_safetensors(file):
            return f"has a {file.name} that {wrong}"
    if not read_json(folder / "config.json").get("model_type"):
        return "has no config.json that names a model_type"
    if not any((folder / name).is_file() for name in TOKENIZERS):
        return f"has no tokenizer ({', '.join(TOKENIZERS)})"
    return ""


def broken_safetensors(file: Path) -> str:
    """What is wrong with the file's header or length; "" if nothing. The header is 8 bytes of length, then JSON."""
    if not file.is_file():
        return "is missing"
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            return f"is cut or no safetensors file ({size:,} bytes)"
        try:
            header = json.loads(stream.read(length))
            ends = [facts["data_offsets"][1] for name, facts in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "has no safetensors header"
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"has {size:,} bytes, expected {expected:,}"
