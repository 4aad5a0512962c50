"""The terms in an answer to a sequence, without the numbers that only explain them.

"17 + 28 = 45" gives 45, "the next 3 terms" none, and "7th: 49" one. A comma or a space between digits may set
thousands apart or separate terms, so there is a reading for either.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from bench.probes.comparing import is_reported
from bench.probes.folding import fold
from bench.probes.numerals import numerals_of
from bench.probes.words import words_in

ONE_PRONOUN = re.compile(
    r"\b(?:next|last|each|every|this|that|these|previous|first|second|new|the|which|any|only|no|another|other) ones?\b"
)
NUMBER = re.compile(r"(?<![\w.^])(?:(?<!\d)-)?\d+(?!\w)")
THOUSANDS = re.compile(r"(?<![\d,])\d{1,3}(?:(?:,\d{3})+|(?:[ \u00a0\u202f]\d{3})+)(?![\d]|,\d)")
RUN = re.compile(r"\d+(?:\s*,\s*\d+){2,}")  # so many terms are an answer
SENTENCES = re.compile(r"(?<=[.!?])(?=\s)|(?<=\n)")
DENIED = re.compile(
    r"(?:\b(?:not|never|wrong|neither|cannot)\b|n't\b)[^⟨⟩,;.:]*⟨A⟩|\bwrong (?:answer|terms?|ones?)\b[^.]*⟨A⟩"
)
UNDECIDED = re.compile(r"\beither\b[^.]*\bor\b")
LARGEST_POWER = 40  # a larger number is not a term of these sequences
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
SIGNS = (
    (re.compile(r"^\s*[*+•‣◦-]\s+(?=\S)", re.MULTILINE), ""),  # a list's bullets
    (re.compile(r"\\(?:boxed|text|mathbf|textbf|mathrm|left|right)(?![a-z])"), " "),
    (re.compile(r"\\(?:times|cdot)(?![a-z])|[×·∙]"), "*"),
    (re.compile(r"\\[,;:! ]"), " "),
    (re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+"), lambda match: "^" + match[0].translate(SUPERSCRIPTS)),
    (re.compile(r"[*_]{2}|[`$\\{}\[\]|]"), ""),
    (re.compile(r"(?<=\d)\.0+(?!\d)"), ""),
    (re.compile(r"[−–—]|-+>|→|=>"), " ; "),
)
OPERATION = r"\d[\d,]*(?:\s*[-+*/x^]\s*\d[\d,]*)+"
EXPLAINS = (
    re.compile(rf"\b(?:since|because|as|for)\s+{OPERATION}\s*=\s*\d+(?:\s*,?\s*(?:and\s+)?{OPERATION}\s*=\s*\d+)*"),
    re.compile(r"\b\d+ (?:and|plus|times) \d+ (?:makes?|is|are|gives?|equals?|sums? to|adds? up to)\b"),
    re.compile(
        r"\b(?:gaps|differences|increments|steps)\b(?: \w+){0,2} (?:are|of|is) \d+(?:(?:,| and|, and) \d+)*"
        r"(?:\D{0,30}\b(?:go on|continue|grow|carry on)\b\D{0,12}\d+(?:(?:,| and|, and) \d+)*)?"
    ),
    re.compile(r"\b(?:difference|ratio|step|factor|increment|gap)\b[^.;:\n\d]{0,40}\b(?:is|of|by|equals)\s*\d+"),
    re.compile(rf"{OPERATION}\s*="),  # 17 + 28 =
    re.compile(rf"(?<=\d)\s*=\s*{OPERATION}"),  # 25 = 5^2
    re.compile(rf"\([^()\d]*{OPERATION}[^()]*\)"),  # (17 + 28)
    re.compile(r"\([^()]*\b(?:squared|cubed|plus|times)\b[^()]*\)"),
    re.compile(r"\b\d+ (?:squared|cubed) (?:is|=|equals)"),
    re.compile(r"\b\d+(?:st|nd|rd|th)\b"),
    re.compile(r"(?:\bterm|\bnumber|\bstep|\bposition|\bn\s*=|#)\s*\d+\s*(?:[:=]|\bis\b)"),
    re.compile(r"\b[a-z]_?\(?\d+\)?\s*="),  # a7 =, f(7) =
    re.compile(
        r"\b\d+ (?:more |next |further |other )?(?:numbers?|terms?|elements?|values?|items?|steps?|times|digits?)\b"
    ),
    re.compile(r"(?<![\d\s])\s*\+\s*\d+"),
    re.compile(
        r"\b(?:add\w*|plus|(?<!followed )by|difference|ratio|increas\w+|multipl\w+|times|step)(?: (?:is|of|by))* \d+"
    ),
    re.compile(
        r"\b(?:first|second|third|last|final|starting|initial|previous) (?:given |shown |known )?"
        r"(?:terms?|numbers?|values?)(?: \w+){0,2} (?:is|are|was|were|of|=) \d+(?:(?:,| and|, and) \d+)*"
    ),
    re.compile(r"\b(?:from|of) \d+ (?:to|through|and) \d+\b"),
)
LIST_NUMBER = re.compile(r"^\s*(\d{1,2})[.)]\s+(?=\D*\d)", re.MULTILINE)
CONCLUDES = re.compile(
    r"\b(?:that makes|that gives|giving|we get|so|therefore|thus|hence|answer|next|continues?|corrects?)\b|:"
)
POWER = re.compile(r"(?<![\w.])(\d+)\s*\^\s*(\d+)")
PRODUCT = re.compile(r"(?<![\w.])(\d+)\s*[*x]\s*(\d+)(?!\s*\^)")
COUNTED = r"\s+(?:before|terms?|numbers?|previous|preceding|prior|of|more|by|to|consecutive|last|values?|times)\b"
SCALED = re.compile(r"(?<![\w.])(\d+)(?:\s+(thousand|million|billion)\b|e(\d{1,2})\b)")  # 5 million, 5e6
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


def readings(text: str, follows: Callable[[list[int]], bool]) -> Iterator[list[int]]:
    """The terms with thousands joined, and without; then those alone that follow the last conclusion or correction.

    follows: whether terms are part of the sequence. What comes before a conclusion may hold no other answer.
    """
    plain = without_explanations(stated_parts(text))
    joined = THOUSANDS.sub(lambda match: re.sub(r"\D", "", match[0]), plain)
    for one in dict.fromkeys((joined, plain)):
        yield apply_corrections(one)
        yield whole_numbers(corrections().split(one)[-1])
        concluded = list(CONCLUDES.finditer(one))
        head = corrections().split(one[: concluded[-1].start()])[-1] if concluded else ""
        if all(follows(whole_numbers(run[0])) for run in RUN.finditer(head)):
            yield apply_corrections(one[concluded[-1].end() :] if concluded else one)


def stated_parts(text: str) -> str:
    """The text without questions, and without sentences that deny, doubt or only report the terms in them."""
    words = words_in("en")
    kept = []
    for sentence in SENTENCES.split(text):
        marked = NUMBER.sub("⟨A⟩", fold(sentence))
        unsaid = DENIED.search(marked) or UNDECIDED.search(marked) or is_reported(marked, words)
        if not (NUMBER.search(sentence) and (unsaid or sentence.rstrip().endswith("?"))):
            kept.append(sentence)
    return "".join(kept)


def whole_numbers(text: str) -> list[int]:
    return [int(number) for number in NUMBER.findall(text)]


def without_explanations(text: str) -> str:
    """The text in plain signs, without numbers that count or explain; numbers in words where it has no digits."""
    text = text.replace("\\(", " ").replace("\\)", " ").replace("\\[", " ").replace("\\]", " ")
    for pattern, sign in SIGNS:
        text = pattern.sub(sign, text)
    text = SCALED.sub(scaled, fold(text))
    text = ONE_PRONOUN.sub(" ", text)
    if not re.search(r"\d", text):
        return with_digits(text)
    text = without_list_numbers(text)
    for pattern in EXPLAINS:
        text = pattern.sub(" ", text)
    text = POWER.sub(lambda match: str(power(int(match[1]), int(match[2]))), text)
    return PRODUCT.sub(lambda match: str(int(match[1]) * int(match[2])), text)


def scaled(match: re.Match[str]) -> str:
    return str(int(match[1]) * (SCALES[match[2]] if match[2] else power(10, int(match[3]))))


def power(base: int, exponent: int) -> int:
    return base ** min(exponent, LARGEST_POWER)


def without_list_numbers(text: str) -> str:
    """The text without line numbers."""
    numbers = [int(number) for number in LIST_NUMBER.findall(text)]
    counted = list(range(numbers[0], numbers[0] + len(numbers))) if len(numbers) > 1 else []
    return LIST_NUMBER.sub("", text) if numbers == counted else text


@cache
def corrections() -> re.Pattern[str]:
    words = words_in("en")
    return re.compile(rf"{words.corrects.pattern}|(?<=[\W])(?:{words.no_alone.pattern})(?=\W)")


def apply_corrections(text: str) -> list[int]:
    """The text's numbers; what follows "sorry" stands for the last one before, or begins anew."""
    parts = corrections().split(text)
    found = whole_numbers(parts[0])
    for part in parts[1:]:
        following = whole_numbers(part)
        if following:
            found = (
                following if following[0] in found[:-1] or len(following) > len(found) else [*found[:-1], *following]
            )
    return found


def with_digits(text: str) -> str:
    """The text with English numbers in digits, up to billions, but for those that count something."""
    names = numerals_of("en")
    word = rf"(?:{names.number}|{'|'.join(SCALES)})"
    between = r"(?:[\s-]+|(?:(?<=hundred)|(?<=thousand))\s+and\s+)"

    def digits(match: re.Match[str]) -> str:
        return str(whole_number(re.findall(word, match[0])))

    return re.sub(rf"(?<!\w){word}(?:{between}{word}\b)*(?!\w)(?!{COUNTED})", digits, text)


def whole_number(words: Sequence[str]) -> int:
    """Its value: "two thousand one hundred eighty-seven" is 2187."""
    total, part = 0, 0
    for word in words:
        if word == "hundred":
            part = max(part, 1) * SCALES[word]
        elif word in SCALES:
            total, part = total + max(part, 1) * SCALES[word], 0
        else:
            part += numerals_of("en").value(word)
    return total + part
