"""The upgrade alarm: traced peaks of fixed configurations against a committed baseline, without a GPU.

If a new torch, transformers, peft or bitsandbytes keeps more in memory than the old one, it shows here before anything
is trained. The large models are built with a few of their layers: every layer grows by the same amount, and the trace
then takes seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.core.files import write_atomically
from bench.core.paths import RESULTS
from bench.machine.cards import MIB
from bench.machine.environment import library_versions
from bench.predict.both import trace_of
from bench.predict.question import Question, ask
from bench.predict.terms import peak, peak_phase
from bench.records.record import BadRecord

FILE = RESULTS / "baselines" / "predicted.json"
GROWTH_SHARE = 0.005  # of a trace, which repeats to the byte; room for a few small tensors of another release
COMMAND = "python -m bench predict --baseline"

Phases = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Watched:
    """One configuration: a model with a number of layers (0: all), a method, a batch, with or without checkpoints."""

    model: str
    method: str
    layers: int
    batch: int
    length: int
    checkpoints: bool

    @property
    def id(self) -> str:
        part = f"_{self.layers}layers" if self.layers else ""
        return f"{self.model}{part}-{self.method}-{self.batch}x{self.length}"

    def question(self) -> Question:
        asked = ask(
            self.model, self.method, batch_size=self.batch, max_length=self.length,
            gradient_checkpointing=self.checkpoints,
        )  # fmt: skip
        if not self.layers:
            return asked
        return replace(
            asked, entry=replace(asked.entry, config={**asked.entry.config, "num_hidden_layers": self.layers})
        )


WATCHED = (
    Watched("llama31_8b", "qlora", 4, 2, 2048, True),
    Watched("llama31_8b", "lora", 4, 2, 2048, True),
    Watched("llama31_8b", "dora", 2, 1, 1024, True),
    Watched("qwen3_8b", "qlora", 4, 2, 2048, True),
    # What a layer keeps inside shows only without checkpoints, and only where logits do not hide it: over 32,000 words
    # they are a quarter of those over 128,256.
    Watched("llama2_7b", "qlora", 4, 2, 2048, False),
    Watched("minilm_l6", "lora_all", 0, 16, 320, False),
    Watched("gpt2", "lora", 0, 8, 256, False),
    Watched("bert_base", "full", 0, 16, 320, False),
)


def measure(question: Question) -> dict[str, dict[str, int]]:
    return {phase: dict(found) for phase, found in trace_of(question).phases.items()}


def read_baseline() -> dict[str, Any]:
    """versions and peaks: configuration -> phase -> term -> bytes. Raises BadRecord if the file is damaged."""
    try:
        return dict(json.loads(FILE.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadRecord(f"{FILE.name}: {error}; write it with `{COMMAND}`") from None


def write_baseline(watched: tuple[Watched, ...] = WATCHED) -> str:
    """Trace all configurations and store them as the baseline; returns a sentence about it."""
    found = {one.id: measure(one.question()) for one in watched}
    write_atomically(FILE, json.dumps({"command": COMMAND, "versions": versions(), "peaks": found}, indent=1) + "\n")
    return f"{len(found)} predicted peaks in {FILE.relative_to(RESULTS.parent)}"


def versions() -> dict[str, str | None]:
    """Versions of the libraries that decide what a step keeps in memory."""
    wanted = ("torch", "transformers", "peft", "bitsandbytes")
    return {name: version for name, version in library_versions().items() if name in wanted}


def growth_text(before: Phases, now: Phases, since: str = "") -> str:
    """How the peak has grown beyond the bound, with the terms that grew; empty if it has not."""
    old, new = peak(before), peak(now)
    if new <= old * (1 + GROWTH_SHARE):
        return ""
    old_terms, new_terms = before[peak_phase(before)], now[peak_phase(now)]
    changes = {name: new_terms.get(name, 0) - old_terms.get(name, 0) for name in {*old_terms, *new_terms}}
    rising = sorted(((more, name) for name, more in changes.items() if more > 0), reverse=True)
    said = ", ".join(f"{name} +{more / MIB:,.1f} MiB" for more, name in rising)
    return (
        f"the predicted peak grew from {old / MIB:,.1f} to {new / MIB:,.1f} MiB ({new / old - 1:+.1%}){since}: {said}; "
        f"allowed is {GROWTH_SHARE:.1%}"
    )


def change_of_versions(known: Mapping[str, str]) -> str:
    """Which of these libraries' versions differ from the baseline's, in words; empty if none does."""
    changed = [f"{name} {known.get(name)} → {now}" for name, now in versions().items() if known.get(name) != now]
    return f" ({', '.join(changed)})" if changed else ""


def judge(one: Watched, now: Phases) -> str:
    """Why the configuration costs too much now; empty if it does not. Raises BadRecord if it is not in the baseline."""
    baseline = read_baseline()
    if one.id not in baseline["peaks"]:
        raise BadRecord(f"{FILE.name} has no {one.id}; write it with `{COMMAND}`")
    return growth_text(baseline["peaks"][one.id], now, change_of_versions(baseline["versions"]))


def trace_configuration(payload: dict[str, Any], say: Any) -> dict[str, Any]:
    """Run in a worker: the phases of the configuration with these fields."""
    return {"phases": measure(Watched(**payload).question())}
