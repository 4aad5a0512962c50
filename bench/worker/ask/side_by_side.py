"""Answers of tuned models and their bases to one question, side by side and a token at a time.

Adapters of plain LoRA on the same base answer in one batch, a row each. All others, and whole models, are loaded by
themselves and take turns, a token each. Nothing runs ahead of the reader: an iterator that is closed generates no more.
"""

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from bench.core.case import parse_case
from bench.methods import PLAIN
from bench.models import DECODER
from bench.models.shapes import positions
from bench.records.kept import ADAPTER, PEFT_CONFIG, SHOWN, NotKept, name_with_run, run_of
from bench.sources.snapshot import read_json
from bench.tasks import TASKS, SourceAnswer, Task
from bench.worker.ask.key_value_caches import CACHE_NAME
from bench.worker.ask.model_bytes import base_bytes, loaded_bytes
from bench.worker.ask.questions import text_ids
from bench.worker.build.adapter import load_adapter
from bench.worker.build.precision import adapter_dtype, autocast
from bench.worker.keep.loading import Tuned

BASE_ROW = "__base__"  # peft's name for a row that no adapter changes
UNFINISHED = "\ufffd"  # what half a character decodes to

Pieces = list[tuple[int, str]]


class NoRoom(ValueError):
    """A question that leaves no room for an answer; the message is one sentence."""


@dataclass(frozen=True)
class Sampling:
    """How answers are generated. temperature 0 takes the likeliest token; new_tokens is the most of an answer."""

    temperature: float = 0.0
    new_tokens: int = 128
    seed: int = 0


@dataclass(frozen=True)
class Speaker:
    """A loaded model and the columns in which it answers.

    adapters: for each column peft's name of its adapter, BASE_ROW for none; () for a model that answers as it is.
    """

    model: Any
    tokenizer: Any
    tuned: Tuned  # the case whose base, task and recipe it has
    columns: tuple[int, ...]
    adapters: tuple[str, ...]
    device: str

    @property
    def room(self) -> int:
        """The most tokens of a prompt and its answer."""
        return positions(self.tuned.entry) - self.tuned.method.virtual_tokens(self.tuned.recipe)


@dataclass(frozen=True)
class Panel:
    """The columns' names, bases before the cases on them, and who answers in them. cases: a column of each case."""

    names: tuple[str, ...]
    cases: tuple[int, ...]
    speakers: tuple[Speaker, ...]


def task_of(tuned: Tuned) -> Task:
    return TASKS[parse_case(tuned.kept.case).task]


def source_answers(tuned: Sequence[Tuned]) -> list[SourceAnswer]:
    """The questions that the sources of these cases' tasks print with their answers."""
    return list(dict.fromkeys(answer for one in tuned for answer in task_of(one).source_answers))


def check_decoder(tuned: Tuned) -> None:
    """Raises NotKept for a case whose model cannot answer."""
    if tuned.entry.kind != DECODER:
        raise NotKept(f"{tuned.name}: {tuned.entry.name} labels words and answers nothing; name a decoder's case")
    if task_of(tuned).prompt is None:
        raise NotKept(f"{tuned.name}: its task has no prompt for a person's question; give it one as prompt=")


def shares_batch(tuned: Tuned) -> bool:
    """Whether peft can answer with this adapter in one row of a batch and leave the base as it was."""
    if tuned.kept.what != ADAPTER or not tuned.method.keeps_base:
        return False
    config = read_json(tuned.folder / PEFT_CONFIG)
    return config.get("peft_type") == "LORA" and not config.get("use_dora")


def base_key(tuned: Tuned) -> tuple[str, ...]:
    """What a base's column depends on: cases that share it are compared with the same answer."""
    return tuned.entry.name, tuned.method.storage, task_of(tuned).name, tuned.weights.identity


def batch_key(tuned: Tuned) -> tuple[Any, ...]:
    """What cases must share to answer in one batch."""
    recipe = tuned.recipe
    return (*base_key(tuned), recipe.precision, recipe.adapter_precision, recipe.quantise_head)


def load_panel(tuned: Sequence[Tuned], device: str = "cpu", with_base: bool = True) -> Panel:
    """Load the cases, and before the cases on each base that base. Raises NotKept for a model that cannot answer."""
    for one in tuned:
        check_decoder(one)
    possible: list[tuple[str, ...]] = []
    bases: dict[tuple[str, ...], int] = {}
    columns: dict[int, int] = {}
    several_runs = len({run_of(one.folder).resolve() for one in tuned}) > 1
    for key in dict.fromkeys(map(base_key, tuned)):
        if with_base:
            bases[key] = len(possible)
            possible.append(base_names(key))
        for number, one in enumerate(tuned):
            if base_key(one) == key:
                columns[number] = len(possible)
                possible.append(case_names(one, several_runs))
    speakers = []
    for batch in batches_of(tuned):
        rows = {columns[number]: tuned[number] for number in batch}
        first = tuned[batch[0]]
        if shares_batch(first):
            base = bases.pop(base_key(first), None)
            speakers.append(load_batch(rows, base, device))
        else:
            speakers.append(load_alone(first, columns[batch[0]], device))
    for key, column in bases.items():  # of cases that cannot share a batch with their base
        owner = next(one for one in tuned if base_key(one) == key)
        speakers.append(Speaker(owner.base(device).eval(), owner.tokenizer(), owner, (column,), (), device))
    return Panel(unique_names(possible), tuple(columns[number] for number in range(len(tuned))), tuple(speakers))


def base_names(key: tuple[str, ...]) -> tuple[str, ...]:
    """A base's possible titles, the shortest first."""
    model, storage, task, identity = key
    name = f"{model}, the base" if storage == PLAIN else f"{model} in {storage}, the base"
    return name, f"{name} with the prompt of {task}", f"{name} with the prompt of {task}, {identity[:SHOWN]}"


def case_names(tuned: Tuned, several_runs: bool) -> tuple[str, ...]:
    """A case's possible titles, the shortest first. Votes count by title, so one of several runs has its run's."""
    named = name_with_run(tuned.folder, tuned.name), str(tuned.folder.resolve())
    return named if several_runs else (tuned.name, *named)


def unique_names(possible: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """For each column the first of its possible titles that no other column may have."""
    shared = Counter(name for names in possible for name in names)
    return tuple(next((name for name in names if shared[name] == 1), names[-1]) for names in possible)


def panel_bytes(tuned: Sequence[Tuned], with_base: bool = True) -> int:
    """Bytes of all weights that load_panel loads."""
    found, bases = 0, {base_key(one): one for one in tuned} if with_base else {}
    for first, *others in batches_of(tuned):
        if shares_batch(tuned[first]):
            bases.pop(base_key(tuned[first]), None)  # a row of the batch
        found += loaded_bytes(tuned[first])
        found += sum(loaded_bytes(tuned[other]) - base_bytes(tuned[other]) for other in others)
    return found + sum(map(base_bytes, bases.values()))


def batches_of(tuned: Sequence[Tuned]) -> list[list[int]]:
    """Numbers of cases that answer together."""
    found: dict[Any, list[int]] = {}
    for number, one in enumerate(tuned):
        found.setdefault(batch_key(one) if shares_batch(one) else number, []).append(number)
    return list(found.values())


def load_batch(rows: dict[int, Tuned], base: int | None, device: str) -> Speaker:
    """One model with an adapter for each column, and the base's own column if it has one."""
    first = next(iter(rows.values()))
    model: Any = first.base(device)
    names = {column: f"column{column}" for column in rows}
    for column, one in rows.items():
        model = load_adapter(model, one.folder, adapter_dtype(one.recipe), names[column])
    columns = ({} if base is None else {base: BASE_ROW}) | names
    return Speaker(model.eval(), first.tokenizer(), first, tuple(columns), tuple(columns.values()), device)


def load_alone(tuned: Tuned, column: int, device: str) -> Speaker:
    """A model for this case alone."""
    if tuned.kept.what == ADAPTER:
        model = load_adapter(tuned.base(device), tuned.folder, adapter_dtype(tuned.recipe)).eval()
    else:
        model = tuned.whole(device)
    return Speaker(model, tuned.tokenizer(), tuned, (column,), (), device)


def answers(panel: Panel, question: str, sampling: Sampling) -> Generator[tuple[int, str]]:
    """(column, text) for each new token of each answer; the text is empty where a token ends in half a character.

    Raises NoRoom for a question that leaves no room for an answer.
    """
    running = [speak(speaker, question, sampling) for speaker in panel.speakers]
    try:
        while running:
            for one in list(running):
                if (pieces := next(one, None)) is None:
                    running.remove(one)
                else:
                    yield from pieces
    finally:
        for one in running:
            one.close()


def speak(speaker: Speaker, question: str, sampling: Sampling) -> Generator[Pieces]:
    """The pieces of a speaker's columns for each step."""
    prompt = prompt_ids(speaker, question)
    said: list[list[int]] = [[] for _ in speaker.columns]
    shown = [""] * len(speaker.columns)
    for tokens in steps(speaker, prompt, sampling):
        pieces: Pieces = []
        for row, token in tokens.items():
            said[row].append(token)
            text = speaker.tokenizer.decode(said[row], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            new = "" if text.endswith(UNFINISHED) else text[len(shown[row]) :]
            shown[row] += new
            pieces.append((speaker.columns[row], new))
        yield pieces


def prompt_ids(speaker: Speaker, question: str) -> list[int]:
    """The task's own prompt for the question, as token ids of the model."""
    make = task_of(speaker.tuned).prompt
    assert make is not None  # else the panel was not loaded
    vocabulary = speaker.tuned.entry.config["vocab_size"]
    ids = [token % vocabulary for token in text_ids(make(question, speaker.tokenizer), speaker.tokenizer)]
    if len(ids) >= speaker.room:
        raise NoRoom(
            f"the question is {len(ids):,} tokens in {speaker.tuned.name}'s prompt, and the model has room for "
            f"{speaker.room:,} with the answer; ask a shorter one"
        )
    return ids


@torch.no_grad()
def steps(speaker: Speaker, prompt: list[int], sampling: Sampling) -> Generator[dict[int, int]]:
    """The next token of each row whose answer has not ended, until all have."""
    end = speaker.tokenizer.eos_token_id % speaker.tuned.entry.config["vocab_size"]
    rows = len(speaker.columns)
    chance = [torch.Generator().manual_seed(sampling.seed) for _ in range(rows)]
    ids, cache = torch.tensor([prompt] * rows, device=speaker.device), None
    live = set(range(rows))
    for _ in range(min(sampling.new_tokens, speaker.room - len(prompt))):
        logits, cache = forward(speaker, ids, cache)
        chosen = [choose(one, sampling.temperature, of_row) for one, of_row in zip(logits, chance, strict=True)]
        live -= {row for row in live if chosen[row] == end}
        if not live:
            return
        yield {row: chosen[row] for row in sorted(live)}
        ids = torch.cat([ids, torch.tensor(chosen, device=speaker.device)[:, None]], dim=1)


def forward(speaker: Speaker, ids: Tensor, cache: Any) -> tuple[Tensor, Any]:
    """Logits after the last of the ids (rows, vocabulary), and the cache of all of them.

    Virtual tokens stand where a cache would, so such a model reads the whole row each time.
    """
    cached = speaker.tuned.method.packs or not isinstance(speaker.model, PeftModel)
    given: dict[str, Any] = {"attention_mask": torch.ones_like(ids)}
    if cached:
        given |= {"use_cache": True, CACHE_NAME: cache}
    if speaker.adapters:
        given["adapter_names"] = list(speaker.adapters)
    with autocast(speaker.tuned.recipe, speaker.device):
        found = speaker.model(input_ids=ids if cache is None else ids[:, -1:], **given)
    return found.logits[:, -1].float().cpu(), getattr(found, CACHE_NAME) if cached else None


def choose(logits: Tensor, temperature: float, chance: torch.Generator) -> int:
    """The likeliest token, or one drawn at the temperature."""
    if not temperature:
        return int(logits.argmax())
    wide = logits.double()  # a small temperature makes float32 overflow
    share = ((wide - wide.max()) / temperature).softmax(-1)
    return int(torch.multinomial(share.float(), 1, generator=chance))
