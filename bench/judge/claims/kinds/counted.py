"""Claims about a data set: rows and labels, counted once in the full data and committed as results/census.json.

by = { count = "rows", task = "pos", split = "train" }
by = { count = "label", task = "pos", split = "train", label = "NN" }
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.files import BadFile
from bench.core.paths import RESULTS
from bench.judge.claims.claim import NONE, UNSTATED, Claim, check_name, check_registered, refuse
from bench.judge.claims.grounds import Evidence, check_keys
from bench.judge.claims.vocabulary import SIGNS, satisfies
from bench.judge.verdict import CONFIRMED, NOT_RUN, REFUTED, Verdict
from bench.sources.data import load_rows
from bench.tasks import TASKS
from bench.tasks.pos import as_list

FILE = RESULTS / "census.json"
COUNTS = ("rows", "label")
REQUIRED = {"count": (str,), "task": (str,), "split": (str,)}
OPTIONAL = {"label": (str,)}  # of a count of labels
COMMAND = "python -m bench census --mirror DIR"


def count_data(mirror: Path | None, tasks: Sequence[str] = ()) -> dict[str, Any]:
    """The contents of the full data, by task: Hub id, identity of the rows, rows per split, and tags if it has labels.

    tasks: the tasks whose data is counted; by default every task that is not a variant.
    """
    census: dict[str, Any] = {}
    for task in [TASKS[name] for name in tasks] or [task for task in TASKS if not task.variant_of]:
        found = load_rows(task.data, "full", mirror)
        entry: dict[str, Any] = {"hub_id": task.data.hub_id, "identity": found.identity}
        entry["rows"] = {split: len(rows) for split, rows in found.splits.items()}
        if "labels" in task.data.columns:
            entry["labels"] = {
                split: dict(Counter(tag for row in rows for tag in as_list(row["labels"], split)).most_common())
                for split, rows in found.splits.items()
            }
        census[task.name] = entry
    return census


def read_census(path: Path = FILE) -> dict[str, Any]:
    """The census; {} if nothing was counted yet. Raises BadFile."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadFile(f"{path}: {error}; write it again with {COMMAND}") from None


def check(claim: Claim, claims: Mapping[str, Claim]) -> None:
    """Raise BadFile naming file, id and key."""
    where = f"{claim.file} [{claim.id}]"
    check_name(where, "by.count", claim.by.get("count"), COUNTS)
    check_keys(claim, REQUIRED | OPTIONAL if claim.by["count"] == "label" else REQUIRED, {})
    check_registered(where, "by.task", "task", claim.by["task"])
    if claim.protocol.task not in (claim.by["task"], UNSTATED, NONE):
        raise refuse(where, "by.task", f"{claim.by['task']!r} is not the protocol's, which is {claim.protocol.task!r}")
    check_name(where, "by.split", claim.by["split"], TASKS[claim.by["task"]].data.splits)
    if (claim.unit == "tokens") != (claim.by["count"] == "label"):
        raise refuse(where, "unit", f"{claim.unit!r} must be tokens for labels and rows for rows")


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    counted = evidence.census.get(claim.by["task"])
    if counted is None:
        says = f"{claim.place}: the data set of {claim.by['task']} was not counted; {COMMAND}"
        return Verdict(claim.id, NOT_RUN, says)
    split = claim.by["split"]
    if claim.by["count"] == "rows":
        seen, what = counted["rows"][split], f"rows of {split}"
    else:
        seen, what = counted["labels"][split].get(claim.by["label"], 0), f"tokens tagged {claim.by['label']} in {split}"
    holds = satisfies(seen, claim.value, claim.comparator, claim.tolerance)
    says = (
        f"{claim.place} says {SIGNS[claim.comparator]}{claim.shown_value()}; {counted['hub_id']} has {seen:,} {what} "
        f"({counted['identity'][:19]})"
    )
    return Verdict(claim.id, CONFIRMED if holds else REFUTED, says)
