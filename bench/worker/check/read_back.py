"""Saved weights read back: a checkpoint or adapter must give the logits that it was saved with."""

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from bench.methods.tolerances import UNIT_ROUNDING
from bench.worker.build.adapter import load_adapter
from bench.worker.build.precision import adapter_dtype, compute_dtype
from bench.worker.build.quantise import dequantise
from bench.worker.check.evidence import Probe, distance
from bench.worker.check.merging import unmerge_evidence
from bench.worker.measure.memory import free_bytes
from bench.worker.measure.parameters import elements, held_bytes
from bench.worker.train.trainee import Trainee

ROUNDED_ROWS = 1024  # of a weight at a time: a head over a vocabulary would take gigabytes in float32


def saved_bytes(folder: Path) -> int:
    """Size on disk of the weights that were saved."""
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def read_back(
    trainee: Trainee,
    probe: Probe,
    tuned: Tensor,
    make_base: Callable[[], Any],
    release: Callable[[], None],
    needs_rounding: Callable[[dict[str, Any]], bool],
    on_merged: Callable[[Any], None] = lambda merged: None,
) -> dict[str, Any]:
    """Save what was trained, load it onto a fresh base and compare; merge it there (into a dequantised base, if it was
    quantised) and compare again. If a card has no room for the dequantised base, `merge_not_checked` says so.

    needs_rounding(found) says whether a distance is larger than rounding in theory allows. Only then is the effect of
    rounding every weight of this model measured (`rounding_distance`).

    release() drops the trained model before the fresh one is built, so that both need not fit at once. on_merged(model)
    is called with the merged model before its weights are rounded again.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(trainee, folder)
        found: dict[str, Any] = {"adapter_bytes": saved_bytes(folder)}
        method = trainee.method
        release()
        fresh = make_base()
        kept = adapter_dtype(trainee.recipe)
        fresh = load_adapter(fresh, folder, kept) if method.is_adapter else load_weights(fresh, folder)
        found["reload_distance"] = distance(probe(fresh), tuned)
        if method.quantised:
            needed = bytes_dequantised(fresh, compute_dtype(trainee.recipe))
            del fresh
            if lacking := lacks_room(needed, trainee.device):
                reason = f"merging was not checked: the dequantised base takes {lacking}"
                return {**found, "merge_not_checked": reason}
            fresh = load_adapter(dequantise(make_base()), folder, kept)
    if method.mergeable:
        found |= unmerge_evidence(fresh)
        fresh = fresh.merge_and_unload()
        found["merge_distance"] = distance(probe(fresh), tuned)
        on_merged(fresh)
    if needs_rounding(found):
        logits = probe(fresh)
        round_again(fresh, UNIT_ROUNDING[trainee.recipe.precision])
        found["rounding_distance"] = distance(probe(fresh), logits)
    return found


@torch.no_grad()
def round_again(model: Any, unit: float) -> None:
    """Move every weight matrix by a random share of at most one unit of rounding, in place.

    How far that moves the logits is the effect of one rounding on this model. It is larger with random weights than
    with pretrained ones, and merging cannot do better.
    """
    generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Linear | Conv1D):
            for rows in module.weight.split(ROUNDED_ROWS):
                share = torch.rand(rows.shape, generator=generator, device=rows.device) * 2 - 1
                rows.copy_(rows.float() * (1 + unit * share))


def bytes_dequantised(model: Any, plain: torch.dtype) -> int:
    """The most bytes that the model takes while its packed layers are dequantised one after the other."""
    packed = sum(elements(p) for p in model.parameters() if not p.is_floating_point())
    return held_bytes(model) + packed * plain.itemsize


def lacks_room(needed: int, device: str) -> str:
    """The bytes needed and free on the card, in words; empty if they fit."""
    if device == "cpu":
        return ""
    gc.collect()
    torch.cuda.empty_cache()
    free = free_bytes(device) or 0
    if needed <= free:
        return ""
    return f"{needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free on the card"


def save(trainee: Trainee, folder: Path) -> None:
    """The adapter by peft; for methods that train the model itself, the tensors that train."""
    from safetensors.torch import save_file

    if trainee.method.is_adapter:
        trainee.model.save_pretrained(str(folder))
        return
    trained = {name: p.detach().contiguous() for name, p in trainee.model.named_parameters() if p.requires_grad}
    save_file(trained, folder / "model.safetensors")


def load_weights(model: Any, folder: Path) -> Any:
    """The saved tensors in a fresh model, in their own precision."""
    from safetensors.torch import load_file

    own = dict(model.named_parameters())
    for name, tensor in load_file(folder / "model.safetensors").items():
        own[name].data = tensor.to(own[name].device)
    return model
