"""The page of what fits which card: models × methods × cards, with the largest length and batch."""

from typing import Any

import streamlit as st

from bench.app.showing import escape_markdown, refuse, show_table, text
from bench.machine.cards import CARDS
from bench.methods import METHODS, Unsupported
from bench.models import MODELS
from bench.predict.card.overview import Fitting, fittings
from bench.predict.question import BadQuestion, Question, ask
from bench.report.overview import LEGEND, NAMES, notes, overview_table, ways

DEFAULT_MODELS, DEFAULT_METHODS = ("llama31_8b",), ("lora", "qlora", "qlora_lean")
DEFAULT_CARDS = ("t4", "l4", "rtx4090", "a100_80gb")
PRECISIONS = ("the recipe's", "float32", "bfloat16", "float16")
CHECKPOINTING = ("the default", "on", "off")


def show() -> None:
    st.title("Fit", anchor=False)
    st.caption("What a training step needs by the closed form, which is computed in milliseconds and needs no card.")
    models = st.multiselect("Models", MODELS.names(), default=DEFAULT_MODELS)
    methods = st.multiselect("Methods", METHODS.names(), default=DEFAULT_METHODS)
    cards = st.multiselect("Cards", CARDS.names(), default=DEFAULT_CARDS)
    changes = chosen_changes()
    if not (models and methods and cards):
        refuse("Choose at least one model, one method and one card.")
        return
    asked, refusals = questions(models, methods, changes)
    if not asked:
        refuse("None of these fits together.", "\n".join(refusals))
        return
    found: list[Fitting] = list(fittings(asked, [CARDS[name] for name in cards], trace=None))
    for way in ways(found):
        text(way)
    show_table(overview_table(found), NAMES, "fit")
    for line in (*LEGEND, *notes(found), *refusals):
        st.caption(escape_markdown(line))


def chosen_changes() -> dict[str, Any]:
    """The hyperparameters that the person gives; None for what is left to the recipe."""
    columns = st.columns(5)
    batch = columns[0].number_input("Rows of a batch", 1, value=None, placeholder="the recipe's")
    length = columns[1].number_input("Tokens of a row", 1, value=None, placeholder="the recipe's")
    rank = columns[2].number_input("Rank", 1, value=None, placeholder="the recipe's")
    precision = columns[3].selectbox("Precision", PRECISIONS)
    checkpointing = columns[4].selectbox("Gradient checkpointing", CHECKPOINTING)
    return {
        "batch_size": batch,
        "max_length": length,
        "rank": rank,
        "precision": None if precision == PRECISIONS[0] else precision,
        "gradient_checkpointing": None if checkpointing == CHECKPOINTING[0] else checkpointing == "on",
    }


def questions(models: list[str], methods: list[str], changes: dict[str, Any]) -> tuple[list[Question], list[str]]:
    """A question for each pair that can work together, and why the others cannot."""
    found, refusals = [], []
    for model in models:
        for method in methods:
            try:
                found.append(ask(model, method, **changes))
            except (Unsupported, BadQuestion) as error:
                refusals.append(str(error))
    return found, refusals
