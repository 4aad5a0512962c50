"""Whether distributions suit each other, by the requirements in their metadata, before anything is run.

An overlay is installed without its dependencies, so nobody else has looked. transformers 5.17 forbids huggingface-hub
2; what runs all the same would be blamed on the wrong package.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from bench.upgrade.overlays import canonical


@dataclass(frozen=True, order=True)
class Unmet:
    """A requirement that the installed version does not meet; installed is empty where there is none."""

    distribution: str
    version: str
    requirement: str
    installed: str

    def __str__(self) -> str:
        have = f"has {self.installed}" if self.installed else "does not have it"
        return f"{self.distribution} {self.version} needs {self.requirement}, and the environment {have}"


def merge_distributions(folders: Iterable[str]) -> dict[str, Distribution]:
    """Every distribution of these folders by name; the first one counts, as for an import."""
    found: dict[str, Distribution] = {}
    for one in distributions(path=list(folders)):
        if name := one.metadata["Name"]:
            found.setdefault(canonical(name), one)
    return found


def unmet(folders: Sequence[str]) -> set[Unmet]:
    """The requirements that are not met; extras are nobody's who did not ask for them."""
    there = merge_distributions(folders)
    return {
        Unmet(name, one.version, str(requirement), there[needed].version if needed in there else "")
        for name, one in there.items()
        for requirement in requirements_of(one)
        if not is_met(there.get(needed := canonical(requirement.name)), requirement)
    }


def requirements_of(distribution: Distribution) -> Iterable[Requirement]:
    for text in distribution.requires or []:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def is_met(distribution: Distribution | None, requirement: Requirement) -> bool:
    if distribution is None:
        return False
    try:
        return requirement.specifier.contains(distribution.version, prereleases=True)
    except InvalidVersion:
        return True  # a version that no rule orders
