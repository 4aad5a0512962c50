"""Kept weights: the folder RUN/adapters/CASE that `--keep` writes, and its manifest, which names base and files.

The manifest (lorabench.json) lies beside the weights, so that a folder that was copied elsewhere can still be checked:
its base must have the same weights, and its files must be those that were written.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.core.registry import first_few, nearest
from bench.records.record import Record, read_lines
from bench.records.stored_runs import find_run

NONE, ADAPTER, MERGED = "none", "adapter", "merged"
KEEP = (ADAPTER, MERGED, NONE)  # what --keep takes
MODEL = "model"  # what is kept of a method that trains the model itself
FOLDER = "adapters"  # in the run's folder
MANIFEST = "lorabench.json"
CARD = "README.md"
PEFT_CONFIG = "adapter_config.json"
KEPT_HELP = "RUN/CASE of a run with --keep, or the folder of a kept adapter"
SHOWN = 19  # characters shown of a digest: sha256: and twelve digits


class NotKept(ValueError):
    """A folder or case without kept weights that can be used; the message is one sentence."""


@dataclass(frozen=True)
class Base:
    """The model that was tuned: its entry, its place on the Hub, and the weights that the case started from."""

    model: str
    hub_id: str
    revision: str
    origin: str  # of the weights, as a record has it
    identity: str  # "sha256:…" over the safetensors, or "synthetic"
    reason: str  # why these weights
    licence: str  # empty: the entry does not state it


@dataclass(frozen=True)
class Facts:
    """What the model card says of training and loading.

    method: its name, sentence and paper; quality, quality_before: metric -> value; data: the record's; prompt: a
    neutral question in the task's form. storage: how the base is stored, nf4, int8 or plain. only_peft: why plain
    transformers cannot load it; empty if it can.
    """

    method: str
    says: str
    paper: str
    quality: Mapping[str, float]
    quality_before: Mapping[str, float]
    quality_judged: bool
    data: Mapping[str, Any]
    hub_data: str
    prompt: str
    auto_class: str
    dtype: str
    storage: str
    only_peft: str
    own_tuner: str = ""  # why plain peft cannot load it; empty if it can


@dataclass(frozen=True)
class Kept:
    """The manifest. what: adapter, merged or model; files: name -> "sha256:…", without the manifest itself."""

    case: str
    what: str
    base: Base
    recipe: Mapping[str, Any]
    facts: Facts
    labels: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # known once they are written

    def to_text(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def of_record(self) -> dict[str, Any]:
        """What the record says of it."""
        return {"what": self.what, "folder": f"{FOLDER}/{self.case}", "files": dict(self.files)}


def not_kept(reason: str, asked: str, lasting: bool = False) -> dict[str, Any]:
    """What the record of a case says if nothing could be kept.

    asked: what --keep asked for; lasting: whether running the case again would give the same reason.
    """
    return {"what": NONE, "reason": reason, "asked": asked, "lasting": lasting}


def kept_folder(run: Path, case_id: str) -> Path:
    return run / FOLDER / case_id


def run_of(folder: Path) -> Path:
    """The run that a kept folder belongs to; the folder itself if it was copied out of its run."""
    run = folder.resolve().parent.parent
    return run if (run / "records.jsonl").is_file() else folder


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file in the folder, except the manifest."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def name_with_run(folder: Path, case_id: str) -> str:
    """RUN/CASE of a kept folder, or its own name below its parent's if it was copied out of its run."""
    run = run_of(folder)
    return f"{folder.resolve().parent.name}/{folder.resolve().name}" if run == folder else f"{run.name}/{case_id}"


def find_kept(text: str) -> Path:
    """The kept folder that RUN/CASE or a path names.

    Raises NotKept for a folder that is none or a case of which nothing was kept, ValueError for an unknown run.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        return path if (path / MANIFEST).is_file() else refuse_folder(path, text)
    run, _, case_id = text.rstrip("/").rpartition("/")
    if not run:
        raise NotKept(f"{text}: give RUN/CASE or the folder of a kept adapter")
    folder = find_run(run)
    if (kept_folder(folder, case_id) / MANIFEST).is_file():
        return kept_folder(folder, case_id)
    records, _ = read_lines(folder / "records.jsonl")
    raise NotKept(f"{text}: {why_not_kept(folder, case_id, records)}")


def refuse_folder(path: Path, text: str) -> Path:
    """Raises NotKept with what the folder is instead."""
    if (path / "records.jsonl").is_file():
        named = first_few(kept_cases(path)) or "nothing; run it with --keep adapter"
        raise NotKept(f"{text} is a run; give RUN/CASE, and kept of it is {named}")
    if (path / PEFT_CONFIG).is_file():
        raise NotKept(
            f"{text} is an adapter without a {MANIFEST}, so its base cannot be checked; `--keep adapter` writes one"
        )
    raise NotKept(f"{text} is no kept adapter: it has no {MANIFEST}, which `--keep adapter` writes")


def why_not_kept(run: Path, case_id: str, records: Mapping[str, Record]) -> str:
    """Why the run has no kept folder for the case."""
    if case_id in records:
        found = records[case_id].kept
        if found.get("reason"):
            return f"nothing was kept, {found['reason']}"
        if found:
            return f"its record names {found['folder']}, which is gone; run it again with --keep {found['what']}"
        return (
            f"nothing was kept of it; run it again with --keep adapter, or add --resume {run.name} to continue the run"
        )
    near = nearest(case_id, kept_cases(run) or sorted(records))
    return f"the run {run.name} has no such case" + (f"; did you mean {first_few(near)}?" if near else "")


def kept_cases(run: Path) -> list[str]:
    """The cases of which the run's folder has kept weights."""
    return sorted(path.parent.name for path in (run / FOLDER).glob(f"*/{MANIFEST}"))


def read_kept(folder: Path) -> Kept:
    """The manifest, after checking the files. Raises NotKept for a damaged manifest or a file that changed."""
    kept = read_manifest(folder)
    for name, digest in kept.files.items():
        if name != CARD:  # which a person may extend
            check_file(folder / name, digest)
    return kept


def read_manifest(folder: Path) -> Kept:
    """The manifest alone. Raises NotKept if it is damaged or names a file outside the folder."""
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        parts = {"base": Base(**values["base"]), "facts": Facts(**values["facts"]), "labels": tuple(values["labels"])}
        kept = Kept(**{**values, **parts})
        elsewhere = [name for name in kept.files if name in ("", ".", "..") or "/" in name or "\\" in name]
    except (OSError, ValueError, TypeError, KeyError):
        raise NotKept(f"{folder / MANIFEST} is damaged; keep the adapter again with --keep") from None
    if elsewhere:
        raise NotKept(f"{folder / MANIFEST} names {elsewhere[0]!r}, and its files must lie in its own folder")
    return kept


def check_file(path: Path, digest: str) -> None:
    """Raises NotKept if the file is not the one that was kept."""
    if not path.is_file():
        raise NotKept(f"{path} is missing; keep the adapter again with --keep")
    if (seen := sha256_of(path)) != digest:
        raise NotKept(
            f"{path} is not the file that was kept: it has {seen[:SHOWN]} and the manifest {digest[:SHOWN]}; "
            "keep the adapter again with --keep"
        )


def refuse_other_base(kept: Kept, identity: str, reason: str) -> None:
    """Raises NotKept if these weights are not the ones that the case started from."""
    if identity != kept.base.identity:
        raise NotKept(
            f"{kept.case} was trained on {kept.base.model} with the weights {kept.base.identity[:SHOWN]} "
            f"({kept.base.reason}), and here they are {identity[:SHOWN]} ({reason}); give those weights, as by --mirror"
        )


def lacks_kept(record: Record, run: Path, wanted: str) -> bool:
    """Whether running the case again could keep what --keep asks for and the stored run lacks."""
    if wanted == NONE:
        return False
    have = record.kept.get("what", NONE)
    if have == NONE:
        return not (record.kept.get("lasting") and record.kept.get("asked") == wanted)
    return (have != wanted and have != MODEL) or not kept_folder(run, record.case).is_dir()


def kept_lines(records: Iterable[Record], where: str) -> list[str]:
    """What a session says about the weights that it kept: where they are, and what could not be kept."""
    kept: list[str] = []
    refused: dict[str, list[str]] = {}
    for record in records:
        if record.kept.get("files"):
            kept.append(record.case)
        elif reason := record.kept.get("reason"):
            refused.setdefault(reason, []).append(record.case)
    lines = [f"kept: {first_few(kept)} in {where}/{FOLDER}"] if kept else []
    return lines + [f"not kept: {first_few(cases)}, {reason}" for reason, cases in refused.items()]
