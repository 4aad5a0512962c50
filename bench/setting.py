"""What a case needs before it is run, in the worker: device, model, task, method, weights, examples; and its base."""

import contextlib
import logging as stdlib_logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bench import train
from bench.batches import Batching
from bench.build import attach, dropout_reasons, prepare_base
from bench.cards import CardKind
from bench.case import Case, parse_case
from bench.case_recipe import recipe_for
from bench.devices import DEVICES
from bench.emulation import emulate
from bench.evaluate import outcomes
from bench.lean import thrift_reasons
from bench.measure.memory import Phases
from bench.methods import METHODS, Method
from bench.models import DECODER, MODELS, ModelEntry
from bench.recipe import Recipe
from bench.sources import Rows, Weights, find_weights, load_rows
from bench.tasks import TASKS, Prepared, Score, Task
from bench.timeline import EVALUATE_BEFORE, FIRST_METHOD, Timeline
from bench.tokenizers import tokenizer_for
from bench.trainer_engine import train_with_trainer

ENGINES = {"bench": train.train, "trainer": train_with_trainer}


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


def quiet() -> None:
    """No progress bars and tables of transformers: a worker's last lines are kept for what went wrong."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    stdlib_logging.getLogger("bitsandbytes").setLevel(stdlib_logging.ERROR)  # it says at every product that it casts


def set_up(payload: dict[str, Any], say: train.Say, timeline: Timeline) -> Setting:
    """Find weights and data, and prepare the examples.

    payload: case (id), recipe (fields), mirror (path or empty), synthetic (whether weights must be random),
    threads (of the processor, or 0 for torch's own choice), emulate (a card's fields, where there is one).
    """
    quiet()
    if payload.get("threads"):
        torch.set_num_threads(payload["threads"])
    case, recipe = parse_case(payload["case"]), Recipe(**payload["recipe"])
    task, entry, method = TASKS[case.task], MODELS[case.model], METHODS[case.method]
    device = DEVICES[case.device].torch_name
    mirror = Path(payload["mirror"]) if payload.get("mirror") else None
    method.check(entry, recipe)
    say({"line": "looking for weights and data"})
    weights = find_weights(entry, mirror, synthetic=payload.get("synthetic", False))
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
    if payload.get("emulate"):
        card = CardKind(**payload["emulate"])
        emulation["emulation"] = card.name
        reasons.append(emulate(card, device))
    return Setting(case, recipe, task, entry, method, weights, tokenizer, prepared, batching, device, data, reasons,
                   Phases(device), emulation, timeline)  # fmt: skip


def read_examples(
    task: Task, entry: ModelEntry, recipe: Recipe, tokenizer: Any, mirror: Path | None
) -> tuple[Rows, Prepared, Batching]:
    """The task's rows, what one model reads of them, and how that becomes batches."""
    rows = load_rows(task.data, recipe.data, mirror)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    batching = Batching(recipe, pad, entry.config["vocab_size"], shifted=entry.kind == DECODER)
    return rows, task.run(rows.splits, tokenizer, recipe), batching


def base_maker(setting: Setting, say: train.Say) -> Callable[[], Any]:
    """A function that gives the method's base, the same each time it is called.

    For a method that starts from another's result, that one is trained here first and its weights kept.
    """
    arguments = (setting.entry, setting.weights, setting.labels)

    def fresh() -> Any:
        return prepare_base(*arguments, setting.method, setting.recipe, setting.case.seed, setting.device)

    if not setting.method.after:
        return fresh
    weights = train_first_method(setting, say)

    def tuned() -> Any:
        base = fresh()
        base.load_state_dict(weights)
        return base

    return tuned


def train_first_method(setting: Setting, say: train.Say) -> dict[str, Any]:
    """The weights that the method which goes first leaves, on the host.

    The quality before is that before this method. Raises Unsupported for a dropout that it has no layer for.
    """
    arguments = (setting.entry, setting.weights, setting.labels)
    first = METHODS[setting.method.after]
    case = replace(setting.case, method=first.name)
    recipe = first_recipe(setting, case)
    said = dropout_reasons(setting.entry, setting.weights, first, recipe)
    setting.reasons += [f"{first.name}, trained first: {reason}" for reason in said]
    say({"line": f"training {first.name} first"})
    with setting.timeline("load"):
        model = prepare_base(*arguments, first, recipe, case.seed, setting.device)
        model = attach(model, setting.entry, first, recipe, 0, case.seed)
    batching = replace(setting.batching, recipe=recipe)
    trainee = train.Trainee(model, first, recipe, batching, setting.device, case.seed)
    with setting.timeline(EVALUATE_BEFORE):
        setting.before = score(setting, trainee).quality
    with setting.timeline(FIRST_METHOD):
        steps = train.plan_steps(trainee.batching, setting.prepared.train, case.seed)
        done = ENGINES[recipe.engine](trainee, steps, say, lambda epoch: None)
    setting.timeline.split_training(FIRST_METHOD, sum(done.seconds), done.data_seconds)
    with setting.timeline(EVALUATE_BEFORE):
        reached = score(setting, trainee).quality[setting.task.metric]
    setting.reasons.append(
        f"started from {first.name}: {len(steps)} steps of recipe {recipe.digest()}, last loss {done.losses[-1]:.4f}, "
        f"{setting.task.metric} {reached:.4f}; the quality before is that of the model before {first.name}"
    )
    with setting.timeline("load"):
        return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def first_recipe(setting: Setting, first: Case) -> Recipe:
    """The recipe of the method that goes first, with what was changed of the case's own: engine, precision, steps."""
    told, own = setting.recipe, recipe_for(setting.case, setting.recipe.data)
    names = ("engine", "precision", "max_steps")
    changes = {name: getattr(told, name) for name in names if getattr(told, name) != getattr(own, name)}
    return recipe_for(first, told.data, **changes)


def score(setting: Setting, trainee: train.Trainee) -> Score:
    """The held-out examples' outcomes as metrics."""
    return setting.task.score(setting.prepared, outcomes(trainee, setting.prepared.held_out))
