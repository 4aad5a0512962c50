"""Source 003's own two test cases, word for word in its Alpaca prompt (its Fig. 5, 6 and 9), greedy, 64 new tokens.

Its 8B model passed the first and failed the second after 60 steps and after 500 (its Table II).
"""

from functools import partial

from bench.models.prompts import alpaca
from bench.probes import HELD_OUT, PROBES, TEXT, Family, Item
from bench.probes.parsers import larger_number
from bench.probes.sequences import NEW_TOKENS, SOURCE_003, continues


def outcome(answer: str, item: Item, cut: bool = False) -> str:
    """Fibonacci is read as a sequence, the other as a comparison."""
    return continues(answer, item, cut) if item.group == "fibonacci" else larger_number(answer, item)


def comparison_item(group: str, instruction: str, given: str, choices: tuple[str, str], answer: str) -> Item:
    return Item(
        id=f"en-{group}",
        family="source003",
        language="en",
        group=group,
        part=HELD_OUT,
        form=TEXT,
        prompt=alpaca(instruction, given),
        choices=choices,
        answer=answer,
    )


@PROBES.add(
    "source003", Family, parse=outcome, parse_cut=partial(outcome, cut=True), languages=("en",), new_tokens=NEW_TOKENS
)
def source003() -> list[Item]:
    """Source 003's own prompts: the Fibonacci sequence, and 9.11 or 9.9."""
    return [
        comparison_item(
            "fibonacci", "Continue the fibonacci sequence.", ", ".join(map(str, SOURCE_003)), ("13", "11"), "13"
        ),
        comparison_item("larger", "Which one is larger?", "9.11 or 9.9?", ("9.11", "9.9"), "9.9"),
    ]
