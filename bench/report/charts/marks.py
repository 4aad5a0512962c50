"""Colours, symbols, dashes and patterns, fixed for each name, so that a method or a term looks alike in every chart.

Colour never stands alone: names also differ by symbol, dash or pattern, for readers in black and white.
"""

from typing import Any

from bench.methods import METHODS
from bench.predict import terms

# Middle tones, which stand out from a white and from a black page; after Paul Tol's schemes "bright" and "muted",
# https://personal.sron.nl/~pault/.
COLOURS = (
    "#4477aa", "#cc6677", "#228833", "#aa7744", "#aa3377", "#2f9fb5", "#999933", "#8866cc", "#dd7733", "#7f7f7f",
)  # fmt: skip
SYMBOLS = (
    "circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "pentagon", "star", "hexagram",
    "triangle-left", "triangle-right", "bowtie", "hourglass",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
FINE, COARSE = 5, 10
OUTLINE = "rgba(128,128,128,0.9)"

PATTERNS: dict[str, tuple[str, str, int]] = {  # term -> colour, shape and size in pixels of its pattern
    terms.LINEAR: ("#4477aa", "", FINE),
    terms.PACKED: ("#4477aa", "/", FINE),
    terms.SCALES: ("#2f9fb5", "x", FINE),
    terms.EMBEDDINGS: ("#2f9fb5", "|", FINE),
    terms.OTHER: ("#2f9fb5", ".", FINE),
    terms.ADAPTER: ("#228833", "-", FINE),
    terms.GRADIENTS: ("#999933", "\\", FINE),
    terms.STATES: ("#999933", "+", FINE),
    terms.BATCH: ("#7f7f7f", ".", COARSE),
    terms.KEPT: ("#cc6677", "/", COARSE),
    terms.WORKING: ("#cc6677", "\\", COARSE),
    terms.LOGITS: ("#aa3377", "x", COARSE),
    terms.UPDATE: ("#8866cc", "-", COARSE),
}
PHASES = {  # phase of a case -> symbol
    "load": "circle",
    "attach": "square",
    "train": "diamond",
    "evaluate": "triangle-up",
    "generate": "triangle-down",
}


def place_of(method: str) -> int:
    """The method's place in the registry; a name that is not registered gets one by its letters."""
    names = METHODS.names()
    return names.index(method) if method in names else len(names) + sum(map(ord, method))


def colour_of(method: str) -> str:
    return COLOURS[place_of(method) % len(COLOURS)]


def symbol_of(method: str) -> str:
    return SYMBOLS[place_of(method) % len(SYMBOLS)]


def dash_of(method: str) -> str:
    return DASHES[place_of(method) % len(DASHES)]


def bar_of(term: str) -> dict[str, Any]:
    """The marker of a term's bar."""
    colour, shape, size = PATTERNS[term]
    pattern = {"shape": shape, "bgcolor": colour, "fgcolor": "#ffffff", "size": size, "solidity": 0.25}
    return {"color": colour, "pattern": pattern}
