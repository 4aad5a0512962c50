"""The contract between pytest's process and its workers: what a case needs to run, and which function runs it.

The parent process creates the work, and the executor carries it as plain data. The worker's function first turns it
back into the same type.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.core.case import Case, parse_case
from bench.core.recipe import Recipe

# Functions of a worker, as a job names them: (payload, say) -> a dict, or an object whose methods are called.
RUN_CASE = "bench.worker.case:run_case"
STEPPER = "bench.worker.stepper:Stepper"
LOOK_INTO_MODELS = "bench.worker.check.looks:answer"
ASKER = "bench.worker.ask.asker:Asker"
CHECK_LIBRARIES = "bench.worker.check.libraries.checks:Checks"
PREPARED = "prepared"  # in the progress of an agent: the result of preparing its machine
VARIABLES = "variables"  # in the result of preparing a machine: environment variables for the cases that run there
# Modules imported once, before workers are forked: the libraries, and for cases the modules of bench/worker.
PRELOAD = ("torch", "transformers", "peft")
PRELOAD_FOR_CASES = (
    *PRELOAD, "safetensors.torch", "bench.worker.case", "bench.worker.stepper",
    "bench.worker.late_imports",  # what libraries import at first use, seconds in every case
)  # fmt: skip


@dataclass(frozen=True)
class CaseWork:
    """A case to run: its recipe, where its weights and data come from, and how the worker is set up.

    mirror is searched first for weights and data. synthetic uses random weights even if the model's are available.
    probes and lm_eval name what the model is asked before and after training. threads is the number of CPU threads;
    0 leaves it to torch. emulate is a card in the form that `read_card` reads, empty for the real one. keep is what
    `--keep` takes, and keep_in the folder for it, on a disk that the worker shares with the session.
    """

    case: Case
    recipe: Recipe
    mirror: Path | None = None
    synthetic: bool = False
    probes: tuple[str, ...] = ()
    lm_eval: tuple[str, ...] = ()
    threads: int = 0
    emulate: str = ""
    keep: str = "none"
    keep_in: Path | None = None

    def to_plain(self) -> dict[str, Any]:
        """The work in JSON types."""
        plain = {"case": self.case.id, "mirror": str(self.mirror or ""), "keep_in": str(self.keep_in or "")}
        return {**asdict(self), **plain, "probes": list(self.probes), "lm_eval": list(self.lm_eval)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "CaseWork":
        """The work from the values of to_plain. Raises ValueError for a case id that does not parse, TypeError for a
        missing or unknown field.
        """
        types = {
            "case": parse_case(values["case"]),
            "recipe": Recipe(**values["recipe"]),
            "mirror": Path(values["mirror"]) if values["mirror"] else None,
            "keep_in": Path(values["keep_in"]) if values["keep_in"] else None,
            "probes": tuple(values["probes"]),
            "lm_eval": tuple(values["lm_eval"]),
        }
        return cls(**{**values, **types})


@dataclass(frozen=True)
class LooksWork:
    """Questions about tiny models: each names a look in bench.worker.check.looks and its arguments."""

    questions: tuple[Mapping[str, Any], ...]

    def to_plain(self) -> dict[str, Any]:
        """The work in JSON types."""
        return {"questions": [dict(question) for question in self.questions]}
