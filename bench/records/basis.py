"""The basis of a comparison: the recipe, weights and data that records must share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.records.record import Record

MACHINE = ("system", "processor", "cores", "threads", "accelerator")  # keys of a record's environment
QUALITY = ("recipe", "data", "weights")
EXACT = (*QUALITY, "libraries")  # figures that repeat: parameters, FLOPs, bytes
TIME = (*EXACT, "machine", "emulation")  # figures that do not: seconds, reserved bytes
RESUME = TIME  # a record that is kept must be what running its case again would give
RESUME_IN_CLUSTER = (*EXACT, "emulation")  # where another machine may be chosen each time
METHODS = ("data", "weights")  # for several methods side by side, whose recipes differ
CLOCK = ("libraries", "machine", "emulation")  # for seconds and memory of different cases side by side
UNKNOWN = "unknown"
SHOWN = 19  # characters shown of an identity: sha256: and twelve digits


@dataclass(frozen=True)
class Basis:
    """What figures depend on; an empty text means unknown."""

    recipe: str = ""
    data: str = ""  # identity of the prepared examples
    rows: str = ""  # identity of the raw rows
    weights: str = ""  # identity of the safetensors
    files: str = ""  # identity of every loaded file; older records do not have it
    origin: str = ""
    libraries: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    emulation: str = ""


def basis_from(
    recipe: str, data: Mapping[str, Any], weights: Mapping[str, Any], environment: Mapping[str, Any]
) -> Basis:
    """The basis from the values that a record keeps under these names."""
    return Basis(
        recipe=recipe,
        data=data.get("identity", ""),
        rows=data.get("rows", ""),
        weights=weights.get("identity", ""),
        files=weights.get("files", ""),
        origin=weights.get("origin", ""),
        libraries={"python": environment.get("python"), **environment.get("libraries", {})},
        machine={name: environment.get(name) for name in MACHINE},
        emulation=environment.get("emulation", ""),
    )


def basis_of(record: Record) -> Basis:
    return basis_from(record.recipe_digest, record.data, record.weights, record.environment)


def basis_differences(stored: Basis, now: Basis, purpose: Sequence[str]) -> dict[str, str]:
    """The parts in which two bases differ for this purpose, each with its old and its new value; {} if they agree."""
    found = {part: DIFFERENCES[part](stored, now) for part in purpose}
    return {part: says for part, says in found.items() if says}


def differences_text(differences: Mapping[str, str]) -> str:
    """The differences in words: weights differ (synthetic, now sha256:53aa51172d14 from package)."""
    return "; ".join(
        f"{part} {'differs' if part in ('recipe', 'machine', 'emulation') else 'differ'} ({says})"
        for part, says in differences.items()
    )


def recipe_difference(stored: Basis, now: Basis) -> str:
    return "" if stored.recipe == now.recipe else then_and_now(stored.recipe, now.recipe)


def data_difference(stored: Basis, now: Basis) -> str:
    """Compare the examples if both bases know them, because cleaning and splitting matter too; else the rows."""
    pairs = [(stored.data, now.data), (stored.rows, now.rows)]
    before, after = next((pair for pair in pairs if all(pair)), (stored.data or stored.rows, now.data or now.rows))
    return "" if before and before == after else then_and_now(before, after)


def weights_difference(stored: Basis, now: Basis) -> str:
    """Compare the safetensors and, if both bases know them, all loaded files."""
    if not stored.weights or stored.weights != now.weights:
        return then_and_now(weights_name(stored), weights_name(now))
    if stored.files and now.files and stored.files != now.files:
        return f"the same safetensors with other files beside them, {then_and_now(stored.files, now.files)}"
    return ""


def weights_name(basis: Basis) -> str:
    named = basis.origin and basis.origin != basis.weights
    return f"{basis.weights[:SHOWN]} from {basis.origin}" if named else basis.weights[:SHOWN]


def table_difference(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The names whose values differ, with both values."""
    names = [name for name in {**stored, **now} if stored.get(name) != now.get(name)]
    return ", ".join(f"{name} {stored.get(name) or UNKNOWN}, now {now.get(name) or UNKNOWN}" for name in names)


def emulation_difference(stored: Basis, now: Basis) -> str:
    if stored.emulation == now.emulation:
        return ""
    return f"{stored.emulation or 'the card itself'}, now {now.emulation or 'the card itself'}"


def then_and_now(before: str, after: str) -> str:
    """Both values; identities are cut, and texts that are already cut stay unchanged."""
    return f"{shorten(before)}, now {shorten(after)}"


def shorten(text: str) -> str:
    cut = text.startswith("sha256:") and " " not in text
    return (text[:SHOWN] if cut else text) or UNKNOWN


DIFFERENCES: dict[str, Callable[[Basis, Basis], str]] = {
    "recipe": recipe_difference,
    "data": data_difference,
    "weights": weights_difference,
    "libraries": lambda stored, now: table_difference(stored.libraries, now.libraries),
    "machine": lambda stored, now: table_difference(stored.machine, now.machine),
    "emulation": emulation_difference,
}


def group_of(record: Record) -> str:
    """The case's id without its seed, and the size of its data: pos-minilm_l6-lora-cpu-sample."""
    return f"{record.case.rsplit('-', 1)[0]}-{record.recipe['data']}"
