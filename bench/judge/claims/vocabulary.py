"""The words a claim may use: quantities with their dimension, units with their factor, comparators.

A claim's value times its unit's factor is in the dimension's base unit: bytes, seconds, a fraction of 1.
"""

QUANTITIES = {
    "trainable_parameters": "parameters",
    "total_parameters": "parameters",
    "trainable_share": "fraction",
    "precision": "fraction",
    "recall": "fraction",
    "f1": "fraction",
    "accuracy": "fraction",
    "token_accuracy": "fraction",
    "f1_difference": "fraction",
    "accuracy_difference": "fraction",
    "precision_difference": "fraction",
    "recall_difference": "fraction",
    "token_accuracy_difference": "fraction",
    "share_difference": "fraction",
    "epoch_share": "fraction",
    "memory_share": "fraction",
    "loss": "nats",
    "loss_change": "nats",
    "loss_difference": "nats",
    "duration": "time",
    "duration_difference": "time",
    "seconds_per_step": "time",
    "memory": "bytes",
    "memory_difference": "bytes",
    "speedup": "ratio",
    "ratio": "ratio",
    "rows": "rows",
    "label_tokens": "tokens",
    "steps": "steps",
    "batch": "rows",
    "work": "flop",
    "sample_rate": "samples per second",
    "step_rate": "steps per second",
    "relative_change": "fraction",
    "bits_per_parameter": "bits",
    "count": "things",
    "property": "truth",
    "answer": "text",
}
UNITS: dict[str, tuple[str, float]] = {
    "parameters": ("parameters", 1),
    "K parameters": ("parameters", 1e3),
    "M parameters": ("parameters", 1e6),
    "billion parameters": ("parameters", 1e9),
    "fraction": ("fraction", 1),
    "%": ("fraction", 0.01),
    "nats": ("nats", 1),
    "s": ("time", 1),
    "min": ("time", 60),
    "h": ("time", 3600),
    "bytes": ("bytes", 1),
    "kB": ("bytes", 1e3),
    "KiB": ("bytes", 2**10),
    "MB": ("bytes", 1e6),
    "MiB": ("bytes", 2**20),
    "GB": ("bytes", 1e9),
    "GiB": ("bytes", 2**30),
    "TB": ("bytes", 1e12),
    "x": ("ratio", 1),
    "rows": ("rows", 1),
    "tokens": ("tokens", 1),
    "steps": ("steps", 1),
    "FLOP": ("flop", 1),
    "TFLOP": ("flop", 1e12),
    "samples/s": ("samples per second", 1),
    "it/s": ("steps per second", 1),
    "bits": ("bits", 1),
    "in all": ("things", 1),
    "yes/no": ("truth", 1),
    "text": ("text", 1),
}
MISREAD = {"KB": "kB is 1,000 bytes, and KiB is 1,024"}  # what may mean several units
EQUAL, WITHIN = "equal", "within"
AT_LEAST, AT_MOST, ABOVE, BELOW, BETWEEN = "at_least", "at_most", "above", "below", "between"
CONTAINS, LACKS = "contains", "lacks"
NUMERIC = (EQUAL, AT_LEAST, AT_MOST, ABOVE, BELOW, BETWEEN, WITHIN)
COMPARATORS = {"truth": (EQUAL,), "text": (CONTAINS, LACKS)}  # every other dimension: NUMERIC
SIGNS = {EQUAL: "", AT_LEAST: "at least ", AT_MOST: "at most ", ABOVE: "above ", BELOW: "below ",
         BETWEEN: "", WITHIN: "within ± "}  # fmt: skip
SHARES = ("trainable_share", "precision", "recall", "f1", "accuracy", "token_accuracy", "memory_share")  # 0 to 1
DIFFERENCE = "_difference"  # how a quantity ends that is one case's figure less another's
LARGEST_TOLERANCE = 0.5  # of the value: a wider one confirms anything
PARTS: dict[str, dict[str, int]] = {  # of dimensions that are quotients or pure numbers
    "fraction": {},
    "ratio": {},
    "samples per second": {"rows": 1, "time": -1},
    "steps per second": {"steps": 1, "time": -1},
}


def dimension_of(quantity: str) -> str:
    return QUANTITIES[quantity]


def difference_of(quantity: str) -> str:
    """The quantity of a difference between two such figures; empty if there is none."""
    names = [name for name in QUANTITIES if name.endswith(DIFFERENCE) and dimension_of(name) == dimension_of(quantity)]
    of_fractions = [name for name in names if quantity.endswith(name.removesuffix(DIFFERENCE))]
    fitting = of_fractions if dimension_of(quantity) == "fraction" else names
    return max(fitting, key=len, default="")


def parts_of(dimension: str) -> dict[str, int]:
    """The dimension as powers of dimensions that are not quotients; {} for a pure number."""
    return PARTS.get(dimension, {dimension: 1})


def units_of(dimension: str) -> list[str]:
    return [unit for unit, (own, _) in UNITS.items() if own == dimension]


def unit_words(quantity: str) -> str:
    """'s', 'min' or 'h': the units of a quantity, as text"""
    *others, last = [repr(unit) for unit in units_of(dimension_of(quantity))]
    return f"{', '.join(others)} or {last}" if others else last


def figure_text(number: float, unit: str, digits: int = 6) -> str:
    """A figure in base units, as text in this unit with `digits` digits; "yes" or "no" for a truth."""
    if unit == "yes/no":
        return "yes" if number else "no"
    scaled = number / UNITS[unit][1]
    if abs(scaled - round(scaled)) < 1e-9 * max(1.0, abs(scaled)) and abs(scaled) < 1e15:
        text = f"{round(scaled):,}"
    elif 1e-3 <= abs(scaled) < 1e6 or digits > 6:
        text = f"{scaled:,.{digits}g}"
    else:
        text = f"{scaled:.{digits}g}"
    return f"{text}×" if unit == "x" else f"{text}%" if unit == "%" else f"{text} {unit}".removesuffix(" fraction")


def source_figure_text(number: float, unit: str) -> str:
    """A figure as a source prints it: every digit of it."""
    return figure_text(number, unit, digits=12)


def satisfies(observed: float, value: tuple[float, ...], comparator: str, tolerance: float) -> bool:
    """Whether observed stands in the comparator's relation to value; all in base units."""
    slack = tolerance * (1 + 1e-9) + 1e-12 * abs(observed)  # a printed decimal is rounded to a binary fraction
    if comparator == BETWEEN:
        return value[0] - slack <= observed <= value[1] + slack
    if comparator == WITHIN:
        return abs(observed) <= value[0] + slack
    difference = observed - value[0]
    return {
        EQUAL: abs(difference) <= slack,
        AT_LEAST: difference >= -slack,
        AT_MOST: difference <= slack,
        ABOVE: difference > tolerance,
        BELOW: difference < -tolerance,
    }[comparator]
