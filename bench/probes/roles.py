"""The role of a number in a clause: its subject, the number that it is compared with, or excluded by "not".

In "9.9 is larger than 9.11", 9.9 is the subject and is compared with 9.11; "9.9, not 9.11" excludes 9.11.
"""

import re
from functools import cache

from bench.probes.folding import VOWEL_SIGNS
from bench.probes.marking import MARK, NAMES
from bench.probes.words import Words

CHINESE = "\u4e00-\u9fff"
THAT = re.compile(r"que\b|qu'")  # Spanish and French: "than" behind a comparison, and "that" elsewhere
PUNCTUATION = " \t.,;:!-–—…।،。，！：()'"


def without_pairs(clause: str, words: Words) -> str:
    """The clause without "9.11 and 9.9", where it names a number besides."""
    joined = rf"⟨[AB]⟩[^⟨⟩\w]*(?:{words.both.pattern}|,)[^⟨⟩\w]*⟨[AB]⟩"
    if len(MARK.findall(clause)) <= 2:
        return clause
    return re.sub(joined, lambda match: " " * len(match[0]), clause)


def open_marks(clause: str, words: Words) -> list[tuple[int, int]]:
    """The places of the choices that are neither compared with nor excluded."""
    marks = []
    for match in MARK.finditer(clause):
        if match[1] in NAMES and not is_compared(match, clause, words) and not is_left_out(match, clause, words):
            marks.append((match.start(), NAMES.index(match[1])))
    return marks


def is_compared(match: re.Match[str], clause: str, words: Words) -> bool:
    """Whether another number is compared with the marked one."""
    behind = clause[match.end() :].lstrip()
    return is_object(clause[: match.start()], words) or bool(words.than_after.match(behind))


def is_object(before: str, words: Words) -> bool:
    """Whether a number behind the text is compared with: "mayor que 9,11", and not "diría que 9,11 es mayor"."""
    found = object_before(words).search(before)
    if not found or not THAT.match(found[0]):
        return bool(found)
    return any(
        use.search(before, 0, found.start()) for use in (words.greater, words.smaller, words.after, words.before)
    )


@cache
def object_before(words: Words) -> re.Pattern[str]:
    """What ends a text whose next number is compared with."""
    uses = (words.than, words.exceeds, words.trails, words.after, words.before)
    return re.compile(f"(?:{'|'.join(use.pattern for use in uses)}){up_to_number(words)}")


@cache
def leaves_out(words: Words) -> re.Pattern[str]:
    """What ends a text whose next number is denied."""
    return re.compile(f"(?:{words.no.pattern}){up_to_number(words)}")


def up_to_number(words: Words) -> str:
    """What may stand between a word and the number that it is about; Chinese writes it without spaces."""
    letter = rf"[^\W\d_{CHINESE}]"
    return (
        rf"(?:[^\w⟨⟩:]*(?<!{letter})(?<![{VOWEL_SIGNS}])(?:{words.filler.pattern})(?!{letter}|[{VOWEL_SIGNS}]))*"
        r"[^\w⟨⟩:]*$"
    )


def denied_choices(clause: str, words: Words) -> list[int]:
    """The choices that are denied by themselves, as in "not 9.11"."""
    marks = (match for match in MARK.finditer(clause) if match[1] in NAMES)
    return [NAMES.index(match[1]) for match in marks if is_left_out(match, clause, words)]


def is_left_out(match: re.Match[str], clause: str, words: Words) -> bool:
    """Whether a denying word stands before the number, or behind it and nothing else, as in Hindi."""
    behind = clause[match.end() :].lstrip()
    after = words.no.match(behind)
    alone = after and not behind[after.end() :].strip(PUNCTUATION)
    return bool(alone or leaves_out(words).search(clause[: match.start()]))
