"""The page where a person asks a base and its adapters a question: source 000's page, with the answers side by side."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from bench.app.answering import Answer, draw, generate, show_end
from bench.app.asking import Busy, Sampling
from bench.app.served import served
from bench.app.showing import escape_markdown, refuse
from bench.app.stored import kept_folders
from bench.core.case import parse_case
from bench.core.paths import is_inside
from bench.executor import CallFailed, WorkerDied
from bench.records.kept import MANIFEST, NotKept, find_kept, read_manifest
from bench.tasks import TASKS, SourceAnswer

NEW_TOKENS, MOST_TOKENS = 128, 2048
HIGHEST_TEMPERATURE = 5.0
OWN_QUESTION = "your own question"
NO_ANSWER = "There is no answer."
NOTHING_KEPT = (
    "No case here has kept weights yet. `pytest suites --keep adapter` keeps those of each case that it runs; "
    "docs/keeping-adapters.md says more."
)


def show() -> None:
    st.title("Ask", anchor=False)
    try:
        folders = chosen_folders()
    except (NotKept, ValueError) as error:
        refuse(NO_ANSWER, error)
        return
    if not folders:
        refuse("Choose at least one kept adapter." if kept_folders(served().folders) else NOTHING_KEPT)
        return
    example = chosen_example(folders)
    if answer := asked(folders, example):
        st.session_state["answer"] = answer
        try:
            generate(answer, served().asking, with_base=not (answer.blind and len(folders) > 1))
        except (CallFailed, WorkerDied, Busy) as error:
            refuse(NO_ANSWER, error)
            return
    elif (answer := st.session_state.get("answer")) and answer.names:
        st.caption(escape_markdown(f"Question: {answer.question}"))
        draw(answer)
    if answer:
        show_end(answer)


def chosen_folders() -> tuple[Path, ...]:
    """The kept folders that the person chooses. Raises NotKept for a folder that is none."""
    kept = kept_folders(served().folders)
    names = st.multiselect("Kept adapters and models", list(kept), default=list(kept)[:1])
    with st.expander("Another folder"):
        typed = st.text_input("Folder of a kept adapter, below the folder of runs")
    found = [kept[name] for name in names] + ([folder_of(typed)] if typed.strip() else [])
    return tuple(dict.fromkeys(path.resolve() for path in found))


def folder_of(typed: str) -> Path:
    """The folder. Raises NotKept if it lies elsewhere or is no kept adapter; what lies elsewhere is not looked at."""
    places = [folder / typed.strip() for folder in served().folders]
    if not any(is_inside(place, served().folders) for place in places):
        raise NotKept(f"{typed.strip()} does not lie below the folder of runs; copy the adapter there")
    for place in places:
        if is_inside(place, served().folders) and place.is_dir():
            if not is_inside(place / MANIFEST, served().folders):
                raise NotKept(
                    f"{typed.strip()}: its {MANIFEST} is a link out of the folder of runs; copy the file there"
                )
            return find_kept(str(place))
    raise NotKept(f"{typed.strip()}: there is no such folder below the folder of runs")


def chosen_example(folders: Sequence[Path]) -> SourceAnswer | None:
    """The question of a source that the person chooses, whose text goes into the field."""
    tasks = [parse_case(read_manifest(folder).case).task for folder in folders]
    examples = {one.question: one for task in tasks if task in TASKS for one in TASKS[task].source_answers}
    if not examples:
        return None

    def fill() -> None:
        chosen = st.session_state["example"]
        st.session_state["question"] = "" if chosen == OWN_QUESTION else chosen

    chosen = st.selectbox("Question of the task's source", [OWN_QUESTION, *examples], key="example", on_change=fill)
    return examples.get(chosen)


def asked(folders: tuple[Path, ...], example: SourceAnswer | None) -> Answer | None:
    """The question with its settings, if the person has just asked it."""
    with st.form("ask", border=False):
        question = st.text_area("Question", key="question", height=80).strip()
        columns = st.columns(3)
        temperature = columns[0].number_input(
            "Temperature", 0.0, HIGHEST_TEMPERATURE, 0.0, 0.1, help="0 takes the likeliest token"
        )
        new_tokens = columns[1].number_input("Most tokens of an answer", 1, MOST_TOKENS, NEW_TOKENS)
        seed = columns[2].number_input("Seed of drawn tokens", 0, value=0)
        blind = st.checkbox("Blind: vote without the names", help="between a case and its base, or between two cases")
        pressed = st.form_submit_button("Ask", type="primary")
    if not pressed:
        return None
    if not question:
        refuse("The question is empty.")
        return None
    if blind and len(folders) > 2:
        refuse(f"A blind vote is between two answers; choose one case or two, not {len(folders)}.")
        return None
    known = example if example and example.question == question else None
    return Answer(
        question, Sampling(temperature, int(new_tokens), int(seed)), folders, blind,
        known.answer if known else "", known.where if known else "",
    )  # fmt: skip
