"""A case's probes, in the worker: the base is asked before, the tuned model after, and the replies are paired.

The base's replies do not depend on the adapter. They are kept in the cache folder, keyed by weights, prompts and
whatever else could change a reply, and the base is asked once for all adapters.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers

from bench.core.files import write_atomically
from bench.core.paths import cache_folder
from bench.methods import PLAIN
from bench.probes import LOSS, OWN, PROBES, Family
from bench.probes.export import lm_eval_form
from bench.probes.scoring import summarise, summarise_losses
from bench.worker.ask.questions import Reply, ask, prompt_ids, reading_only, text_losses
from bench.worker.build.precision import storage_dtype
from bench.worker.train.trainee import Say, Trainee

ASKING = 8  # raise it when bench.worker.ask.questions changes how it asks, so that kept replies are asked again

LOSS_KEYS = {"loss", "tokens"}
REPLY_KEYS = {field.name for field in fields(Reply)}

Replies = list[dict[str, Any]]  # of a family: each item's Reply as plain data, or each text's loss and tokens


@dataclass
class Probing:
    """The families that a case is asked, and the base's replies. weights: the identity of the base's weights."""

    families: list[Family]
    tokenizer: Any
    weights: str
    shared: bool  # whether the base is one that other cases have too
    say: Say
    lm_eval: tuple[str, ...] = ()  # tasks of lm-evaluation-harness, evaluated before and after too
    before: dict[str, Replies] = field(default_factory=dict)
    lm_eval_before: dict[str, dict[str, float]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def ask_base(self, base: Trainee) -> None:
        """Ask the base the families whose replies are not in the cache."""
        paths = {family.name: self.path(family, base) for family in self.families if self.shared}
        known = {family.name: read_replies(paths[family.name], family) for family in self.families if self.shared}
        self.before = {name: replies for name, replies in known.items() if replies is not None}
        unknown = [family for family in self.families if family.name not in self.before]
        found = self.replies(unknown, base, "the base")
        self.before |= found
        for name in found.keys() & paths.keys():
            self.keep(paths[name], found[name])
        if self.lm_eval:
            self.lm_eval_before = self.harness(base, "the base")

    def keep(self, path: Path, replies: Replies) -> None:
        """Write the replies to the cache; if that fails, other cases ask the base again."""
        try:
            write_atomically(path, json.dumps(replies, ensure_ascii=False))
        except OSError as error:
            reason = f"the base's replies are not kept: the cache {cache_folder()} cannot be written ({error.strerror})"
            if reason not in self.reasons:
                self.reasons.append(reason)
                self.say({"line": reason})

    def harness(self, trainee: Trainee, name: str) -> dict[str, dict[str, float]]:
        """lm-eval's metrics by task, and a reason for each task that cannot be run. They are never kept."""
        from bench.worker.ask import lm_harness  # takes a second or two to import

        self.say({"line": f"lm-eval on {name}: {', '.join(self.lm_eval)}"})
        found, reasons = lm_harness.evaluate(trainee, self.tokenizer, self.lm_eval)
        self.reasons += [reason for reason in reasons if reason not in self.reasons]
        return found

    def key(self, family: Family, base: Trainee) -> str:
        """A digest of what a reply of the base depends on: weights, prompts, and how they are computed."""
        about = {
            "asking": ASKING,
            "weights": self.weights,
            "items": [asdict(item) for item in family.items],
            "prompts": [prompt_ids(item, self.tokenizer) for item in family.items],
            "new_tokens": family.new_tokens,
            "storage": base.method.storage,
            "unquantised": str(storage_dtype(base.method, base.recipe)),
            "packs": base.method.packs,  # if not, it is asked without batches
            "quantise_head": base.recipe.quantise_head,
            "precision": base.recipe.precision,
            "vocabulary": base.batching.vocabulary,
            "device": base.device if base.device == "cpu" else torch.cuda.get_device_name(base.device),
            "libraries": [torch.__version__, transformers.__version__, quantiser(base)],
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def path(self, family: Family, base: Trainee) -> Path:
        """Where the base's replies are kept."""
        return cache_folder() / "probes" / f"{self.key(family, base)}.json"

    def replies(self, families: Sequence[Family], trainee: Trainee, name: str) -> dict[str, Replies]:
        """Replies by family. All families are asked together, so that long answers share a batch."""
        if not families:
            return {}
        self.say({"line": f"asking {name}: {', '.join(family.name for family in families)}"})
        questions = [(family, item) for family in families if family.kind != LOSS for item in family.items]
        found: dict[str, Replies] = {family.name: [] for family in families}
        with reading_only(trainee):
            told = ask(
                trainee, self.tokenizer, [item for _, item in questions], [family.new_tokens for family, _ in questions]
            )
            for family in families:
                if family.kind == LOSS:
                    found[family.name] = text_losses(trainee, self.tokenizer, [item.prompt for item in family.items])
        for (family, _), reply in zip(questions, told, strict=True):
            found[family.name].append({**asdict(reply), "choice_nats": list(reply.choice_nats)})
        return found

    def ask_tuned(self, tuned: Trainee) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The record's tables, and a row for each item: the answers before and after, and their outcomes."""
        asked, losses = [], []
        after = self.replies(self.families, tuned, "the tuned model")
        for family in self.families:
            replies = self.before[family.name], after[family.name]
            if family.kind == LOSS:
                losses += loss_rows(family, *replies)
            else:
                asked += answer_rows(family, *replies)
        tables: dict[str, Any] = {"probes": summarise(asked)} if asked else {}
        if self.lm_eval:
            harness_after = self.harness(tuned, "the tuned model")
            tables["lm_eval"] = {
                task: {
                    "before": self.lm_eval_before.get(task, {}),
                    "after": harness_after.get(task, {}),
                    "ours": own_accuracy(task, asked),
                }
                for task in self.lm_eval
            }
        if losses:
            tables["probe_losses"] = summarise_losses(losses)
        return tables, asked + losses


def own_accuracy(task: str, asked: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The accuracy that lm-eval must give: the share of the task's items whose right choice is the likeliest."""
    compared = [row for row in asked if f"{OWN}{row['family']}" == task and row["before_margin"] is not None]
    if not compared:
        return {}
    form = lm_eval_form(compared[0]["family"])
    rows = [row for row in compared if row["form"] == form]
    return {when: sum(row[f"{when}_margin"] > 0 for row in rows) / len(rows) for when in ("before", "after")}


def quantiser(base: Trainee) -> str:
    """The library that computes a quantised base, with its version; empty for a plain one."""
    return "" if base.method.storage == PLAIN else f"bitsandbytes {version('bitsandbytes')}"


def make_probing(names: Sequence[str], **facts: Any) -> Probing:
    return Probing(families=[PROBES[name] for name in names], **facts)


def read_replies(path: Path, family: Family) -> Replies | None:
    """The file's replies, one for each of the family's items; None if they are missing or damaged."""
    try:
        replies = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or cut by a full disk
        return None
    keys = LOSS_KEYS if family.kind == LOSS else REPLY_KEYS
    whole = isinstance(replies, list) and len(replies) == len(family.items)
    return replies if whole and all(isinstance(one, dict) and one.keys() == keys for one in replies) else None


def answer_rows(family: Family, before: Replies, after: Replies) -> list[dict[str, Any]]:
    """One row an item, each reply parsed and its margin taken."""
    rows = []
    for item, *said in zip(family.items, before, after, strict=True):
        one, other = (Reply(**{**reply, "choice_nats": tuple(reply["choice_nats"])}) for reply in said)
        rows.append(
            {
                "key": f"{family.name}/{item.id}",
                "family": family.name,
                "language": item.language,
                "group": item.group,
                "form": item.form,
                "before": family.outcome(one.text, item, one.cut),
                "after": family.outcome(other.text, item, other.cut),
                "before_margin": one.margin(item),
                "after_margin": other.margin(item),
                "said_before": one.text,
                "said_after": other.text,
                "cut_before": one.cut,
                "cut_after": other.cut,
            }
        )
    return rows


def loss_rows(family: Family, before: Replies, after: Replies) -> list[dict[str, Any]]:
    return [
        {
            "key": f"{family.name}/{item.id}",
            "family": family.name,
            "language": item.language,
            "group": item.group,
            "tokens": one["tokens"],
            "before": one["loss"],
            "after": other["loss"],
        }
        for item, one, other in zip(family.items, before, after, strict=True)
    ]
