"""Health questions as in source 000: MedQuAD, question -> answer, after its text cleaning.

Source 000, section B.1, removes URLs, emoticons, hashtags and stray markup. Its text also names
punctuation and numbers, but its own Table I keeps both, and so does this task.
"""

import html
import re
from typing import Any

from bench.core.recipe import Recipe
from bench.models import DECODER
from bench.sources.data import DataSpec
from bench.tasks import TASKS, BadData, Prepared, SourceAnswer, Task
from bench.tasks.responses import check_rows, prepare_pairs, score_responses, split_by_group, split_name

DATA = DataSpec(
    hub_id="keivalya/MedQuad-MedicalQnADataset",
    columns=("Question", "Answer"),
    splits=("train",),
    samples=("medqa.jsonl",),
    revision="5b0961fbaa6d7f9c344c5d59c29943fb900c2eca",
)
PROMPT = "Question: {question}\nAnswer: "
ATTRIBUTE = (
    r"""\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s<>"']+)"""  # one without a value would make "a <b and c> d" a tag
)
TAG = re.compile(rf"</?[a-zA-Z][a-zA-Z0-9]*(?:{ATTRIBUTE})*\s*/?>|<!--.*?-->", re.DOTALL)
IN_URL = r"\([^\s<>()]*\)|[^\s<>()\[\]"
URL = re.compile(rf"(?:(?:https?|ftp)://|www\.)(?:{IN_URL}])*(?:{IN_URL}.,;:!?'\"’”])", re.IGNORECASE)
HASHTAG = re.compile(r"(?<![\w&/])#[A-Za-z]\w*")
# no "8)", "x)", "XP" or "<3": in medical text these are "HHV-8)", "type X)", a disease and a bound
EMOTICON = re.compile(r"(?<![\w(])(?:[:;=]['’]?-?[)(\]\[DdPp/\\|*]+|[xX]D+|8-[)(D]|\^_\^|:-[OoSs])(?!\w)")
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f\u200d\U0001f1e6-\U0001f1ff]+")


def clean(text: str) -> str:
    """The text without markup, URLs, hashtags, emoticons and doubled white space.

    A "<" that opens no tag, as in "pressure < 120", stays.
    """
    for pattern in (TAG, URL, HASHTAG, EMOJI, EMOTICON):
        text = pattern.sub(" ", html.unescape(text) if pattern is TAG else text)
    text = re.sub(r"\(\s*\)|\[\s*\]", " ", text)  # brackets around a URL
    text = re.sub(r"\s+", " ", text.replace("\xa0", " "))
    return re.sub(r" ([.,;:!?])(?=\s|$)", r"\1", text).strip()


def clean_rows(rows: list[dict], split: str) -> list[dict]:
    """The rows cleaned, with the question as it was in `asked`. Raises BadData naming a row that has no text left."""
    found = []
    for number, row in enumerate(rows, 1):
        texts = {column: clean(row[column]) for column in DATA.columns}
        for column in DATA.columns:
            if not texts[column]:
                raise BadData(
                    f"{split} row {number}: {column} {row[column]!r:.60} is empty once markup, URLs, hashtags and "
                    "emoticons are removed; remove the row or give it text"
                )
        found.append({**texts, "asked": row["Question"]})
    return found


def pairs(rows: list[dict], split: str) -> list[tuple[str, str, str]]:
    return [
        (f"{split}-{number}", PROMPT.format(question=row["Question"]), row["Answer"]) for number, row in enumerate(rows)
    ]


def prepare(rows: dict[str, list[dict]], tokenizer: Any, recipe: Recipe) -> Prepared:
    """Answer a health question."""
    found = clean_rows(check_rows(rows, DATA.columns), split_name(next(iter(rows))))
    train, held_out = split_by_group(found, "asked")
    return prepare_pairs(pairs(train, "train"), pairs(held_out, "test"), tokenizer, recipe)


def prompt(question: str, tokenizer: Any) -> str:
    return PROMPT.format(question=clean(question))


TABLE_V = "source 000, Table V (the first of that number), row {}"
SOURCE_ANSWERS = (  # the column "Aktual"
    SourceAnswer(
        "What is Glaucoma?",
        "Glaucoma is a group of eye conditions that can damage the optic nerve. It is often associated with increased "
        "pressure inside the eye, which can lead to vision loss and even blindness if left untreated.",
        TABLE_V.format(1),
    ),
    SourceAnswer(
        "What is Osteoarthritis?",
        "Osteoarthritis is the most common form of arthritis among older people. It causes physical disability and "
        "affects both men and women. Before age 45, it is more common in men, but after age 45, it is more common in "
        "women. Around 33.6% (12.4 million) of individuals aged 65 and older are affected by this disease.",
        TABLE_V.format(2),
    ),
)


TASKS.put(
    "medqa",
    Task(
        name="medqa",
        says="health questions, question to answer (source 000)",
        kind=DECODER,
        data=DATA,
        run=prepare,
        score=score_responses,
        metric="loss",
        greater_is_better=False,
        smoke_methods=("lora",),
        prompt=prompt,
        source_answers=SOURCE_ANSWERS,
    ),
)
