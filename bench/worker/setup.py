"""The setting of a case, in the worker: device, model, task, method, weights and examples."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.core.case import Case
from bench.core.recipe import Recipe
from bench.core.work import CaseWork
from bench.machine.cards import read_card
from bench.machine.devices import DEVICES
from bench.machine.environment import named_threads
from bench.methods import METHODS, Method
from bench.models import DECODER, MODELS, ModelEntry
from bench.sources import Rows, Weights, find_weights, load_rows
from bench.sources.tokenizer import tokenizer_for
from bench.tasks import TASKS, Prepared, Task
from bench.worker.build.base import dropout_reasons
from bench.worker.emulate import emulate
from bench.worker.measure.memory import Phases
from bench.worker.quiet import quiet
from bench.worker.timeline import Timeline
from bench.worker.train.batches import Batching
from bench.worker.train.trainee import Say


@dataclass
class Setting:
    """A case with everything it needs, before its model is built."""

    case: Case
    recipe: Recipe
    task: Task
    entry: ModelEntry
    method: Method
    weights: Weights
    tokenizer: Any
    prepared: Prepared
    batching: Batching
    device: str
    data: dict[str, Any]
    reasons: list[str]
    phases: Phases
    emulation: dict[str, str]  # of the record's environment; empty where the card is itself
    timeline: Timeline
    before: dict[str, float] = field(default_factory=dict)  # quality before a first method was trained

    @property
    def labels(self) -> int:
        return len(self.prepared.labels)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage whose seconds and peak memory are both recorded."""
        with self.timeline(name), self.phases(name):
            yield


def set_up(work: CaseWork, say: Say, timeline: Timeline) -> Setting:
    """Find weights and data, prepare the examples and emulate the work's card.

    Raises Unsupported for a method that cannot train the model, SourceError for weights or data that are damaged, and
    CannotRun for a card larger than the real one.
    """
    quiet()
    if threads := work.threads or named_threads():  # torch may have been imported before the variable had its value
        torch.set_num_threads(threads)
    case, recipe, mirror = work.case, work.recipe, work.mirror
    task, entry, method = TASKS[case.task], MODELS[case.model], METHODS[case.method]
    device = DEVICES[case.device].torch_name
    method.check(entry, recipe)
    say({"line": "looking for weights and data"})
    weights = find_weights(entry, mirror, synthetic=work.synthetic)
    tokenizer, odd = tokenizer_for(entry, weights.folder, mirror)
    rows, prepared, batching = read_examples(task, entry, recipe, tokenizer, mirror)
    data = {
        "origin": rows.origin,
        "rows": rows.identity,
        "identity": prepared.identity(),
        "reason": rows.reason,
        "train_examples": len(prepared.train),
        "held_out_examples": len(prepared.held_out),
        "truncated_share": prepared.truncated_share,
    }
    reasons = [f"weights: {weights.reason}", f"data: {rows.reason}", *odd, *prepared.reasons]
    reasons += method.where_rows_end(entry, recipe)
    reasons += thrift_reasons(recipe, device)
    reasons += dropout_reasons(entry, weights, method, recipe)
    emulation = {}
    if work.emulate:
        card = read_card(work.emulate)
        emulation["emulation"] = card.name
        reasons.append(emulate(card, device))
    return Setting(case, recipe, task, entry, method, weights, tokenizer, prepared, batching, device, data, reasons,
                   Phases(device), emulation, timeline)  # fmt: skip


def read_examples(
    task: Task, entry: ModelEntry, recipe: Recipe, tokenizer: Any, mirror: Path | None
) -> tuple[Rows, Prepared, Batching]:
    """The task's rows, the examples that this model reads, and how they become batches."""
    rows = load_rows(task.data, recipe.data, mirror)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    batching = Batching(recipe, pad, entry.config["vocab_size"], shifted=entry.kind == DECODER)
    return rows, task.run(rows.splits, tokenizer, recipe), batching


def thrift_reasons(recipe: Recipe, device: str) -> list[str]:
    """A sentence for each saving of memory that the recipe asks for and this device does not need."""
    if device != "cpu":
        return []
    savings = {
        "optimizer: moments in 8 bits but not paged, which bitsandbytes does on CUDA alone": (
            recipe.optimizer == "paged_adamw_8bit"
        ),
        "offload_checkpoints: nothing to do, a processor's are in host memory": recipe.offload_checkpoints,
        "embeddings_on_host: nothing to do, a processor's are in host memory": recipe.embeddings_on_host,
    }
    return [says for says, wanted in savings.items() if wanted]
