"""What `--keep` writes into the run's folder: an adapter, a whole model, or the adapter merged into its base.

A folder appears under its name only when it is complete. A disk that is full costs the weights, not the record.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from bench.core.files import write_atomically
from bench.core.recipe import Recipe
from bench.methods import ADAPTER as BY_ADAPTER
from bench.methods import Method
from bench.models import DECODER, ModelEntry
from bench.records.kept import (
    ADAPTER,
    CARD,
    MANIFEST,
    MERGED,
    MODEL,
    PEFT_CONFIG,
    Base,
    Facts,
    Kept,
    digests,
    not_kept,
)  # fmt: skip
from bench.records.model_card import model_card
from bench.sources.weights import SYNTHETIC
from bench.worker.setup import Setting

SAMPLE = "sample"  # the origin of rows that were written for this project
QUESTION = "What can you help me with?"  # of the card: an example of the data may be private
MERGED_DTYPE = torch.bfloat16  # half of float32's bytes, and what people serve models in


@dataclass
class Keeper:
    """Keeps a case's weights as `--keep` asks. kept: what the record says about it; {} if nothing was asked for.

    before and after: the quality on held-out examples.
    """

    setting: Setting
    wanted: str
    folder: Path | None
    before: Mapping[str, float]
    after: Mapping[str, float]
    kept: dict[str, Any] = field(default_factory=dict)

    def keep_trained(self, model: Any) -> None:
        """Keep the adapter, or the whole model of a method that trains it."""
        method = self.setting.method
        if self.wanted == MERGED and (reason := why_not_merged(method, self.setting.recipe)):
            self.refuse(reason, lasting=True)
        if self.wanted != ADAPTER:
            return
        if method.after:
            self.refuse(
                f"{method.name}'s base is the model that {method.after} gave in this case, which no one else has; "
                "--keep merged keeps both as one model",
                lasting=True,
            )
        elif method.is_adapter:
            reason = method.own_tuner or why_only_peft(model)
            self.write(ADAPTER, lambda folder: save_adapter(model, folder, self.setting.entry), reason)
        else:
            self.write(MODEL, lambda folder: save_whole(model, folder, self.setting))

    def keep_merged(self, model: Any) -> None:
        """Keep the merged model in bfloat16, if that was asked for."""
        if self.wanted == MERGED and not self.kept:  # refused before
            self.write(MERGED, lambda folder: save_whole(model, folder, self.setting, MERGED_DTYPE))

    def refuse_merged(self, reason: str) -> None:
        """Note why there is no merged model to keep."""
        if self.wanted == MERGED and not self.kept:
            self.refuse(reason)

    def refuse(self, reason: str, lasting: bool = False) -> None:
        self.kept = not_kept(reason, self.wanted, lasting)
        self.setting.reasons.append(f"not kept: {reason}")

    def write(self, what: str, save: Callable[[Path], None], only_peft: str = "") -> None:
        """Write the folder: what save writes, the card and the manifest."""
        assert self.folder is not None  # the session names it together with --keep
        kept = manifest_of(self.setting, what, facts_of(self.setting, self.before, self.after, only_peft))
        try:
            with self.setting.timeline("keep"):
                self.kept = write_kept(self.folder, kept, save).of_record()
        except (OSError, SafetensorError) as error:
            self.refuse(f"it could not be written: {getattr(error, 'strerror', None) or error}")


def write_kept(folder: Path, kept: Kept, save: Callable[[Path], None]) -> Kept:
    """Write the folder beside its place and move it there when it is complete; the manifest with its digests."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a session that was killed
    try:
        part.mkdir(parents=True)
        save(part)
        write_atomically(part / CARD, model_card(kept))
        kept = replace(kept, files=digests(part))
        write_atomically(part / MANIFEST, kept.to_text())
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier run of the case
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return kept


def why_not_merged(method: Method, recipe: Recipe) -> str:
    """Why the case has no merged model; empty if it has one."""
    if method.mergeable and method.quantised and recipe.quantise_head:
        return "quantise_head packs the embeddings, which merging does not unpack; --keep adapter keeps the adapter"
    if method.mergeable:
        return ""
    if not method.is_adapter:
        return f"{method.name} trains the model itself, so there is nothing to merge; --keep adapter keeps the model"
    return f"{method.name} has no weights that could be merged into the base; --keep adapter keeps it"


def why_only_peft(model: Any) -> str:
    """Why transformers cannot load the adapter without peft's own class; empty if it can."""
    from peft import PeftType

    config = model.active_peft_config
    if config.is_prompt_learning:
        return "transformers' own load_adapter refuses virtual tokens"
    if config.peft_type == PeftType.VERA:
        return "transformers' own load_adapter refuses matrices that layers share"
    if getattr(config, "use_dora", False):
        return "transformers' own load_adapter leaves DoRA's magnitudes untrained"
    return ""


def base_dtype(method: Method, recipe: Recipe) -> str:
    """What the base's own weights are kept in, as torch names it."""
    return recipe.precision if method.trains == BY_ADAPTER else "float32"


def save_adapter(model: Any, folder: Path, entry: ModelEntry) -> None:
    """The adapter by peft, with the base's place on the Hub instead of a folder of this machine."""
    model.save_pretrained(str(folder))
    path = folder / PEFT_CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = entry.hub_id or entry.name
    config["revision"] = entry.revision if entry.hub_id else None
    write_atomically(path, json.dumps(config, indent=2, sort_keys=True) + "\n")


def save_whole(model: Any, folder: Path, setting: Setting, dtype: torch.dtype | None = None) -> None:
    """The whole model and its tokenizer, in dtype if one is given; the model itself stays as it is."""
    save_model(model, folder, setting.prepared.labels, dtype)
    setting.tokenizer.save_pretrained(str(folder))


def save_model(model: Any, folder: Path, labels: list[str] | tuple[str, ...], dtype: torch.dtype | None) -> None:
    """The model by transformers, with the names of its labels and with its cache switched on."""
    cached = model.config.use_cache
    model.config.use_cache = True  # training switches it off
    if labels:
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: number for number, label in enumerate(labels)}
    state = model.state_dict()
    if dtype is not None:
        state = converted(state, dtype)
    model.save_pretrained(str(folder), state_dict=state)
    model.config.use_cache = cached
    if dtype is not None:
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["dtype"] = str(dtype).removeprefix("torch.")
        write_atomically(path, json.dumps(config, indent=2) + "\n")


def converted(state: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The state in dtype. Tied weights stay one tensor, so that transformers writes them once."""
    made: dict[Any, torch.Tensor] = {}

    def of(value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point():
            return value
        same = value.data_ptr(), value.device, value.dtype, value.shape, value.stride()
        if same not in made:
            made[same] = value.to(dtype)
        return made[same]

    return {name: of(value) for name, value in state.items()}


def manifest_of(setting: Setting, what: str, facts: Facts) -> Kept:
    """The manifest, still without files."""
    entry, weights = setting.entry, setting.weights
    # the folder's path and other sources' refusals are of this machine alone
    reason = "a folder of the user's own" if entry.folder else weights.reason.partition(";")[0]
    base = Base(entry.name, entry.hub_id, entry.revision, weights.origin, weights.identity, reason, licence_of(entry))
    return Kept(setting.case.id, what, base, asdict(setting.recipe), facts, tuple(setting.prepared.labels))


def licence_of(entry: ModelEntry) -> str:
    return entry.wheel.licence if entry.wheel else ""


def facts_of(setting: Setting, before: Mapping[str, float], after: Mapping[str, float], only_peft: str) -> Facts:
    """What the card says beside the manifest."""
    method, decoder = setting.method, setting.entry.kind == DECODER
    return Facts(
        method=method.name,
        says=method.says,
        paper=method.paper,
        quality=after,
        quality_before=before,
        quality_judged=setting.weights.origin != SYNTHETIC,
        data={**setting.data, "reason": setting.data["reason"].partition(";")[0]},
        hub_data="" if setting.data["origin"] == SAMPLE else setting.task.data.hub_id,
        prompt=example_prompt(setting) if decoder else "",
        auto_class="AutoModelForCausalLM" if decoder else "AutoModelForTokenClassification",
        dtype=base_dtype(method, setting.recipe),
        storage=method.storage,
        only_peft=only_peft,
        own_tuner=method.own_tuner,
    )


def example_prompt(setting: Setting) -> str:
    """QUESTION in the form of the task's prompts, or as it is for a task that states none."""
    make = setting.task.prompt
    return make(QUESTION, setting.tokenizer) if make else QUESTION
