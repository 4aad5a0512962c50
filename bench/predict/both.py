"""Both predictions for a question: the closed form at once, and the trace if torch may be loaded."""

from collections.abc import Mapping
from typing import Any

from bench.predict.formula.closed_form import NoClosedForm, closed_form
from bench.predict.prediction import Prediction
from bench.predict.question import Question
from bench.predict.terms import Peaks

UNSEEN = "what a kernel allocates and frees inside itself is in no term, nor is CUDA's context"


def reasons_of(question: Question) -> list[str]:
    """Notes on what every prediction leaves out, and where its rows end."""
    return [UNSEEN, *question.method.where_rows_end(question.entry, question.recipe)]


def predict(question: Question, traced: bool = True, peaks: Peaks | None = None) -> Prediction:
    """Both predictions; with traced=False, only the closed form. peaks: those of an earlier trace, if there is one.

    Raises NoClosedForm if that leaves no prediction.
    """
    reasons = reasons_of(question)
    closed = None
    try:
        closed = closed_form(question, double=question.trainer.double)
    except NoClosedForm as error:
        if not traced:
            raise
        reasons.append(str(error))
    return Prediction(question, closed, (peaks or trace_of(question)) if traced else None, reasons)


def trace_of(question: Question, extent: Mapping[str, Any] | None = None) -> Peaks:
    """The trace of the question's step on a card, for a batch of this extent (None: a full one).

    Loads torch, transformers and peft; extent has the fields of bench.core.extent.Extent.
    """
    from bench.predict.trace.quiet import quietly

    with quietly():
        from bench.core.extent import Extent
        from bench.predict.trace.steps import trace

        batch = Extent(**extent) if extent else None
        return trace(question.entry, question.method, question.recipe, question.labels, extent=batch)
