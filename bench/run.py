"""Running a case, in the worker: device, model, task, method; train, measured; score. Gives a record's fields."""

import gc
import logging as stdlib_logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bench import evidence, train
from bench.batches import Batching
from bench.build import attach, prepare_base
from bench.cards import CardKind
from bench.case import Case, parse_case
from bench.chunks import SAYS, route
from bench.devices import DEVICES
from bench.emulation import emulate
from bench.evaluate import generate, outcomes
from bench.lean import thrift_reasons
from bench.measure import flops, inference, parameters
from bench.measure.clock import step_statistics
from bench.measure.energy import Joules, utilisation
from bench.measure.environment import describe_worker
from bench.measure.memory import LiveStorages, Phases, quantisation_tensors
from bench.methods import METHODS, Method
from bench.models import DECODER, MODELS, ModelEntry
from bench.probing import Probing, make_probing
from bench.recipe import Recipe, recipe_for
from bench.sources import Weights, find_weights, load_rows
from bench.tasks import TASKS, Prepared, Score, Task
from bench.tokenizers import tokenizer_for
from bench.trainer_engine import train_with_trainer

MOST_TIMED_STEPS = 10_000  # of a stepper; more than any benchmark asks for
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
    seconds: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)  # quality before a first method was trained

    @property
    def labels(self) -> int:
        return len(self.prepared.labels)


def quiet() -> None:
    """No progress bars and tables of transformers: a worker's last lines are kept for what went wrong."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    stdlib_logging.getLogger("bitsandbytes").setLevel(stdlib_logging.ERROR)  # it says at every product that it casts


def set_up(payload: dict[str, Any], say: train.Say) -> Setting:
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
    say({"line": "looking for weights and data"})
    weights = find_weights(entry, mirror, synthetic=payload.get("synthetic", False))
    tokenizer, reasons = tokenizer_for(entry, weights, mirror)
    rows = load_rows(task.data, recipe.data, mirror)
    prepared = task.run(rows.splits, tokenizer, recipe)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    batching = Batching(recipe, pad, entry.config["vocab_size"], shifted=entry.kind == DECODER)
    data = {
        "origin": rows.origin,
        "rows": rows.identity,
        "identity": prepared.identity(),
        "reason": rows.reason,
        "train_examples": len(prepared.train),
        "held_out_examples": len(prepared.held_out),
        "truncated_share": prepared.truncated_share,
    }
    reasons = [f"weights: {weights.reason}", f"data: {rows.reason}", *reasons, *prepared.reasons]
    reasons += thrift_reasons(recipe, device)
    emulation = {}
    if payload.get("emulate"):
        card = CardKind(**payload["emulate"])
        emulation["emulation"] = card.name
        reasons.append(emulate(card, device))
    return Setting(case, recipe, task, entry, method, weights, tokenizer, prepared, batching, device, data, reasons,
                   Phases(device), emulation)  # fmt: skip


def base_maker(setting: Setting, say: train.Say) -> Callable[[], Any]:
    """A function that gives the method's base, the same each time it is called.

    For a method that starts from another's result, that one is trained here first and its weights kept.
    """
    arguments = (setting.entry, setting.weights, setting.labels)

    def fresh() -> Any:
        return prepare_base(*arguments, setting.method, setting.recipe, setting.case.seed, setting.device)

    if not setting.method.after:
        return fresh
    first = METHODS[setting.method.after]
    case = replace(setting.case, method=first.name)
    recipe = recipe_for(case, setting.recipe.data, engine=setting.recipe.engine)
    say({"line": f"training {first.name} first"})
    model = prepare_base(*arguments, first, recipe, case.seed, setting.device)
    model = attach(model, setting.entry, first, recipe, 0, case.seed)
    trainee = train.Trainee(model, first, recipe, replace(setting.batching, recipe=recipe), setting.device)
    setting.before = score(setting, trainee).quality
    steps = train.plan_steps(trainee.batching, setting.prepared.train, case.seed)
    done = ENGINES[recipe.engine](trainee, steps, say, lambda epoch: None)
    reached = score(setting, trainee).quality[setting.task.metric]
    setting.reasons.append(
        f"started from {first.name}: {len(steps)} steps of recipe {recipe.digest()}, last loss {done.losses[-1]:.4f}, "
        f"{setting.task.metric} {reached:.4f}; the quality before is that of the model before {first.name}"
    )
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}

    def tuned() -> Any:
        base = fresh()
        base.load_state_dict(weights)
        return base

    return tuned


def score(setting: Setting, trainee: train.Trainee) -> Score:
    """The held-out examples' outcomes as metrics."""
    return setting.task.score(setting.prepared, outcomes(trainee, setting.prepared.held_out))


def run_case(payload: dict[str, Any], say: train.Say) -> dict[str, Any]:
    """A record's fields, and `examples`: one row for each held-out example; with probes `probed`, one for each item."""
    setting = set_up(payload, say)
    phases = setting.phases
    make_base = base_maker(setting, say)
    with phases("load"):
        model = make_base()
    if setting.recipe.loss == "chunked":
        setting.reasons.append(SAYS[route(model.get_output_embeddings(), setting.device)])
    steps = train.plan_steps(setting.batching, setting.prepared.train, setting.case.seed)
    found = base_figures(setting, model)
    probe = evidence.Probe(setting.batching, setting.device, setting.prepared.held_out)
    base_logits = probe(model)
    loaded = evidence.fingerprint(model, trained=False) | evidence.fingerprint(model, trained=True)
    probing = start_probing(setting, payload.get("probes", []), payload.get("lm_eval", []), model, say)
    with phases("attach"):
        model = attach(model, setting.entry, setting.method, setting.recipe, len(steps), setting.case.seed)
    trainee = train.Trainee(model, setting.method, setting.recipe, setting.batching, setting.device)
    seen: dict[str, Any] = {
        "promises": evidence.promises_of(setting.method),
        "start_distance": evidence.distance(probe(model), base_logits),
    }
    frozen, trained = evidence.fingerprint(model, False), evidence.fingerprint(model, True)
    seen["base_changed_by_attaching"] = changed_base(loaded, {**frozen, **trained})
    del loaded
    say({"line": "evaluating the untrained model"})
    before = setting.before or score(setting, trainee).quality
    result = train_and_score(setting, trainee, steps, say)
    finish_probing(setting, probing, trainee, result)
    seen["base"] = evidence.changes(frozen, model, trained=False)
    seen["trained"] = evidence.changes(trained, model, trained=True)
    if setting.method.report:
        seen |= setting.method.report(model)
    say({"line": "checking and counting"})
    tuned = probe(model)
    if setting.method.is_adapter:
        seen["off_distance"] = evidence.distance(evidence.switched_off(model, probe), base_logits)
    exact = exact_figures(setting, trainee, found, seen)
    result["noisy"] |= achieved(setting, exact, result["noisy"]) | inference_figures(setting, model, make_base)
    del model

    def release() -> None:
        trainee.model = None  # the last that holds it
        gc.collect()
        if setting.device != "cpu":
            torch.cuda.empty_cache()

    seen |= evidence.read_back(trainee, probe, tuned, make_base, release)
    exact["adapter_bytes"] = seen.pop("adapter_bytes")
    if "merge_not_checked" in seen:
        setting.reasons.append(seen["merge_not_checked"])
    return {
        "quality_before": before,
        "quality_judged": setting.weights.origin != "synthetic",
        "exact": exact,
        "evidence": seen,
        "data": setting.data,
        "weights": {"origin": setting.weights.origin, "identity": setting.weights.identity},
        "environment": {**describe_worker(setting.device), **setting.emulation},
        "reasons": setting.reasons,
        **result,
    }


def start_probing(
    setting: Setting, names: Sequence[str], lm_eval: Sequence[str], base: Any, say: train.Say
) -> Probing | None:
    """Ask the base the named families and lm-eval's tasks; None where none is named."""
    if not names and not lm_eval:
        return None
    weights = f"{setting.entry.name} {setting.weights.identity}"
    shared = not setting.method.after  # else it was tuned here before
    probing = make_probing(
        names, tokenizer=setting.tokenizer, weights=weights, shared=shared, say=say, lm_eval=tuple(lm_eval)
    )
    started = time.perf_counter()
    # outside every phase: its memory is not the case's
    probing.ask_base(train.Trainee(base, setting.method, setting.recipe, setting.batching, setting.device))
    setting.seconds["probe_before"] = time.perf_counter() - started
    base.train()
    return probing


def finish_probing(setting: Setting, probing: Probing | None, trainee: train.Trainee, result: dict[str, Any]) -> None:
    """Ask the tuned model; the summary goes into the result's tables, the items' rows beside its examples."""
    if probing is None:
        return
    started = time.perf_counter()
    tables, result["probed"] = probing.ask_tuned(trainee)
    result["tables"] |= tables
    setting.reasons += probing.reasons
    result["noisy"]["seconds"]["probe_after"] = time.perf_counter() - started


def changed_base(loaded: dict[str, int], attached: dict[str, int]) -> int:
    """How many of the base's tensors are gone after attaching; peft renames them, so they are counted by hash."""
    hashes = list(loaded.values())
    for value in attached.values():
        if value in hashes:
            hashes.remove(value)
    return len(hashes)


def train_and_score(
    setting: Setting, trainee: train.Trainee, steps: list[train.Step], say: train.Say
) -> dict[str, Any]:
    """Train by the recipe's engine, evaluate, generate; quality, losses, noisy figures, tables and examples."""
    epochs: list[dict[str, float]] = []
    scores: list[Score] = []
    last = steps[-1].epoch

    def on_epoch(epoch: int) -> None:
        if epoch == last or setting.recipe.evaluate_each_epoch:
            say({"line": f"evaluating after epoch {epoch}"})
            started = time.perf_counter()
            with setting.phases("evaluate"), joules.paused():
                scores[:] = [score(setting, trainee)]
            setting.seconds["evaluate"] = time.perf_counter() - started
            epochs.append({"epoch": epoch, **scores[0].quality})

    joules = Joules(setting.device)
    with setting.phases("train"):
        training = ENGINES[setting.recipe.engine](trainee, steps, say, on_epoch)
    spent = joules.spent()
    setting.seconds["train"] = sum(training.seconds)
    final = scores[0]
    asked = setting.prepared.held_out[: setting.recipe.generated_examples]
    with setting.phases("generate"):
        said = generate(trainee, setting.tokenizer, asked, setting.entry.kind)
    tables = dict(final.tables)
    if said:
        tables["generated"] = [
            {"prompt": example.prompt, "actual": example.answer, "generated": answer}
            for example, answer in zip(asked, said, strict=True)
        ]
    for entry in epochs:
        own = [loss for loss, step in zip(training.losses, steps, strict=True) if step.epoch == entry["epoch"]]
        entry["train_loss"] = sum(own) / len(own)
    noisy = {
        **step_statistics(training.seconds, training.tokens, training.padded_tokens),
        "seconds": {**setting.seconds, "data": training.data_seconds},
        "tokens": sum(training.tokens),
        "joules": spent,
        "memory": setting.phases.peaks,
        "peak_bytes": setting.phases.highest(),
    }
    return {
        "quality": final.quality,
        "epochs": epochs,
        "losses": training.losses,
        "noisy": noisy,
        "tables": tables,
        "examples": final.examples,
    }


def base_figures(setting: Setting, model: Any) -> dict[str, Any]:
    """FLOPs of the base's forward pass."""
    found, reasons = flops.forward_figures(model, setting.entry, setting.method, setting.recipe, setting.labels)
    setting.reasons += reasons
    return found


def exact_figures(
    setting: Setting, trainee: train.Trainee, found: dict[str, Any], seen: dict[str, Any]
) -> dict[str, Any]:
    """Parameters, FLOPs, and on CPU the bytes tensors hold at the peak of a training step."""
    model = trainee.model
    model.train()  # generating left it in evaluation
    found |= parameters.figures(model, setting.entry, setting.method, setting.recipe, setting.labels)
    found |= flops.step_figures(model, setting.entry, setting.method, setting.recipe, setting.labels)
    found["optimizer_steps"] = len(train.plan_steps(setting.batching, setting.prepared.train, setting.case.seed))
    batch = setting.batching.one(setting.prepared.train[: setting.recipe.batch_size])
    with LiveStorages(device=setting.device) as storages:
        for tensor in (*model.parameters(), *model.buffers(), *quantisation_tensors(model)):
            storages.add(tensor.detach())
        found["resting_allocated_bytes"] = storages.live_bytes
        optimizer = train.make_optimizer(trainee)
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # a whole step that leaves the weights as they are
        train.backward(trainee, [batch.to(setting.device)])
        seen |= evidence.gradient_evidence(model)
        optimizer.step()
    found["step_allocated_bytes"] = storages.peak_bytes
    found["step_shape"] = list(batch.input_ids.shape)
    model.zero_grad(set_to_none=True)
    return found


def achieved(setting: Setting, exact: dict[str, Any], noisy: dict[str, Any]) -> dict[str, Any]:
    """FLOP/s of training, from the counted step and the padded tokens a second, and the share of the peak."""
    rows, length = exact["flops_shape"]
    rate = exact["step_flops"] / (rows * length) * noisy["padded_tokens_per_second"]
    return {"flops_per_second": rate, "utilisation": utilisation(rate, setting.device)}


def inference_figures(setting: Setting, model: Any, make_base: Callable[[], Any]) -> dict[str, Any]:
    """Seconds per generated token with and without the adapter: of a variant alone, for it takes three models."""
    method = setting.method
    if not setting.task.variant_of or setting.entry.kind != DECODER or not method.mergeable or method.quantised:
        return {}
    prompt = setting.prepared.held_out[0].input_ids[: inference.PROMPT_TOKENS]
    ids = torch.tensor([prompt], device=setting.device) % setting.batching.vocabulary
    return {"inference": inference.timings(model, make_base, ids, setting.recipe, setting.device)}


class Stepper:
    """A case made ready, whose optimizer steps are driven one by one from outside, for timing."""

    def __init__(self, payload: dict[str, Any], say: train.Say) -> None:
        setting = set_up(payload, say)
        model = base_maker(setting, say)()
        steps = train.plan_steps(setting.batching, setting.prepared.train, setting.case.seed)
        model = attach(model, setting.entry, setting.method, setting.recipe, len(steps), setting.case.seed)
        recipe = replace(setting.recipe, schedule="constant", warmup_fraction=0.0)
        trainee = train.Trainee(model, setting.method, recipe, setting.batching, setting.device)
        self.environment = {**describe_worker(setting.device), **setting.emulation}
        self._run = train.each_step(trainee, steps[:1] * MOST_TIMED_STEPS)  # one shape again and again

    def describe(self) -> dict[str, Any]:
        """The worker's environment, for pytest-benchmark's extra_info."""
        return self.environment

    def step(self) -> dict[str, float]:
        """One optimizer step of the first batch: its loss, its seconds by the worker's clock, its tokens."""
        _, _, loss, seconds, batches = next(self._run)
        return {"loss": loss, "seconds": seconds, "tokens": sum(batch.tokens for batch in batches)}
