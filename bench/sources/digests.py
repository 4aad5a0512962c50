"""SHA-256 digests of files, cached: hashing gigabytes in every worker would cost more than loading them.

The cache keys a digest by the file's path, size and modification time, so that any change to the file makes a new key.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from bench.core.files import write_atomically
from bench.core.paths import cache_folder


def read_digests(path: Path) -> dict[str, str]:
    """The digests stored so far; empty if the cache file is missing, damaged or not readable."""
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(digests, dict):
        return {}
    return {key: digest for key, digest in digests.items() if isinstance(digest, str)}


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_file(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits, computed once for a path, size and modification time."""
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    memory = cache_folder() / "digests.json"
    digests = read_digests(memory)
    if key not in digests:
        digests[key] = sha256_of(path)
        with suppress(OSError):  # without a writable cache, the file is only hashed again
            write_atomically(memory, json.dumps(read_digests(memory) | {key: digests[key]}, indent=0))
    return digests[key]


def digest_of_weights(files: list[Path]) -> str:
    """ "sha256:…" over weight files: one file's own digest, or that of the list `sha256sum` prints of several."""
    if len(files) == 1:
        return f"sha256:{digest_of_file(files[0])}"
    return digest_of_files(files)


def digest_of_files(files: list[Path]) -> str:
    """ "sha256:…" of the list that `sha256sum` prints of the files."""
    listing = "".join(f"{digest_of_file(file)}  {file.name}\n" for file in files)
    return f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"
