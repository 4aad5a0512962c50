"""Comparisons such as 9.11 and 9.9: the trap of source 003 and its controls, in nine languages and three forms.

Items are generated from a seed. A fifth of the integers, one phrasing of each kind in every language, and all of
Indonesian and Chinese are held out. The asked items are held out in both integer and phrasing.
"""

import random
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from bench.models.prompts import alpaca
from bench.probes import CHAT, HELD_OUT, PROBES, TEXT, TRAIN, Family, Item
from bench.probes.pairs import BY_TEXT, GROUPS, draw
from bench.probes.parsers import larger_number
from bench.probes.reading import FOLDER
from bench.probes.words import LANGUAGES

SEED = 911
UNSEEN_LANGUAGES = ("id", "zh")  # no phrasing of theirs is in the training part
COUNTS = {"trap": 6, "longer": 2, "version": 2, "date": 2}  # items asked per language; any other group: one
WRAPS = ("plain", "alpaca", "chat")
WRAP_SHARES = (2, 2, 1)  # of the training part: a plain prompt is the shortest, and costs least to learn from
INPUT_SHARE = 0.5  # of the training part's comparisons of numbers in the Alpaca prompt
SHARES = {"trap": 8, "longer": 3, "version": 2, "date": 2, "negative": 2, "whole": 2}  # in the training part; others 1


@cache
def phrasings() -> dict[str, Any]:
    """Language -> separator and, by kind and part, the sentences that ask."""
    return tomllib.loads((FOLDER / "decimals.toml").read_text(encoding="utf-8"))


def sentences(language: str, group: str, part: str) -> list[str]:
    kinds = phrasings()[language]
    return kinds[group if group in kinds else "number"][part]


def in_input(language: str, choices: tuple[str, str], order: random.Random) -> str:
    """An Alpaca prompt of training's that has the two numbers in its input."""
    pair = phrasings()[language]["pair"]
    given = order.choice(pair["inputs"]).format(a=choices[0], b=choices[1])
    return alpaca(order.choice(pair["instructions"]), given)


def item_of(language: str, group: str, part: str, wrap: str, number: int, order: random.Random) -> Item:
    """One item: its pair drawn, written as the language writes it, and asked in the wrap's form.

    The larger one stands first in every other item.
    """
    larger, smaller = draw(group, part == HELD_OUT, order)
    if group not in BY_TEXT:
        separator = phrasings()[language]["separator"]
        larger, smaller = larger.replace(".", separator), smaller.replace(".", separator)
    choices = (larger, smaller) if number % 2 else (smaller, larger)
    asking = sentences(language, group, part)
    question = asking[number // 2 % len(asking)].format(a=choices[0], b=choices[1])
    apart = part == TRAIN and group not in phrasings()[language] and order.random() < INPUT_SHARE
    in_alpaca = in_input(language, choices, order) if apart else alpaca(question)
    prompts = {"plain": f"{question}\n", "alpaca": in_alpaca, "chat": question}
    return Item(
        id=f"{language}-{group}-{wrap}-{part}-{number}",
        family="decimals",
        language=language,
        group=group,
        part=part,
        form=CHAT if wrap == "chat" else TEXT,
        prompt=prompts[wrap],
        choices=choices,
        answer=larger,
    )


@PROBES.add("decimals", Family, parse=larger_number, languages=LANGUAGES, new_tokens=24)
def decimals() -> Iterator[Item]:
    """Which of two numbers is larger, newer or later."""
    for number, language in enumerate(phrasings()):  # so that orders and forms differ from language to language
        order = random.Random(f"{SEED}-{language}")
        for group in GROUPS:
            for _ in range(COUNTS.get(group, 1)):
                yield item_of(language, group, HELD_OUT, WRAPS[number % len(WRAPS)], number, order)
                number += 1


def training_items(seed: int, count: int) -> list[Item]:
    """Items of the training part alone, for recipes: every language, group and form that is not held out."""
    order = random.Random(f"train-{seed}")
    languages = [language for language in phrasings() if language not in UNSEEN_LANGUAGES]
    shares = [SHARES.get(group, 1) for group in GROUPS]
    items = [
        item_of(
            order.choice(languages), order.choices(GROUPS, shares)[0], TRAIN, order.choices(WRAPS, WRAP_SHARES)[0],
            2 * order.randrange(1000) + number % 2, order,
        )
        for number in range(count)
    ]  # fmt: skip
    return [replace(item, id=f"{item.id}-{number}") for number, item in enumerate(items)]  # phrasings are drawn twice
