"""A split that does not leak: rows with the same text, or nearly the same, are all trained on or all held out.

Texts are compared by their words, without case, punctuation and white space. Two texts are nearly the same if nine
tenths of their words are shared (ALIKE, by Jaccard's measure of the two sets of words). Which texts are held out
follows from their own hash alone, so that it depends neither on a seed nor on the order of the rows.
"""

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

ALIKE = 0.9  # share of words: one word in twenty may differ, none in eight
HELD_OUT_SHARE = 0.1
HELD_OUT_LIMIT = 500  # rows; more would only cost time


def words_of(text: str) -> tuple[str, ...]:
    """The text's words in lower case; the text itself if it has none."""
    return tuple(re.findall(r"\w+", text.casefold())) or (text,)


def group_texts(texts: Sequence[str]) -> list[int]:
    """A group number for each text. Texts that are nearly the same, directly or through others, share a number."""
    words = [words_of(text) for text in texts]
    places = {one: place for place, one in enumerate(dict.fromkeys(words))}
    groups = list(range(len(places)))

    def first_of(place: int) -> int:
        while groups[place] != place:
            groups[place] = place = groups[groups[place]]
        return place

    for one, other in similar_pairs([frozenset(one) for one in places]):
        groups[max(first_of(one), first_of(other))] = min(first_of(one), first_of(other))
    return [first_of(places[one]) for one in words]


def similar_pairs(sets: Sequence[frozenset[str]]) -> list[tuple[int, int]]:
    """Pairs of sets that share ALIKE of their words, by number.

    Both sets of such a pair contain a common rare word: in a set of n words, rarest first, it is among the first
    n - ALIKE n + 1 (prefix filtering, as in Bayardo et al. 2007). So few pairs are left to compare.
    """
    counts = Counter(word for one in sets for word in one)
    lists: dict[str, list[int]] = defaultdict(list)
    found = []
    for number in sorted(range(len(sets)), key=lambda number: len(sets[number])):
        own = sets[number]
        rarest = sorted(own, key=lambda word: (counts[word], word))[: len(own) - math.ceil(ALIKE * len(own)) + 1]
        candidates = {other for word in rarest for other in lists[word]}
        for other in candidates:
            shared = len(own & sets[other])
            if shared >= ALIKE * (len(own) + len(sets[other]) - shared):
                found.append((other, number))
        for word in rarest:
            lists[word].append(number)
    return found


def held_out_rows(texts: Sequence[str], needed: Sequence[Collection[str]] = ()) -> set[int]:
    """The numbers of the rows to hold out: a tenth of them, or HELD_OUT_LIMIT if that is less.

    A group of rows that are nearly the same is never divided, so there may be up to twice as many.

    needed: values of each row, such as labels, that training must see. A group with the last row of a value trains.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for number, group in enumerate(group_texts(texts)):
        groups[group].append(number)
    wanted = min(max(1, round(HELD_OUT_SHARE * len(texts))), HELD_OUT_LIMIT)
    left = Counter(one for row in needed for one in set(row))
    chosen: set[int] = set()
    for rows in sorted(groups.values(), key=lambda rows: min(digest(texts[number]) for number in rows)):
        taken = Counter(one for number in rows if needed for one in set(needed[number]))
        if len(chosen) + len(rows) > 2 * wanted or any(taken[one] >= left[one] for one in taken):
            continue
        chosen.update(rows)
        left -= taken
        if len(chosen) >= wanted:
            break
    return chosen if len(chosen) < len(texts) else set()


def digest(text: str) -> str:
    return hashlib.sha256(" ".join(words_of(text)).encode(errors="surrogatepass")).hexdigest()


def leaking_rows(train: Sequence[str], held_out: Sequence[str]) -> set[int]:
    """The numbers of the held-out texts that are nearly the same as a training text."""
    groups = group_texts([*train, *held_out])
    trained = set(groups[: len(train)])
    return {number for number, group in enumerate(groups[len(train) :]) if group in trained}
