"""Access to the Hugging Face Hub and its cache. Each process checks once whether the Hub answers, within seconds.

The user's own settings apply: HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME, tokens and proxies. Every refusal becomes one
sentence, so that the search for weights continues.
"""

import os
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.sources.cached_folder import say
from bench.sources.errors import FULL_DISK, SourceError, first_line
from bench.sources.snapshot import ADAPTER, HAS_ADAPTER, complaint, no_safetensors, wanted_files

ANSWER_SECONDS = 3.0  # for name resolution, connection and answer together
REQUEST_SECONDS = 5.0
CONFIG = "config.json"
UNREACHABLE = "LORABENCH_HUB_UNREACHABLE"  # the reason, set for processes whose session has already checked


@dataclass(frozen=True)
class Answer:
    """Whether the Hub answers, and a sentence on how or why not."""

    ok: bool
    reason: str


@cache
def hub_answers() -> Answer:
    """Ask the Hub for its front page, once per process; takes at most ANSWER_SECONDS."""
    from huggingface_hub import constants

    if known := os.environ.get(UNREACHABLE):
        return Answer(False, known)
    if constants.HF_HUB_OFFLINE:
        return Answer(False, "the Hub is not asked, HF_HUB_OFFLINE is set")
    answers: list[Answer] = []
    # in a thread, because nothing else limits the time of name resolution
    thread = threading.Thread(target=lambda: answers.append(ask(constants.ENDPOINT)), daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return answers[0] if answers else Answer(False, f"the Hub gave no answer within {ANSWER_SECONDS:g} s")


def ask(endpoint: str) -> Answer:
    """The answer of one request to the Hub's front page."""
    from huggingface_hub import get_session

    try:
        status = get_session().head(endpoint, timeout=ANSWER_SECONDS * 0.9).status_code
    except Exception as error:  # of whichever HTTP library huggingface_hub uses in its version
        return Answer(False, f"the Hub could not be reached ({first_line(error)})")
    if status >= 500:
        return Answer(False, f"the Hub answered {status}")
    return Answer(True, "the Hub answers")


def cached_snapshot(hub_id: str, revision: str) -> Path:
    """The complete snapshot in the Hugging Face cache, without network access. Raises SourceError if there is none."""
    from huggingface_hub import constants

    repository = Path(constants.HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}"
    reference = repository / "refs" / revision
    try:
        commit = reference.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        commit = revision  # a pinned commit has no reference file
    folder = repository / "snapshots" / commit
    if not folder.is_dir():
        other = f" at revision {revision}" if repository.is_dir() else ""
        raise SourceError(f"the Hugging Face cache does not hold {hub_id}{other}")
    if wrong := complaint(folder):
        raise SourceError(f"the Hugging Face cache's snapshot of {hub_id} {wrong}")
    return folder


def config_file(hub_id: str, revision: str) -> Path:
    """The model's config.json, from the Hugging Face cache or else the Hub. Raises SourceError."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(hub_id, CONFIG, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    answer = hub_answers()
    if not answer.ok:
        raise SourceError(f"the Hugging Face cache has no {CONFIG} of {hub_id}, and {answer.reason}")
    try:
        return Path(hf_hub_download(hub_id, CONFIG, revision=revision, etag_timeout=REQUEST_SECONDS))
    except Exception as error:  # of whichever HTTP library huggingface_hub uses in its version
        raise SourceError(refusal(hub_id, revision, error)) from error


def download_snapshot(hub_id: str, revision: str) -> Path:
    """The model's snapshot from the Hub, safetensors only, in the Hugging Face cache. Raises SourceError."""
    answer = hub_answers()
    if not answer.ok:
        raise SourceError(answer.reason)
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(hub_id, revision=revision, files_metadata=True, timeout=REQUEST_SECONDS)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        names = wanted_files(list(sizes))
        if ADAPTER in sizes:
            raise SourceError(f"{hub_id} on the Hub {HAS_ADAPTER}")
        if not names:
            raise SourceError(f"{hub_id} on the Hub {no_safetensors(list(sizes))}")
        say(f"fetching {hub_id} from the Hub, {sum(sizes[name] for name in names) / 1e6:.1f} MB")
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=names, etag_timeout=REQUEST_SECONDS))
    except SourceError:
        raise
    except Exception as error:  # of whichever HTTP library huggingface_hub uses in its version
        raise SourceError(refusal(hub_id, revision, error)) from error
    if wrong := complaint(folder):
        raise SourceError(f"{hub_id} as fetched from the Hub {wrong}")
    return folder


def refusal(hub_id: str, revision: str, error: Exception) -> str:
    """One sentence for an error of the Hub or its library."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        return f"{hub_id} is gated on the Hub: accept its licence there and log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return f"{hub_id} has no revision {revision} on the Hub, which the model's entry names; correct it there"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub has no {hub_id} for this login ({status}); if it is private, log in with `hf auth login`"
    if status in (401, 403):
        return f"the Hub refuses {hub_id} to this login ({status}); log in with `hf auth login`"
    if status is not None:
        return f"the Hub answered {status} for {hub_id}"
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return f"no space left on the disk of the Hugging Face cache for {hub_id}; free some, or set HF_HOME"
    return f"{hub_id} could not be fetched from the Hub ({first_line(error)})"
