"""What an engine offers to the cluster's queue, and what it reports."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.core.units import gigabytes_or_megabytes
from bench.executor.job import Job, Outcome
from bench.executor.resources import Node, describe_card


@dataclass(frozen=True)
class Said:
    """A running job's progress."""

    key: str
    progress: dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """A job's outcome."""

    outcome: Outcome


@dataclass(frozen=True)
class Lost:
    """A job whose machine, or the way to it, is gone before its outcome arrived."""

    key: str
    node: str
    reason: str
    environment: dict[str, Any] = field(default_factory=dict)  # the machine's


Event = Said | Ended | Lost


@dataclass(frozen=True)
class Attempt:
    """A job to start, and how its earlier attempts were lost."""

    job: Job
    lost: tuple[Lost, ...] = ()

    @property
    def number(self) -> int:
        return len(self.lost) + 1

    @property
    def avoid(self) -> tuple[str, ...]:
        """The nodes that it was lost on."""
        return tuple(lost.node for lost in self.lost)

    @property
    def earlier(self) -> str:
        """How its earlier attempts were lost; empty for the first attempt."""
        return "; ".join(
            f"attempt {number} was lost with {one.node}: {one.reason}" for number, one in enumerate(self.lost, 1)
        )


class Engine(Protocol):
    """Starts jobs on machines that it chooses. One thread calls it, except for nodes()."""

    def nodes(self) -> tuple[Node, ...]:
        """The machines of the cluster, with the reason for each that is not used."""

    def start(self, attempts: Sequence[Attempt]) -> Collection[str]:
        """Start as many of these as there is room for, the first first; the keys of those that were started."""

    def why_waiting(self, attempt: Attempt) -> str:
        """Why no machine can take the attempt, however long it waits; empty if one can."""

    def events(self) -> list[Event]:
        """What has happened since the last call; waits for it a moment."""

    def stop(self) -> None:
        """End everything that was started."""


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """The libraries of two environments that differ, with both versions; empty if results are the same on both."""
    libraries = (here.get("libraries", {}), there.get("libraries", {}))
    found = [
        f"{name} {libraries[1].get(name) or 'is missing'} there, {libraries[0].get(name) or 'missing'} here"
        for name in sorted(libraries[0].keys() | libraries[1].keys())
        if libraries[0].get(name) != libraries[1].get(name)
    ]
    if here.get("python") != there.get("python"):
        found.append(f"Python {there.get('python')} there, {here.get('python')} here")
    if here.get("code") != there.get("code"):
        found.append("another version of lorabench there")
    return "; ".join(found)


def why_no_node(attempt: Attempt, nodes: Sequence[Node]) -> str:
    """What the attempt needs, and what each of these nodes has, or why it is not used."""
    needs = attempt.job.needs
    asked = f"{needs.cards or 'no'} CUDA device{'' if needs.cards == 1 else 's'}"
    if needs.card_memory_bytes:
        asked += f" with {gigabytes_or_megabytes(needs.card_memory_bytes)} free"
    have = [f"{node.name} {offer_of(node, attempt)}" for node in nodes]
    return f"needs {asked}; {'; '.join(have) or 'the cluster has no node'}"


def offer_of(node: Node, attempt: Attempt) -> str:
    if node.name in attempt.avoid:
        return "lost an attempt"
    if node.refused:
        return f"is left out ({node.refused})"
    return f"has {', '.join(map(describe_card, node.cards)) or 'no card'}"
