"""The terms that a training step's bytes belong to, and its phases: the vocabulary of both predictions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.predict.storage_log import StorageLog

LINEAR = "weights, not quantised"
PACKED = "weights, quantised codes"
SCALES = "scales of the quantised"
EMBEDDINGS = "embeddings and head"
OTHER = "norms, biases, buffers"
ADAPTER = "what trains"
GRADIENTS = "gradients"
STATES = "optimizer states"
BATCH = "batch"
KEPT = "kept for backward"
WORKING = "working set of a layer"
LOGITS = "logits and loss"
UPDATE = "optimizer's own"

ORDER = (LINEAR, PACKED, SCALES, EMBEDDINGS, OTHER, ADAPTER, GRADIENTS, STATES, BATCH, KEPT, WORKING, LOGITS, UPDATE)

FORWARD = "forward"
BACKWARD = "backward"
OPTIMIZER = "optimizer"
PHASES = (FORWARD, BACKWARD, OPTIMIZER)

Phases = Mapping[str, Mapping[str, int]]


def total(amounts: Mapping[str, int]) -> int:
    return sum(amounts.values())


def peak(phases: Phases) -> int:
    return max(map(total, phases.values()), default=0)


def peak_phase(phases: Phases) -> str:
    return max(phases, key=lambda phase: total(phases[phase]))


@dataclass(frozen=True)
class Peaks:
    """Bytes by term at the peak of each phase; a phase's bytes are the sum of its terms.

    log: the storages behind them in order, if traced; empty for a closed form.
    """

    phases: dict[str, dict[str, int]]
    log: StorageLog = field(default=StorageLog(), compare=False)

    @property
    def terms(self) -> dict[str, int]:
        """The bytes of each term at the moment when their sum is largest."""
        return self.phases[peak_phase(self.phases)]

    @property
    def peak_bytes(self) -> int:
        return peak(self.phases)
