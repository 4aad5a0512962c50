"""A saved adapter: loaded by transformers and by peft, and the precision of what is saved and loaded."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.worker.build.adapter import load_adapter
from bench.worker.check.evidence import distance
from bench.worker.check.libraries.subjects import (
    adapted,
    batching_of,
    examples_of,
    frozen_base,
    logits_of,
    move_adapter,
)

ROWS = 4


def compare_loaders(model: str, method: str) -> dict[str, float]:
    """How far the logits with the adapter loaded by peft, and by transformers, are from those that it was saved with.

    effect: how far the adapter moves the base's logits, without which nothing would be compared.
    """
    from peft import PeftModel

    batch = batching_of(model).one(examples_of(model, ROWS))
    built = adapted(model, method)
    move_adapter(built)
    saved = logits_of(built, batch)
    with tempfile.TemporaryDirectory() as folder:
        built.save_pretrained(folder)
        by_peft = logits_of(PeftModel.from_pretrained(frozen_base(model), folder), batch)
        base = frozen_base(model)
        before = logits_of(base, batch)
        base.load_adapter(folder)
        by_transformers = logits_of(base, batch)
    return {
        "peft": distance(by_peft, saved),
        "transformers": distance(by_transformers, saved),
        "effect": distance(before, saved),
    }


def compare_precisions(model: str, precision: str) -> dict[str, Any]:
    """The dtypes of an adapter of this precision in its file and after loading it in each way.

    widened: by peft's default, which loads 16-bit weights in float32. changed: the names of tensors that differ from
    those that were saved, of all ways to load them.
    """
    from peft import PeftModel
    from safetensors.torch import load_file

    dtype = getattr(torch, precision)
    built = adapted(model, precision=precision)
    move_adapter(built)
    saved = adapter_of(built)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built.save_pretrained(name)
        filed = load_file(folder / "adapter_model.safetensors")
        kept = adapter_of(PeftModel.from_pretrained(frozen_base(model, dtype), name, autocast_adapter_dtype=False))
        widened = adapter_of(PeftModel.from_pretrained(frozen_base(model, dtype), name))
        ours = adapter_of(load_adapter(frozen_base(model, dtype), folder, dtype))
        base = frozen_base(model, dtype)
        base.load_adapter(name)
        theirs = {f"base_model.model.{key}": tensor for key, tensor in adapter_of(base).items()}
    ways = {"kept": kept, "widened": widened, "ours": ours, "transformers": theirs}
    changed = [f"{key} ({way})" for way, found in ways.items() for key in changed_tensors(found, saved)]
    return {"file": dtypes(filed), **{way: dtypes(found) for way, found in ways.items()}, "changed": changed}


def adapter_of(model: Any) -> dict[str, Tensor]:
    """LoRA's matrices by name; the head of an encoder keeps the base's precision in every way of loading."""
    return {name: tensor.detach() for name, tensor in model.named_parameters() if "lora_" in name}


def dtypes(tensors: Mapping[str, Tensor]) -> list[str]:
    return sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})


def changed_tensors(found: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors that are missing or have other values; a wider dtype with the same value is equal."""
    return [name for name, tensor in saved.items()
            if name not in found or not torch.equal(found[name].float(), tensor.float())]  # fmt: skip
