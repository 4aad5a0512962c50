"""Records that no threshold judges: a skipped test where a person chose that, a failed one where nobody did.

A skip that nobody asked for looks like a pass, so only these are skipped:

- random weights of a tiny model, of a source's model, or by --synthetic
- an option of a person's that changes the recipe, as --max-steps
- a case beyond the default run for which no threshold was ever measured

Everything is read from the record, so that a run judged again with --replay is judged alike.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bench.core.case import Case
from bench.models import MODELS
from bench.plan.selection import Selection, is_smoke
from bench.recipes.of_case import recipe_for
from bench.records.basis import described, group_of
from bench.records.record import Record
from bench.tasks import TASKS

OPTIONS = {"max_steps": "--max-steps", "engine": "--engine"}  # what changes these fields of a recipe
ALLOW = "or pass --allow-unjudged"


@dataclass(frozen=True)
class Unjudged:
    """Why a record is not judged, and whether a person chose that."""

    reason: str
    chosen: bool


def in_default_run(case: Case, size: str, own_entries: frozenset[str] = frozenset()) -> bool:
    """Whether `pytest suites` runs the case on every machine, so that it must have a threshold.

    That is on the processor and the samples; own_entries are names of a person's own models, methods and tasks.
    """
    usual = MODELS[case.model].embedded and TASKS[case.task].embedded and is_smoke(case, Selection())
    own = own_entries & {case.task, case.model, case.method}
    return usual and case.device == "cpu" and size == "sample" and not own


def without_metric(record: Record) -> Unjudged | None:
    """What keeps quality from being judged where the task's metric is missing; None where it is there."""
    task = TASKS[record.parsed_case().task]
    if task.metric in record.quality and task.metric in record.quality_before:
        return None
    return Unjudged(
        f"its record has no {task.metric}, which {task.name} is judged by; `python -m bench rescore RUN` adds it where "
        "predictions were kept; else run the case again",
        chosen=False,
    )


def without_weights(record: Record) -> Unjudged | None:
    """What keeps quality from being judged at all; None for a record of real weights."""
    if record.quality_judged:
        return None
    model = record.parsed_case().model
    if not MODELS[model].embedded or record.weights.get("asked_for"):
        return Unjudged("random weights: quality is not judged", chosen=True)
    says = next((reason.removeprefix("weights: ") for reason in record.reasons if reason.startswith("weights: ")), "")
    return Unjudged(
        f"{model} was run with random weights and is expected with its own ({says or 'its record does not say why'}); "
        f"`python -m bench fetch {model}` shows what fails; mend it, give --mirror DIR, {ALLOW}",
        chosen=False,
    )


def without_threshold(record: Record, differences: Mapping[str, str] | None, expected: bool) -> Unjudged | None:
    """What keeps a threshold from judging the record; None where one does.

    differences: in what the record differs from what its threshold was measured with, None if none was measured;
    expected: whether one must be there.
    """
    name = group_of(record)
    if differences is None:
        remedy = f"; measure several seeds and write it, {ALLOW}" if expected else ""
        return Unjudged(f"no threshold was measured for {name}{remedy}", chosen=not expected)
    if not differences:
        return None
    if differences.keys() == {"recipe"} and (changed := changed_by_options(record)):
        return Unjudged(f"the threshold of {name} holds without {' and '.join(changed)} only", chosen=True)
    return Unjudged(
        f"the threshold of {name} does not apply: {described(differences)}; "
        f"if the change is meant, measure it anew on several seeds, {ALLOW}",
        chosen=False,
    )


def changed_by_options(record: Record) -> list[str]:
    """The options that gave the record another recipe than its files, with their values; [] if anything else did.

    The files are today's: it is assumed that they gave the record these fields when it was run, and any other field in
    which they differ from the record says that they did not.
    """
    files = json.loads(json.dumps(asdict(recipe_for(record.parsed_case(), record.recipe["data"]))))
    changed = [name for name, value in files.items() if record.recipe.get(name, value) != value]
    return [f"{OPTIONS[name]} {record.recipe[name]}" for name in changed] if OPTIONS.keys() >= set(changed) else []
