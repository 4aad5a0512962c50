"""Pairs of numbers whose larger one is known: the trap of 9.11 and 9.9, and its controls.

Every pair is drawn from a seeded generator and written with a point; neither number begins with the other,
because a continuation that begins another can only be the likelier one.
"""

import random
from collections.abc import Callable

HELD_OUT_REMAINDER = 4  # integers 4, 9, 14, 19, … are held out: source 003's own 9 is among them
LARGEST_INTEGER = 99
LARGEST_MONTH = 12

Pair = tuple[str, str]  # the larger (newer, later) first


def integers(held_out: bool, largest: int = LARGEST_INTEGER) -> list[int]:
    """The whole parts that items of a part may use, from 1."""
    return [number for number in range(1, largest + 1) if (number % 5 == HELD_OUT_REMAINDER) == held_out]


def trap(whole: int, order: random.Random) -> Pair:
    """9.9 and 9.11: the shorter is larger, though its fraction read as a whole number is smaller."""
    tenths = order.randint(2, 9)
    return f"{whole}.{tenths}", f"{whole}.{order.randint(1, tenths - 1)}{order.randint(1, 9)}"


def near(whole: int, order: random.Random) -> Pair:
    """9.9 and 9.19, 9.2 and 9.15: the trap where both end alike, or where the tenths are neighbours."""
    tenths = order.randint(2, 9)
    if order.random() < 0.5:
        return f"{whole}.{tenths}", f"{whole}.{tenths - 1}{order.randint(1, 9)}"
    return f"{whole}.{tenths}", f"{whole}.1{tenths}"


def longer(whole: int, order: random.Random) -> Pair:
    """9.91 and 9.8: always choosing the shorter number is wrong."""
    tenths = order.randint(1, 8)
    return f"{whole}.{order.randint(tenths + 1, 9)}{order.randint(1, 9)}", f"{whole}.{tenths}"


def equal(whole: int, order: random.Random) -> Pair:
    """9.42 and 9.17: both have the same number of digits."""
    high, low = order.sample(range(11, 100), 2) if order.random() < 0.7 else order.sample(range(1, 10), 2)
    return f"{whole}.{max(high, low)}", f"{whole}.{min(high, low)}"


def negative(whole: int, order: random.Random) -> Pair:
    """-9.11 and -9.9: the trap reversed."""
    high, low = trap(whole, order)
    return f"-{low}", f"-{high}"


def either(whole: int, order: random.Random) -> Pair:
    """A trap, or its control of the longer number."""
    return (trap if order.random() < 0.5 else longer)(whole, order)


def version(whole: int, order: random.Random) -> Pair:
    """Version 9.11 comes after 9.9: the parts are whole numbers."""
    return f"{whole}.{order.randint(10, 29)}", f"{whole}.{order.randint(3, 9)}"


def date(whole: int, order: random.Random) -> Pair:
    """The 11th comes after the 9th, and November after September: one order for day.month and month.day."""
    return f"{whole}.{order.randint(10, LARGEST_MONTH)}", f"{whole}.{order.randint(2, 9)}"


MAKERS: dict[str, Callable[[int, random.Random], Pair]] = {
    "trap": trap,
    "near": near,
    "longer": longer,
    "equal": equal,
    "negative": negative,
    "money": either,
    "percent": either,
    "version": version,
    "date": date,
}
GROUPS = (*MAKERS, "whole")
BY_TEXT = ("version", "date")  # 9.1 and 9.10 are two of these, and one decimal


def twin(whole: int, order: random.Random) -> Pair:
    """A pair of versions or dates as decimals: 9.9 and 9.11 again, so that the words alone tell which is meant."""
    maker = version if whole > LARGEST_MONTH or order.random() < 0.5 else date
    later, earlier = maker(whole, order)
    return earlier, later


def draw(group: str, held_out: bool, order: random.Random) -> Pair:
    """A pair of the group over integers of the part; half of training's traps are twins of versions and dates."""
    if group == "trap" and not held_out and order.random() < 0.5:
        return twin(order.choice(integers(held_out, order.choice((LARGEST_MONTH, LARGEST_INTEGER)))), order)
    if group == "whole":  # 10.1 and 9.87: the fraction is misleading
        high, low = order.sample(integers(held_out), 2)
        return f"{max(high, low)}.{order.randint(1, 4)}", f"{min(high, low)}.{order.randint(51, 99)}"
    return MAKERS[group](order.choice(integers(held_out, LARGEST_MONTH if group == "date" else LARGEST_INTEGER)), order)
