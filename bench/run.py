"""Running a case, in the worker: train, measured; score; check. Gives a record's fields."""

import gc
import time
from collections.abc import Sequence
from typing import Any

import torch

from bench import evidence, train
from bench.build import attach
from bench.chunks import SAYS, route
from bench.figures import achieved, base_figures, exact_figures, inference_figures
from bench.generation import generate
from bench.measure.clock import step_statistics
from bench.measure.energy import Joules
from bench.measure.environment import describe_worker
from bench.models import DECODER
from bench.probing import Probing, make_probing
from bench.setting import ENGINES, Setting, base_maker, score, set_up
from bench.tasks import Score


def run_case(payload: dict[str, Any], say: train.Say) -> dict[str, Any]:
    """A record's fields, and `examples`: one row for each held-out example; with probes `probed`, one for each item."""
    setting = set_up(payload, say)
    phases = setting.phases
    make_base = base_maker(setting, say)
    with phases("load"):
        model = make_base()
    loss = {}
    if setting.recipe.loss == "chunked":
        loss["loss_by"] = route(model.get_output_embeddings(), setting.device)
        setting.reasons.append(SAYS[loss["loss_by"]])
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
    if setting.entry.kind == DECODER:
        seen["generation_distance"] = evidence.generation_distance(trainee, setting.prepared.held_out[0])
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
        "weights": setting.weights.identities(),
        "environment": {**describe_worker(setting.device), **setting.emulation, **loss},
        "reasons": setting.reasons,
        **result,
    }


def start_probing(
    setting: Setting, names: Sequence[str], lm_eval: Sequence[str], base: Any, say: train.Say
) -> Probing | None:
    """Ask the base the named families and lm-eval's tasks; None where none is named. Raises UnknownName."""
    if not names and not lm_eval:
        return None
    if lm_eval:
        from bench import lm_evaluation  # a second or two to import, for whoever asks for it alone

        lm_evaluation.check_names(lm_eval)
    weights = f"{setting.entry.name} {setting.weights.identity} {setting.weights.files}"
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
