"""lm-evaluation-harness on a case's model, before and after: its own tasks, and this project's in fixtures/tasks.

lm-eval's cache of responses is keyed by the request and not by the model, so none is ever given to it: the base
and the adapter would answer for each other.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from bench.core.paths import FIXTURES, ROOT
from bench.core.registry import unknown
from bench.probes import CHAT, OWN
from bench.probes.export import lm_eval_form
from bench.sources.errors import first_line
from bench.sources.hub import hub_answers
from bench.worker.build.precision import autocast_dtype
from bench.worker.train.trainee import Trainee

TASKS_FOLDER = FIXTURES / "tasks"


def check_names(names: Sequence[str]) -> None:
    """Raises UnknownName for a task that lm-eval does not have."""
    from lm_eval.tasks import TaskManager

    known = TaskManager(include_path=str(TASKS_FOLDER)).all_tasks
    for name in names:
        if name not in known:
            raise unknown("lm-eval task", name, list(known))


def evaluate(trainee: Trainee, tokenizer: Any, names: Sequence[str]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Metrics of each task, and a sentence for each foreign task that could not be run. Our own tasks need no network,
    so their errors are raised."""
    found, reasons = {}, []
    for name in names:
        try:
            # the rows' paths in fixtures/tasks are relative to this repository's root
            with contextlib.chdir(ROOT), offline_unless_answered(name):
                found[name] = metrics_of(trainee, tokenizer, name)
        except Exception as error:  # datasets and lm-eval pass on the errors of all that they read with
            if name.startswith(OWN):
                raise
            away = "" if hub_answers().ok else f"; {hub_answers().reason}"
            reasons.append(f"lm-eval {name}: not run, {first_line(error)}{away}")
    return found, reasons


def metrics_of(trainee: Trainee, tokenizer: Any, name: str) -> dict[str, float]:
    """The task's numbers by metric, without their standard errors."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    trainee.model.eval()
    recipe, ours = trainee.recipe, name.startswith(OWN)
    model = HFLM(
        pretrained=trainee.model, tokenizer=tokenizer, device=trainee.device, batch_size=recipe.evaluation_batch_size,
        mixed_precision_dtype=autocast_dtype(recipe),
    )  # fmt: skip
    result = simple_evaluate(
        model=model, tasks=[name], use_cache=None, cache_requests=False, bootstrap_iters=0, log_samples=False,
        task_manager=TaskManager(include_path=str(TASKS_FOLDER), include_defaults=not ours),
        apply_chat_template=ours and lm_eval_form(name.removeprefix(OWN)) == CHAT and bool(tokenizer.chat_template),
    )  # fmt: skip
    told = result["results"][name]
    return {
        key.removesuffix(",none"): float(value)
        for key, value in told.items()
        if isinstance(value, int | float) and "stderr" not in key and key != "sample_len"
    }


@contextlib.contextmanager
def offline_unless_answered(name: str) -> Iterator[None]:
    """Inside, datasets uses its cache only if the Hub is unreachable or the task is ours, whose files are local."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or name.startswith(OWN) or not hub_answers().ok
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before
