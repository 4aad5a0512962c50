"""Packages that a card's machine may lack, and what each lacking one costs a campaign."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from bench.campaign.entries import Entry, quantised_methods


def nothing(entry: Entry) -> bool:
    return False


@dataclass(frozen=True)
class Package:
    """A package by its name to pip and to Python. costs: what is missing without it; takes: the entries left out."""

    name: str
    module: str
    costs: str
    takes: Callable[[Entry], bool] = nothing


PACKAGES = (
    Package("bitsandbytes", "bitsandbytes", "no weights in 4 or 8 bits and no 8-bit optimizer",
            lambda entry: any(quantised_methods(entry))),
    Package("seqeval", "seqeval", "tagging cannot be scored", lambda entry: any(case.task.startswith("pos")
            for case in entry.cases)),
    Package("datasets", "datasets", "full data comes from --mirror alone, not from the Hub"),
    Package("liger-kernel", "liger_kernel", "the loss in chunks is this project's own, not Liger's",
            lambda entry: "liger-kernel" in entry.needs),
    Package("fvcore", "fvcore", "FLOPs are counted by two routes instead of three"),
    Package("lm-eval", "lm_eval", "no tasks of lm-evaluation-harness, which no entry asks for"),
)  # fmt: skip


def is_installed(package: Package) -> bool:
    try:
        return find_spec(package.module) is not None
    except (ImportError, ValueError):
        return False


def lacking_packages() -> list[Package]:
    return [package for package in PACKAGES if not is_installed(package)]


def why_left_out(entry: Entry, lacking: Sequence[Package]) -> str:
    """The first lacking package that the entry cannot do without; empty if there is none."""
    return next((f"needs {package.name}" for package in lacking if package.takes(entry)), "")
