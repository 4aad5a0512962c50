"""A kept adapter or model, loaded again: on a base with the same weights, stored as the case stored it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bench.core.case import parse_case
from bench.core.recipe import Recipe
from bench.core.registry import UnknownName
from bench.methods import METHODS, Method
from bench.models import ENCODER, MODELS, ModelEntry
from bench.records.kept import ADAPTER, MERGED, Kept, NotKept, read_kept, refuse_other_base
from bench.sources import Weights, find_weights
from bench.sources.tokenizer import load as load_tokenizer
from bench.sources.tokenizer import tokenizer_for
from bench.sources.weights import SYNTHETIC
from bench.worker.build.adapter import load_adapter
from bench.worker.build.base import prepare_base
from bench.worker.build.precision import adapter_dtype
from bench.worker.build.quantise import dequantise
from bench.worker.keep.writing import MERGED_DTYPE, save_model, why_not_merged, write_kept


@dataclass(frozen=True)
class Tuned:
    """A kept folder with all that is needed to load it; nothing is loaded yet."""

    folder: Path
    kept: Kept
    entry: ModelEntry
    method: Method
    recipe: Recipe
    weights: Weights
    mirror: Path | None

    @property
    def name(self) -> str:
        return self.kept.case

    def tokenizer(self) -> Any:
        """The tokenizer that the case used."""
        if (self.folder / "tokenizer.json").is_file():
            return load_tokenizer(self.folder)
        return tokenizer_for(self.entry, self.weights.folder, self.mirror)[0]

    def base(self, device: str) -> Any:
        """The base as the case stored it, before anything is attached."""
        seed = parse_case(self.kept.case).seed
        return prepare_base(self.entry, self.weights, len(self.kept.labels), self.method, self.recipe, seed, device)

    def whole(self, device: str) -> Any:
        """The kept model of a method that trains the model itself, or of a merged adapter."""
        from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

        auto = AutoModelForTokenClassification if self.entry.kind == ENCODER else AutoModelForCausalLM
        dtype = MERGED_DTYPE if self.kept.what == MERGED else torch.float32
        model: Any = auto.from_pretrained(str(self.folder), dtype=dtype, local_files_only=True)
        return model.to(device).eval()


def open_kept(folder: Path, mirror: Path | None) -> Tuned:
    """The kept folder, checked. Raises NotKept for damaged files or a base with other weights, UnknownName for an
    entry that this installation lacks.
    """
    kept = read_kept(folder)
    case = parse_case(kept.case)
    if case.model not in MODELS or case.method not in METHODS:
        lacking = f"model {case.model}" if case.model not in MODELS else f"method {case.method}"
        raise UnknownName(f"{kept.case}: there is no {lacking} here; name the module or file with it in --entries")
    entry = MODELS[case.model]
    weights = find_weights(entry, mirror, synthetic=kept.base.origin == SYNTHETIC)
    refuse_other_base(kept, weights.identity, weights.reason)
    return Tuned(folder, kept, entry, METHODS[case.method], recipe_of(kept), weights, mirror)


def recipe_of(kept: Kept) -> Recipe:
    """The case's recipe. Raises NotKept for one of another version's fields."""
    try:
        return Recipe(**kept.recipe)
    except TypeError as error:
        raise NotKept(f"{kept.case}: its recipe is of another version ({error}); keep the adapter again") from None


def merge_kept(tuned: Tuned, target: Path, device: str = "cpu") -> Kept:
    """Merge a kept adapter into its base and write the model in bfloat16.

    Raises NotKept for a kept model that is whole already, and for a method that cannot be merged.
    """
    if tuned.kept.what != ADAPTER:
        raise NotKept(f"{tuned.name}: what was kept is a whole model, so there is nothing to merge; load it as it is")
    if reason := why_not_merged(tuned.method, tuned.recipe):
        raise NotKept(f"{tuned.name}: {reason}")
    model = tuned.base(device)
    model = dequantise(model) if tuned.method.quantised else model
    model = load_adapter(model, tuned.folder, adapter_dtype(tuned.recipe)).merge_and_unload()

    def save(folder: Path) -> None:
        save_model(model, folder, tuned.kept.labels, MERGED_DTYPE)
        tuned.tokenizer().save_pretrained(str(folder))

    return write_kept(target, replace(tuned.kept, what=MERGED), save)
