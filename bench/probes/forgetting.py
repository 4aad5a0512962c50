"""Forgetting: the loss on general text that no recipe trains on, base against tuned.

The texts were written for this project, two to five sentences each on varied subjects, four of them not in
English. Nothing is asked or parsed. The figure is nats per token, weighted by tokens.
"""

from bench.probes import GARBLED, LOSS, PROBES, Family, Item
from bench.probes.reading import FOLDER, read_items


def never_parsed(answer: str, item: Item) -> str:
    return GARBLED


@PROBES.add("forgetting", Family, parse=never_parsed, languages=("en", "id", "es", "de", "fr"), kind=LOSS)
def forgetting() -> list[Item]:
    """General text: loss in nats a token, base against tuned."""
    return read_items(FOLDER / "forgetting.jsonl")
