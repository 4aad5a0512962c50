"""A folder of the cache that is made once: complete or absent, even if processes are killed or run at the same time.

It is made beside its final path, under a lock, and then renamed. Its `manifest.json` states the size and SHA-256 of
every file, so that a damaged file is noticed and the folder is made again.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from bench.core.outside_text import for_terminal
from bench.core.paths import cache_folder
from bench.sources.digests import digest_of_file, sha256_of
from bench.sources.errors import explaining_file_errors
from bench.sources.snapshot import MANIFEST

PATIENCE_SECONDS = 1.0  # of silent waiting for another process; then a message says so


def say(text: str) -> None:
    """Print a line of progress to stderr; stdout is reserved for results."""
    print(for_terminal(f"lorabench: {text}"), file=sys.stderr, flush=True)


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def write_manifest(folder: Path) -> None:
    """Write the size and SHA-256 of every file now in the folder."""
    files = {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in files_below(folder)
    }
    (folder / MANIFEST).write_text(json.dumps(files, indent=1), encoding="utf-8")


def damage(folder: Path) -> str:
    """What is wrong with a folder that has a manifest; "" if nothing."""
    if not folder.is_dir():
        return "is not there"
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = {name: (facts["bytes"], facts["sha256"]) for name, facts in files.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return f"has no readable {MANIFEST}"
    for name, (size, sha256) in expected.items():
        file = folder / name
        if not file.is_file():
            return f"lacks {name}"
        if (seen := file.stat().st_size) != size:
            return f"has {seen:,} bytes in {name}, expected {size:,}"
        if digest_of_file(file) != sha256:
            return f"has another {name} than was stored (SHA-256 differs)"
    return ""


def acquire(lock: FileLock, folder: Path) -> None:
    """Take the lock; prints a message if another process holds it for long."""
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except Timeout:
        say(f"waiting for another process that prepares {folder.name}")
        lock.acquire()


def make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return folder; make(part) fills it if it is absent or damaged. Raises SourceError for an unusable cache."""
    with explaining_file_errors(cache_folder()):
        if not damage(folder):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / f".{folder.name}.lock")
        acquire(lock, folder)
        try:
            if wrong := damage(folder):  # another process may have made it while this one waited
                if folder.exists():
                    say(f"{folder} {wrong}; it is made again")
                replace_folder(folder, make)
        finally:
            lock.release()
    return folder


def replace_folder(folder: Path, make: Callable[[Path], None]) -> None:
    """Make the folder beside its path and rename it; removes what killed processes left there. Needs the lock."""
    for left in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(left, ignore_errors=True)
    workspace = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        part = workspace / "made"
        part.mkdir()
        make(part)
        write_manifest(part)
        if folder.exists():
            folder.rename(workspace / "damaged")
        part.rename(folder)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
