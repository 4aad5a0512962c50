"""Distributions installed into folders of their own, which are put before an environment on PYTHONPATH.

A second environment takes 2 GB and minutes; the two or three distributions that an upgrade changes take 60 MB and
seconds, and torch stays the same file on both sides. An overlay shadows a distribution. It cannot remove one, and
console scripts and .pth files are not followed.
"""

import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.paths import cache_folder

HELD = "torch"  # stays as it is unless it is named: another build of it is gigabytes, and another machine's figures
TAG = f"{sys.implementation.cache_tag}-{platform.machine()}"
PIP_SECONDS = 1800.0
ERROR = "ERROR: "
LONGEST_REASON = 300  # characters of what pip said
CAUSE = "The conflict is caused by:"  # pip lists the requirements that contradict each other below it
CONFLICT = "conflicting dependencies"
UNREACHABLE = "connection broken by"  # pip's warning before it says that it knows no version


class CannotInstall(RuntimeError):
    """A set of distributions that cannot be had; the message is one sentence with pip's reason."""


class Conflict(CannotInstall):
    """Requirements that contradict each other, whoever asks and whenever."""


@dataclass(frozen=True)
class Wanted:
    """A distribution that differs from the environment's, as pip resolved it."""

    name: str
    version: str
    sha256: str

    @property
    def folder(self) -> Path:
        return cache_folder() / "overlays" / f"{self.name}-{self.version}-{TAG}-{self.sha256[:12]}"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pip(python: Path, words: Sequence[str], what: str) -> str:
    """What pip prints. Raises CannotInstall with its reason in one sentence, as Conflict for a contradictory set."""
    command = ["install", "--disable-pip-version-check", *words]
    done = run_pip(python, ["--quiet", *command], what)
    if CONFLICT in done.stderr:
        loud = run_pip(python, command, what)  # a quiet pip does not say which requirements they are
        raise Conflict(f"{what}: {cause_of(loud.stdout) or reason_of(done.stderr)}")
    if done.returncode:
        raise CannotInstall(f"{what}: {reason_of(done.stderr)}")
    return done.stdout


def run_pip(python: Path, words: Sequence[str], what: str) -> subprocess.CompletedProcess[str]:
    """pip with these words, ended. Raises CannotInstall if it does not end."""
    command = [str(python), "-m", "pip", *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"{what}: pip did not end within {PIP_SECONDS:.0f} s") from None


def cause_of(said: str) -> str:
    """The requirements that contradict each other, in pip's own words; empty if pip lists none."""
    listed = said.partition(CAUSE)[2].strip("\n").partition("\n\n")[0]
    return "; ".join(line.strip() for line in listed.splitlines())[:LONGEST_REASON]


def reason_of(said: str) -> str:
    """pip's own reason, without its lists of versions."""
    errors = [line.removeprefix(ERROR) for line in said.splitlines() if line.startswith(ERROR)]
    told = [line for line in errors if not line.startswith(("Ignored the following", "ResolutionImpossible"))]
    if UNREACHABLE in said:
        return "the package index does not answer"
    lines = told or errors or said.splitlines()[-1:] or ["pip said nothing"]
    return re.sub(r" \(from versions: [^)]*\)", "", lines[0])[:LONGEST_REASON].rstrip(".")


def resolve(python: Path, requirements: Sequence[str], constraints: Path | None = None) -> list[Wanted]:
    """What these requirements change in the interpreter's environment, and what they bring with them.

    Raises CannotInstall for a version that does not exist, for a set that cannot be installed together, and for a
    distribution from a file or an address.
    """
    words = ["--dry-run", "--report", "-", *requirements]
    if constraints:
        words += ["--constraint", str(constraints)]
    if held := version_of(python, HELD):
        named = any(re.match(rf"{HELD}(?![\w.-])", requirement) for requirement in requirements)
        words += [] if named else [f"{HELD}=={held}"]
    report = json.loads(pip(python, words, f"{' '.join(requirements)} cannot be installed"))
    if direct := [item for item in report["install"] if item.get("is_direct")]:
        about = direct[0]["metadata"]
        raise CannotInstall(
            f"{about['name']} {about['version']} would come from {direct[0]['download_info']['url']}, and overlays are "
            "installed from the package index; name a release of it, as "
            f"{about['name']}=={about['version']}, or a local index that has it by PIP_EXTRA_INDEX_URL"
        )
    return sorted((wanted_of(item) for item in report["install"]), key=lambda one: one.name)


def wanted_of(item: Mapping[str, Any]) -> Wanted:
    """One distribution of pip's report."""
    hashes = item["download_info"].get("archive_info", {}).get("hashes", {})
    metadata = item["metadata"]
    return Wanted(canonical(metadata["name"]), metadata["version"], hashes.get("sha256", "unknown"))


def install(python: Path, wanted: Wanted) -> Path:
    """The overlay's folder, made once: whole or not at all. Raises CannotInstall, also where the disk is full."""
    if wanted.folder.is_dir():
        return wanted.folder
    part = wanted.folder.with_name(f".{wanted.folder.name}.{secrets.token_hex(4)}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        words = ["--no-deps", "--no-compile", "--target", str(part), f"{wanted.name}=={wanted.version}"]
        pip(python, words, f"{wanted} cannot be installed")
        part.rename(wanted.folder)
    except OSError as error:
        if not wanted.folder.is_dir():  # else another session was quicker
            raise CannotInstall(f"{wanted} cannot be kept in {wanted.folder.parent}: {error.strerror}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return wanted.folder


def python_path(folders: Sequence[Path]) -> str:
    """PYTHONPATH with these folders first."""
    return os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])


def version_of(python: Path, name: str) -> str | None:
    """The version of a distribution that the interpreter has; None if it has none."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None


def releases_of(python: Path, name: str) -> list[str]:
    """All releases of a distribution that its index has for this interpreter. Raises CannotInstall."""
    what = f"the releases of {name} cannot be listed"
    done = run_pip(python, ["index", "versions", "--disable-pip-version-check", name], what)
    found = re.search(r"Available versions: (.+)", done.stdout)
    if found is None:
        raise CannotInstall(f"{what}: {reason_of(done.stderr)}")
    return found[1].split(", ")


def import_path(python: Path) -> list[str]:
    """sys.path of the interpreter, without the current folder. Raises CannotInstall if it is none."""
    code = "import json, sys; print(json.dumps(sys.path))"
    try:
        done = subprocess.run([str(python), "-P", "-c", code], capture_output=True, text=True, check=False)
        return list(json.loads(done.stdout))
    except (OSError, ValueError):
        raise CannotInstall(f"{python} is no Python interpreter of version 3.11 or later") from None
