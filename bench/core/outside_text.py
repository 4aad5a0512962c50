"""Escapes that make text from outside safe to show: labels, models' answers, reasons, file names, exception messages.

Data, models and stored records may hold terminal codes, HTML or characters that reverse the direction of a line.
Stored text stays unchanged; all text that is shown passes through here.
"""

import json
import re
import unicodedata

JOINERS = "\u200c\u200d"  # invisible, but some scripts and emoji cannot be written without them
SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"  # format characters that are visible
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters, marks and symbols that are invisible
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, formats such as bidi overrides, lone surrogates, line ends
LAST_OF_A_PLANE = (0xFFFE, 0xFFFF)  # not characters, and not allowed in XML
IN_MARKDOWN = (  # in this order, so that an added backslash is not escaped again
    (re.compile(r"([\\`\[\]|*~$])"), r"\\\1"),  # an escape, code, a link, the end of a cell, emphasis, a formula
    (re.compile(r"(?<![^\W_])_|_(?![^\W_])"), r"\_"),  # emphasis at a word's edge, but not inside a word
    (re.compile(r"&(?=[#\w])"), "&amp;"),  # an entity may stand for any character
    (re.compile(r"<(?=[A-Za-z/!?])"), "&lt;"),  # HTML; "p < 0.05" is not HTML
    (re.compile(r"@(?=\w)|#(?=\d)"), r"\g<0><!-- -->"),  # GitHub notifies people and links issues, entities or not
    (re.compile(r"://"), "&#58;//"),  # GitHub links bare addresses
    (re.compile(r"\bwww\.", re.IGNORECASE), "www&#46;"),
)


def is_hidden(character: str) -> bool:
    """Whether a reader would not see the character, but a terminal, a page or an XML parser may act on it."""
    if character in JOINERS or character in SIGNS:
        return False
    category = unicodedata.category(character)
    return character in BLANKS or category in HIDDEN or ord(character) & 0xFFFF in LAST_OF_A_PLANE


def escape(character: str) -> str:
    """The character's escape, as Python writes it: \\x1b, \\u202e."""
    if character.isascii():
        return f"\\x{ord(character):02x}"
    return character.encode("ascii", "backslashreplace").decode()


def for_terminal(text: str) -> str:
    """The text on one line: tabs and line ends are spaces, other hidden characters are spelled out."""
    if text.isprintable() and BLANKS.isdisjoint(text):
        return text
    line = re.sub(r"\r\n|\n|\t", " ", text)
    return "".join(escape(one) if is_hidden(one) else one for one in line)


def lines_for_terminal(text: str) -> str:
    """The same for a text of several lines, which keeps its line ends."""
    return "\n".join(for_terminal(line) for line in text.split("\n"))


def for_markdown(text: str) -> str:
    """The text as part of a line of Markdown, for example a table's cell, so that nothing in it is markup."""
    shown = for_terminal(text)
    for pattern, replacement in IN_MARKDOWN:
        shown = pattern.sub(replacement, shown)
    return shown


def json_for_terminal(text: str) -> str:
    """JSON that means the same, its hidden characters escaped; JSON itself escapes only those below a space."""
    return "".join(json.dumps(one)[1:-1] if one != "\n" and is_hidden(one) else one for one in text)
