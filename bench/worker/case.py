"""A case from start to end, in the worker: load, attach, train, evaluate, check, count, read back.

Each stage is a function that returns its own part of the record and is timed under its own name, so that a
record accounts for all of a case's seconds (`noisy.seconds`).
"""

import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.core.work import CaseWork
from bench.machine.environment import describe_worker
from bench.methods.tolerances import rounding_tolerance, start_tolerance
from bench.models import DECODER
from bench.models.shapes import is_rebuilt_at_once
from bench.sources.weights import SYNTHETIC
from bench.tasks import Score
from bench.worker.ask.generate import generate
from bench.worker.ask.probing import Probing, make_probing
from bench.worker.build.adapter import attach
from bench.worker.check import evidence
from bench.worker.check import read_back as read_back_module
from bench.worker.check.fingerprint import changes, fingerprint
from bench.worker.check.formula import formula_evidence
from bench.worker.check.padding import PADDED, padding_evidence
from bench.worker.check.rebuilt import rebuilt_evidence
from bench.worker.figures import base_figures, exact_figures, inference_figures, rates_of_steps
from bench.worker.first_method import ENGINES, base_maker, score
from bench.worker.keep.writing import Keeper
from bench.worker.measure.clock import step_statistics
from bench.worker.measure.energy import Joules
from bench.worker.setup import Setting, set_up
from bench.worker.timeline import EVALUATE, EVALUATE_BEFORE, TRAIN, Timeline
from bench.worker.train.chunked_losses import SAYS, route
from bench.worker.train.steps import Step, plan_steps
from bench.worker.train.trainee import Say, Trainee
from bench.worker.warned import kept_warnings

SECONDS_DECIMALS = 6  # microseconds
# The distances between logits that are computed in two ways.
ROUNDED = ("generation_distance", "merge_distance", "two_merged_distance", *PADDED)


@dataclass
class Base:
    """The model before anything is attached, and what is kept of it to compare with."""

    model: Any  # None once it is released
    make: Callable[..., Any]  # builds the same base again, with to_attach=True for another adapter on it
    probe: evidence.Probe
    logits: Tensor  # of the probe's examples
    loaded: dict[str, int]  # a hash of every parameter
    exact: dict[str, Any]  # FLOPs of a forward pass
    loss_by: dict[str, str]  # for the environment: who computes a loss in chunks


def run_case(payload: dict[str, Any], say: Say) -> dict[str, Any]:
    """A record's fields, and rows of their own: `examples` and `untrained`, one for each held-out example after and
    before training; with probes `probe_answers`, one for each item.
    """
    began, before = time.time(), os.getloadavg()
    with kept_warnings() as heard:
        found = run_stages(CaseWork.from_plain(payload), say)
    found["warnings"] = heard
    found["noisy"]["began"] = round(began, 3)  # seconds since 1970: whether processes took turns
    found["noisy"]["cpu_seconds"] = round(time.process_time(), SECONDS_DECIMALS)  # of a process of its own
    found["noisy"]["load_averages"] = {"before": list(before), "after": list(os.getloadavg())}
    return found


def run_stages(work: CaseWork, say: Say) -> dict[str, Any]:
    """run_case without what surrounds the stages."""
    timeline = Timeline()
    with timeline("set_up"):
        setting = set_up(work, say, timeline)
        steps = plan_steps(setting.batching, setting.prepared.train, setting.case.seed)
    base = load_base(setting, say)
    probing = start_probing(setting, work.probes, work.lm_eval, base.model, say)
    trainee, attached = attach_adapter(setting, base, len(steps))
    untrained = Score(setting.before, []) if setting.before else evaluate_untrained(setting, trainee, say)
    trained = train_and_evaluate(setting, trainee, steps, say)
    probe_tables, probe_answers = finish_probing(setting, probing, trainee)
    say({"line": "checking and counting"})
    tuned, checked = check_trained(setting, trainee, base, attached, len(steps))
    with timeline("count"):
        exact, gradients = exact_figures(setting, trainee, steps, base.exact)
    rates = rates_of_steps(setting, steps, exact, trained["noisy"])
    inference = time_inference(setting, trainee, base)
    keeper = Keeper(setting, work.keep, work.keep_in, untrained.quality, trained["quality"])
    keeper.keep_trained(trainee.model)
    adapter_bytes, read = read_back(setting, trainee, base, tuned, attached.evidence | checked, keeper)
    return {
        **trained,
        **probe_answers,
        "quality_before": untrained.quality,
        "untrained": untrained.examples,
        "quality_judged": setting.weights.origin != SYNTHETIC,
        "exact": {**exact, "adapter_bytes": adapter_bytes},
        "noisy": {**trained["noisy"], **rates, **inference, "seconds": timeline.seconds()},
        "tables": {**trained["tables"], **probe_tables},
        "evidence": {**attached.evidence, **checked, **gradients, **read},
        "data": setting.data,
        "weights": setting.weights.identities(),
        "kept": keeper.kept,
        "environment": {**describe_worker(setting.device), **setting.emulation, **base.loss_by},
        "reasons": [*setting.reasons, *setting.phases.reasons],
    }


def load_base(setting: Setting, say: Say) -> Base:
    """Build the base, count its forward pass, and keep hashes and logits to compare with."""
    make = base_maker(setting, say)
    with setting.stage("load"):
        model = make(to_attach=True)
    loss_by = {}
    if setting.recipe.loss == "chunked":
        loss_by["loss_by"] = route(model.get_output_embeddings(), setting.device)
        setting.reasons.append(SAYS[loss_by["loss_by"]])
    with setting.timeline("count"):
        exact = base_figures(setting, model)
    with setting.timeline("check"):
        probe = evidence.Probe(setting.batching, setting.device, setting.prepared.held_out)
        logits = probe(model)
        loaded = fingerprint(model, trained=False) | fingerprint(model, trained=True)
    return Base(model, make, probe, logits, loaded, exact, loss_by)


def start_probing(
    setting: Setting, names: Sequence[str], lm_eval: Sequence[str], base: Any, say: Say
) -> Probing | None:
    """Ask the base the named families and lm-eval's tasks; None where none is named. Raises UnknownName."""
    if not names and not lm_eval:
        return None
    if lm_eval:
        from bench.worker.ask import lm_harness  # takes a second or two to import

        lm_harness.check_names(lm_eval)
    weights = f"{setting.entry.name} {setting.weights.identity} {setting.weights.files}"
    shared = not setting.method.after  # else it was tuned here before
    probing = make_probing(
        names, tokenizer=setting.tokenizer, weights=weights, shared=shared, say=say, lm_eval=tuple(lm_eval)
    )
    with setting.timeline("probe_before"):  # no memory phase: what probing holds is not the case's
        probing.ask_base(Trainee(base, setting.method, setting.recipe, setting.batching, setting.device))
    base.train()
    return probing


def finish_probing(
    setting: Setting, probing: Probing | None, trainee: Trainee
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask the tuned model: the record's tables of probes, and `probe_answers`, a row for each; {} without probes."""
    if probing is None:
        return {}, {}
    with setting.timeline("probe_after"):
        tables, rows = probing.ask_tuned(trainee)
    setting.reasons += probing.reasons
    return tables, {"probe_answers": rows}


@dataclass
class Attached:
    """The model with its adapter, before training: a hash of each parameter by name, and evidence."""

    frozen: dict[str, int]
    trained: dict[str, int]
    evidence: dict[str, Any]


def attach_adapter(setting: Setting, base: Base, steps: int) -> tuple[Trainee, Attached]:
    """Attach what the method adds. Evidence: the start's distance from the base, and what of the base changed."""
    with setting.stage("attach"):
        model = attach(base.model, setting.entry, setting.method, setting.recipe, steps, setting.case.seed)
    trainee = Trainee(model, setting.method, setting.recipe, setting.batching, setting.device, setting.case.seed)
    with setting.timeline("check"):
        frozen, trained = fingerprint(model, False), fingerprint(model, True)
        found = {
            "promises": evidence.promises_of(setting.method),
            "start_distance": evidence.distance(base.probe(model), base.logits),
            "base_changed_by_attaching": changed_base(base.loaded, frozen | trained),
        }
    return trainee, Attached(frozen, trained, found)


def changed_base(loaded: dict[str, int], attached: dict[str, int]) -> int:
    """How many of the base's tensors attaching changed; peft renames them, so they are counted by hash."""
    hashes = list(loaded.values())
    for value in attached.values():
        if value in hashes:
            hashes.remove(value)
    return len(hashes)


def evaluate_untrained(setting: Setting, trainee: Trainee, say: Say) -> Score:
    """The quality before training, with its rows."""
    say({"line": "evaluating the untrained model"})
    with setting.timeline(EVALUATE_BEFORE):
        return score(setting, trainee)


def train_and_evaluate(setting: Setting, trainee: Trainee, steps: list[Step], say: Say) -> dict[str, Any]:
    """Train by the recipe's engine, evaluate, generate; quality, losses, noisy figures, tables and examples."""
    epochs: list[dict[str, float]] = []
    scores: list[Score] = []
    last = steps[-1].epoch

    def on_epoch(epoch: int) -> None:
        if epoch == last or setting.recipe.evaluate_each_epoch:
            say({"line": f"evaluating after epoch {epoch}"})
            with setting.stage(EVALUATE), joules.pause():
                scores[:] = [score(setting, trainee)]
            epochs.append({"epoch": epoch, **scores[0].quality})

    load = os.getloadavg()[0]  # of the last minute: more than this case shows that something else ran
    joules = Joules(setting.device)
    with setting.stage(TRAIN):
        training = ENGINES[setting.recipe.engine](trainee, steps, say, on_epoch)
    spent = joules.joules_spent()
    setting.timeline.split_training(TRAIN, sum(training.seconds), training.data_seconds)
    for entry in epochs:
        own = [loss for loss, step in zip(training.losses, steps, strict=True) if step.epoch == entry["epoch"]]
        entry["train_loss"] = sum(own) / len(own)
    noisy = {
        **step_statistics(training.seconds, training.tokens, training.padded_tokens),
        "step_seconds": [round(seconds, SECONDS_DECIMALS) for seconds in training.seconds],
        "step_cpu_seconds": [round(seconds, SECONDS_DECIMALS) for seconds in training.cpu_seconds],
        "tokens": sum(training.tokens),
        "joules": spent,
        "load_average": load,
    }
    tables = {**scores[0].tables, **generated_table(setting, trainee), **views_table(setting, trainee)}
    noisy |= {"memory": setting.phases.peaks, "peak_bytes": setting.phases.highest()}
    return {
        "quality": scores[0].quality,
        "epochs": epochs,
        "losses": training.losses,
        "noisy": noisy,
        "tables": tables,
        "examples": scores[0].examples,
    }


def generated_table(setting: Setting, trainee: Trainee) -> dict[str, Any]:
    """Generated and actual answers to the first held-out prompts; {} if the recipe asks for none."""
    asked = setting.prepared.held_out[: setting.recipe.generated_examples]
    if not asked or setting.entry.kind != DECODER:
        return {}
    with setting.stage("generate"):
        said = generate(trainee, setting.tokenizer, asked, setting.entry.kind)
    rows = [
        {"prompt": example.prompt, "actual": example.answer, "generated": answer}
        for example, answer in zip(asked, said, strict=True)
    ]
    return {"generated": rows} if rows else {}


def views_table(setting: Setting, trainee: Trainee) -> dict[str, Any]:
    """The quality of each model that the one training gives, by its name; {} for a method that gives one model."""
    if not setting.method.views:
        return {}
    found = {}
    for name, apply in setting.method.views(setting.recipe):  # the whole model is the last, and stays
        apply(trainee.model)
        with setting.stage(EVALUATE):
            found[name] = score(setting, trainee).quality
    return {"views": found}


def check_trained(
    setting: Setting, trainee: Trainee, base: Base, attached: Attached, steps: int
) -> tuple[Tensor, dict[str, Any]]:
    """The tuned model's logits, and evidence: of what changed, and of all that does not need a model read back."""
    model = trainee.model
    checked: dict[str, Any] = {}
    with setting.timeline("check"):
        checked["base"] = changes(attached.frozen, model, trained=False)
        checked["trained"] = changes(attached.trained, model, trained=True)
        if setting.method.report:
            checked |= setting.method.report(model)
        tuned = base.probe(model)
        short = base.probe.short()
        checked |= evidence.dropout_evidence(model, short)
        if setting.method.is_adapter:
            off = evidence.switched_off(model, base.probe)
            checked["off_distance"] = evidence.distance(off, base.logits)
        if setting.entry.kind == DECODER:
            checked["generation_distance"] = evidence.generation_distance(trainee, setting.prepared.held_out[0])
        checked |= padding_evidence(trainee, setting.entry, short)
        checked |= formula_evidence(model, setting.method, setting.recipe, short)
        if is_rebuilt_at_once(setting.entry):
            make = partial(base.make, to_attach=True)
            checked |= rebuilt_evidence(trainee, setting.entry, steps, make, attached.trained, base.probe)
    return tuned, checked


def time_inference(setting: Setting, trainee: Trainee, base: Base) -> dict[str, Any]:
    """Seconds per generated token of the base, unmerged and merged model; measured for variants only."""
    with setting.timeline("time_inference"):
        return inference_figures(setting, trainee.model, base.make)


def read_back(
    setting: Setting, trainee: Trainee, base: Base, tuned: Tensor, seen: dict[str, Any], keeper: Keeper
) -> tuple[int, dict[str, Any]]:
    """The adapter's bytes, and evidence that saved, read back and merged it gives the tuned model's logits.

    Releases the model. The keeper gets the merged one.
    """

    def release() -> None:
        trainee.model = base.model = None  # the last that hold it
        gc.collect()
        if setting.device != "cpu":
            torch.cuda.empty_cache()

    def needs_rounding(found: dict[str, Any]) -> bool:
        arguments = (setting.method, setting.entry, setting.recipe.precision)
        computed = max((seen | found).get(name, 0.0) for name in ROUNDED)
        start = seen["start_distance"] if setting.method.identity_at_start else 0.0
        allowed = rounding_tolerance(*arguments, setting.recipe.adapter_precision)
        return computed > allowed or start > start_tolerance(*arguments)

    with setting.timeline("read_back"):
        read = read_back_module.read_back(
            trainee, base.probe, tuned, base.make, release, needs_rounding, keeper.keep_merged
        )
    if "merge_not_checked" in read:
        setting.reasons.append(read["merge_not_checked"])
        keeper.refuse_merged(read["merge_not_checked"])
    return read.pop("adapter_bytes"), read
