"""A case: which task, model, method, device and seed are run together.

Its id is the pytest id, the key in results and what `-k` matches: `pos-minilm_l6-lora-cpu-s0`. Parts are
joined by `-`, words inside a part by `_`, so an id parses back.
"""

import re
from dataclasses import dataclass

PART = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
SEED = re.compile(r"s(0|[1-9][0-9]*)")  # one spelling each, for ids are keys
ID_SHAPE = "task-model-method-device-sSEED"


@dataclass(frozen=True, order=True)
class Case:
    """One cell of the matrix. Raises ValueError for a part that would not parse back."""

    task: str
    model: str
    method: str
    device: str
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("task", "model", "method", "device"):
            part = getattr(self, name)
            if not PART.fullmatch(part):
                raise ValueError(
                    f"{name}={part!r} must be lower-case words joined by '_', so that a case id parses back"
                )
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must not be negative")

    @property
    def id(self) -> str:
        return f"{self.task}-{self.model}-{self.method}-{self.device}-s{self.seed}"

    def __str__(self) -> str:
        return self.id


def parse_case(case_id: str) -> Case:
    """The case with this id. Raises ValueError if the text has not the shape of an id."""
    parts = case_id.split("-")
    if len(parts) != 5 or not SEED.fullmatch(parts[4]):
        raise ValueError(f"{case_id!r} is not a case id; expected {ID_SHAPE}, for example pos-minilm_l6-lora-cpu-s0")
    task, model, method, device, seed = parts
    return Case(task, model, method, device, int(seed[1:]))
