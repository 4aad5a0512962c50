"""Releases of a package by a range such as 5.17..5.24, or by their names.

A range stands for the newest patch release of each minor release in it, for that is what pip installs for people who
name a minor release. Previews are left out.
"""

from collections.abc import Sequence

from packaging.version import InvalidVersion, Version

from bench.core.registry import nearest

TO = ".."
MINOR = 2  # numbers of a version that name its minor release


def choose_releases(name: str, text: str, known: Sequence[str]) -> list[str]:
    """The releases of a package that the text selects, the newest first. known: all releases that its index has.

    Raises ValueError for a release that does not exist, and for a range that is backwards or empty.
    """
    versions = {version: one for one in known if (version := read_version(one))}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError(f"--{name} is empty; give a range such as 5.17..5.24, or releases such as 5.22.2,5.23.0")
    if not versions:
        raise ValueError(f"--{name} {text}: the package index has no release of {name} for this Python")
    chosen = {version for part in parts for version in select(f"--{name} {part}", part, sorted(versions))}
    return [versions[version] for version in sorted(chosen, reverse=True)]


def select(asked: str, part: str, known: Sequence[Version]) -> list[Version]:
    """The releases of one range, or the release that is named. asked: the option, for a message."""
    ends = [read_version(end) for end in part.split(TO)]
    low, high = ends[0], ends[-1]
    if low is None or high is None or len(ends) > 2:
        raise ValueError(f"{asked} is neither a release nor a range; write 5.23.0, or 5.17..5.24")
    if len(ends) == 1:
        if low not in known:
            raise ValueError(f"{asked}: the package index has no such release for this Python; {hint(part, known)}")
        return [low]
    if high < low:
        raise ValueError(f"{asked} is backwards; write {high}{TO}{low}")
    final = [one for one in known if not one.is_prerelease]
    found = [one for one in final if low <= one and not is_above(one, high)]
    if not found:
        raise ValueError(f"{asked}: no release lies in this range; the newest is {(final or known)[-1]}")
    return list({one.release[:MINOR]: one for one in found}.values())


def is_above(version: Version, end: Version) -> bool:
    """Whether the version comes after the end of a range: 5.24.1 does not come after 5.24, but after 5.24.0."""
    return version.release[: len(end.release)] > end.release


def read_version(text: str) -> Version | None:
    """The version; None if no rule orders it."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def hint(part: str, known: Sequence[Version]) -> str:
    near = nearest(part, [str(version) for version in reversed(known)])
    return f"did you mean {near[0]}?" if near else f"the newest is {known[-1]}"
