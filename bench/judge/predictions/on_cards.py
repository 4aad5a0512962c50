"""The measured memory of a card, compared with the trace of the same batches.

A record lists its heaviest batches (`heaviest_batches`). The trace of their step
(bench/judge/predictions/card_traces.py) is compared with the allocated peak of the record's training phase.
"""

from dataclasses import dataclass

from bench.records.figures import FIGURES
from bench.records.record import Record

AGREES = 0.02  # of the allocated peak; a first bound, because kernels allocate and free more internally
RESERVED_AGREES = 0.05  # of the reserved peak; the largest error seen is 4.5 %, with checkpoints offloaded to the host
# bench.worker.train.chunked_losses.CHUNKS, which would load torch: what computes a loss in chunks in a trace
TRACED_LOSS = "chunks"
KINDS = ("allocated", "reserved", "driver")  # of peaks on a card


@dataclass(frozen=True)
class Compared:
    """A measured peak of a card and its prediction, in bytes."""

    measured_bytes: float
    traced_bytes: int

    @property
    def error(self) -> float:
        """The prediction's error as a share of the measured bytes."""
        return self.traced_bytes / self.measured_bytes - 1

    @property
    def agrees(self) -> bool:
        return abs(self.error) <= AGREES


def peaks_of(record: Record) -> dict[str, float | None]:
    """Peak bytes of the training phase: allocated, reserved and the driver's; {} if there was no card."""
    found = {f"{kind}_bytes": FIGURES[f"{kind}_peak_bytes"].value_in(record) for kind in KINDS}
    return {} if found["allocated_bytes"] is None else found


def not_traced(record: Record) -> str:
    """Why the record's step cannot be compared with a trace; empty if it can."""
    if not peaks_of(record):
        return "it was not run on a card"
    if "heaviest_batches" not in record.exact:
        return "it does not say which of its batches were the heaviest"
    if card := record.environment.get("emulation"):
        return f"the kernels of {card}, which was emulated, are not traced"
    if settings := record.environment.get("allocator"):
        return f"its allocator was set otherwise: {settings}"
    if record.environment.get("loss_by", TRACED_LOSS) != TRACED_LOSS:
        return f"its loss in chunks is {record.environment['loss_by']}'s, and this project's own is traced"
    if record.recipe["engine"] != "bench":
        return "the trace is of this project's own loop"
    return ""


def compare_with_card(record: Record, traced_bytes: int) -> Compared:
    """The allocated peak of training with the traced one."""
    return Compared(peaks_of(record)["allocated_bytes"] or 0, traced_bytes)
