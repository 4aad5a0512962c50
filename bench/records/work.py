"""Work of a training step as a function of its batch's shape, and the rate and utilisation that follow from it.

Attention grows with the square of a row's length, some methods multiply whole weights once per pass (DoRA, HiRA), and
virtual tokens lengthen every row. So FLOPs are not proportional to tokens, and every batch is counted at its own
padded shape. No torch here: a stored record is enough.

Model FLOPs are those of forward and backward with nothing computed twice. Hardware FLOPs include what gradient
checkpointing and the loss in chunks compute again. Both count attention as full squares, whatever a mask or a sliding
window leaves out and whatever a fused kernel skips or repeats. Both count the head at every position, even without a
label, and packed weights as the dense product that they represent. Neither counts the optimizer or a method's penalty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from bench.machine.cards import is_card
from bench.records.record import Record

MODEL, HARDWARE = "model_step", "hardware_step"
HALF_PRECISION = ("bfloat16", "float16")  # the formats of PEAK_FLOPS

# Dense bf16 (T4: fp16) matrix products in FLOP/s, from NVIDIA's data sheets of each card.
PEAK_FLOPS = {
    "H200": 989e12,
    "H100 80GB HBM3": 989e12,
    "H100 PCIe": 756e12,
    "A100": 312e12,
    "L4": 121e12,
    "L40S": 362e12,
    "T4": 65e12,
    "V100": 125e12,  # fp16
    "RTX 2080 Ti": 53.8e12,  # fp16; for all GeForce cards: float32 sums, from their generation's white paper
    "RTX 3070": 40.6e12,
    "RTX 3080": 59.5e12,
    "RTX 3090": 71e12,
    "RTX 4090": 165e12,
    "RTX 5090": 209.5e12,
}


@dataclass(frozen=True)
class Work:
    """FLOPs of forward and backward: per pass, per position, and per pair of positions in a row.

    added: positions that the method adds before each row's tokens.
    """

    added: int
    per_pass: Fraction
    per_position: Fraction
    per_pair: Fraction

    def of(self, rows: int, length: int) -> int:
        """FLOPs of one batch of rows x length tokens."""
        positions = length + self.added
        return round(self.per_pass + rows * positions * (self.per_position + self.per_pair * positions))

    def of_all(self, shapes: Iterable[tuple[int, int]]) -> int:
        return sum(self.of(*shape) for shape in shapes)


def work_from(counts: Sequence[Mapping[str, Any]], name: str, added: int) -> Work:
    """The work that matches the counts at three shapes: (1, short), (2, short) and (2, long)."""
    one, two, long = (Fraction(count[name]) for count in counts)
    short_positions, long_positions = (counts[number]["length"] + added for number in (1, 2))
    per_pass = 2 * one - two
    at_short, at_long = (two - per_pass) / (2 * short_positions), (long - per_pass) / (2 * long_positions)
    per_pair = (at_long - at_short) / (long_positions - short_positions)
    return Work(added, per_pass, at_short - per_pair * short_positions, per_pair)


def works_of(counts: Sequence[Mapping[str, Any]], added: int) -> tuple[Work, Work]:
    """Model and hardware work of a step."""
    return work_from(counts, MODEL, added), work_from(counts, HARDWARE, added)


def counts_of(exact: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A record's counts at each shape. An older record has one shape and counts what runs, so for a step under gradient
    checkpointing it has only hardware FLOPs.
    """
    if "flops_counts" in exact:
        return list(exact["flops_counts"])
    if "flops_shape" not in exact:
        return []
    rows, length = exact["flops_shape"]
    found = {"rows": rows, "length": length, HARDWARE: exact["step_flops"]}
    if not recipe.get("gradient_checkpointing"):
        found |= {MODEL: exact["step_flops"], "model_step_formula": exact["step_flops_formula"]}
    routes = {"forward": "forward_flops", "forward_formula": "forward_flops_formula",
              "forward_fvcore": "forward_flops_fvcore"}  # fmt: skip
    return [found | {name: exact[before] for name, before in routes.items() if before in exact}]


def share_of_peak(flops_per_second: float, card: str, precision: str) -> float | None:
    """Share of the card's peak; None if no peak is known, as in float32.

    Raises ArithmeticError above 1: then the FLOPs or the clock are wrong, and the figure must not be recorded.
    """
    peak = next((value for name, value in PEAK_FLOPS.items() if is_card(name, card)), None)
    if peak is None or precision not in HALF_PRECISION:
        return None
    share = flops_per_second / peak
    if share > 1:
        raise ArithmeticError(f"{flops_per_second:.3g} FLOP/s is {share:.0%} of the peak of {card}; a count is wrong")
    return share


def utilisation_figures(
    model_flops: float, hardware_flops: float, seconds: float, card: str, precision: str
) -> dict[str, Any]:
    """The rates of these FLOPs over these seconds, and their shares of the card's peak (MFU and HFU).

    precision: the recipe's, for matrix products.
    """
    rates = {"model_flops": model_flops / seconds, "hardware_flops": hardware_flops / seconds}
    found: dict[str, Any] = {f"{name}_per_second": rate for name, rate in rates.items()}
    return found | {f"{name}_utilisation": share_of_peak(rate, card, precision) for name, rate in rates.items()}


def heaviest_shape(record: Record) -> tuple[int, int]:
    """Rows and padded length of the batch with the most positions, or of the first batch if the record does not say."""
    batches = record.exact.get("heaviest_batches")
    if not batches:
        rows, length = record.exact["step_shape"]
        return rows, length
    heaviest = max(batches, key=lambda one: one["rows"] * one["length"])
    return heaviest["rows"], heaviest["length"]
