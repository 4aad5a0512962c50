"""What a card really held, beside the trace of the very batches that it was given.

A record says which of its batches were the heaviest (`heaviest_batches`). The trace of their step
(bench/judge/predictions/card_traces.py) is compared with the allocated peak of the record's training phase.
"""

from dataclasses import dataclass

from bench.records.figures import FIGURES
from bench.records.record import Record

AGREES = 0.02  # of the allocated peak; a first bound, for kernels take and free more inside themselves
RESERVED_AGREES = 0.05  # of what was reserved; 4.5 % is the largest error seen, of checkpoints that go to the host
# bench.worker.train.chunked_losses.CHUNKS, which would load torch: who computes a loss in chunks in a trace
TRACED_LOSS = "chunks"
KINDS = ("allocated", "reserved", "driver")  # of peaks on a card


@dataclass(frozen=True)
class Compared:
    """What a card held of something and what is predicted of it, in bytes."""

    measured_bytes: float
    traced_bytes: int

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was measured."""
        return self.traced_bytes / self.measured_bytes - 1

    @property
    def agrees(self) -> bool:
        return abs(self.error) <= AGREES


def peaks_of(record: Record) -> dict[str, float | None]:
    """Peak bytes of the training phase: allocated, reserved and the driver's; {} where there was no card."""
    found = {f"{kind}_bytes": FIGURES[f"{kind}_peak_bytes"].stated(record) for kind in KINDS}
    return {} if found["allocated_bytes"] is None else found


def not_traced(record: Record) -> str:
    """Why the record's step is not set against a trace; empty if it can be."""
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


def compared(record: Record, traced_bytes: int) -> Compared:
    """The allocated peak of training beside the traced one."""
    return Compared(peaks_of(record)["allocated_bytes"] or 0, traced_bytes)
