"""What a job needs of a machine, what a machine has, and which of its cards a job gets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.units import gigabytes_or_megabytes
from bench.machine.devices import Card


@dataclass(frozen=True)
class Needs:
    """What a job needs. 0 means: whatever its machine has left for it.

    card_memory_bytes must be free on each of its cards. host_memory_bytes is a prediction, for placing only; a job's
    memory_limit_bytes ends it. An exclusive job has its machine to itself, because its seconds are compared.
    """

    cards: int = 0
    card_memory_bytes: int = 0
    host_memory_bytes: int = 0
    cores: int = 0
    exclusive: bool = False


@dataclass(frozen=True)
class Node:
    """A machine that jobs can run on. environment is what records say of it; refused is why no job is sent to it."""

    name: str
    cards: tuple[Card, ...] = ()
    cores: int = 0
    memory_bytes: int = 0
    environment: dict[str, Any] = field(default_factory=dict)
    refused: str = ""


def choose_cards(
    needs: Needs, cards: Sequence[Card], used: Collection[str], workers: int = 1
) -> tuple[Card, ...] | None:
    """The cards that a job gets now; None if it has to wait, or no card can hold it.

    The only worker of a machine gets the first visible ones that hold its job, so that all its cases have the same
    card. Several workers share the cards: each job gets the smallest that hold it, and the largest if its need is not
    known. used are the uuids of cards that have a job. Cards on which other people's processes compute are left out,
    unless no other card could hold the job.
    """
    if not needs.cards:
        return ()
    idle = [card for card in cards if card.uuid in used or not card.processes]
    room = {card.uuid: card.total_bytes if card.uuid in used else card.free_bytes for card in idle}
    enough = sum(size >= needs.card_memory_bytes for size in room.values()) >= needs.cards
    offered = idle if enough else cards
    free = {card.uuid: card for card in offered if card.uuid not in used}  # cards without a uuid count as one
    fitting = [card for card in free.values() if card.free_bytes >= needs.card_memory_bytes]
    if workers > 1:
        fitting.sort(key=lambda card: card.total_bytes, reverse=not needs.card_memory_bytes)
    return tuple(fitting[: needs.cards]) if len(fitting) >= needs.cards else None


def why_no_cards(needs: Needs, cards: Sequence[Card], used: Collection[str]) -> str:
    """Why these cards cannot hold the job, even if it waits until those in use are free; empty if they can."""
    later = [card for card in cards if card.uuid in used and card.total_bytes >= needs.card_memory_bytes]
    if not needs.cards or len({card.uuid for card in later}) >= needs.cards:
        return ""
    if choose_cards(needs, cards, {card.uuid for card in cards if card.uuid in used and card not in later}) is not None:
        return ""
    asked = "a CUDA device" if needs.cards == 1 else f"{needs.cards} CUDA devices"
    room = f" with {gigabytes_or_megabytes(needs.card_memory_bytes)} free" if needs.card_memory_bytes else ""
    have = ", ".join(describe_card(card) for card in cards)
    return f"needs {asked}{room}; this machine has {have or 'none'}"


def describe_card(card: Card) -> str:
    """The card's name, its free memory, and whether others use it."""
    busy = f" and {card.processes} processes of others" if card.processes else ""
    return f"{card.name} with {gigabytes_or_megabytes(card.free_bytes)} free{busy}"


def cards_environment(cards: Sequence[Card]) -> dict[str, str]:
    """The variable that shows a process these cards only; {} if they cannot be named (as parts of a card, MIG)."""
    names = [card.uuid for card in cards]
    return {"CUDA_VISIBLE_DEVICES": ",".join(names)} if names and all(names) else {}


def environment_of(cards: Sequence[Card]) -> dict[str, Any]:
    """What a record says of the cards that its case had; {} for a case without one."""
    return {"accelerator": cards[0].name, "driver": cards[0].driver} if cards else {}
