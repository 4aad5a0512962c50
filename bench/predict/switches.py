"""The settings that users can change in a trainer to need less memory, and how much each saves."""

from dataclasses import dataclass, replace

from bench.machine.cards import GIB
from bench.predict.formula.closed_form import closed_form
from bench.predict.question import Question
from bench.predict.trainers import Switch

WORTH = GIB // 20  # bytes: a smaller saving is not worth a line


@dataclass(frozen=True)
class Saving:
    """A switch, and the bytes at the peak that it saves on its own."""

    switch: Switch
    saved_bytes: int


def savings(question: Question) -> list[Saving]:
    """The trainer's switches that save memory for this question, the largest saving first. Raises NoClosedForm."""
    before = closed_form(question, double=question.trainer.double).peak_bytes
    found = []
    for switch in question.trainer.switches:
        trainer = question.trainer.with_switch(switch)
        asked = replace(question, recipe=replace(question.recipe, **switch.recipe)).by(trainer)
        found.append(Saving(switch, before - closed_form(asked, double=trainer.double).peak_bytes))
    return sorted((one for one in found if one.saved_bytes >= WORTH), key=lambda one: -one.saved_bytes)


def saving_words(question: Question) -> list[str]:
    """One line: the switch that saves most here, then the others that save; no line if none does."""
    words = [f"{one.switch.says} saves {one.saved_bytes / GIB:.1f} GiB" for one in savings(question)]
    return [f"to save memory by {question.trainer.name}: {'; '.join(words)} (each alone)"] if words else []
