"""docs/architecture.md names files, functions and rooms that exist."""

import ast
import re
from functools import cache

import pytest

from bench.core.paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:bench|tests|suites|fixtures)/[\w/.]*(?::[\w.]+)?)`", PAGE)))
LINKS = sorted(set(re.findall(r"\]\(([\w./-]+)\)", PAGE)))
QUESTIONS = (
    "Where is the loss of a step computed?",
    "Where would a new executor go?",
    "What decides that a claim is refuted?",
    "Which modules may import torch?",
    "Why was this case not run?",
)


@cache
def definitions(path: str) -> set[str]:
    """The names that the file defines at its top, and those of its classes as Class.name."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return set(names_of(tree)) | {
        f"{node.name}.{name}" for node in tree.body if isinstance(node, ast.ClassDef) for name in names_of(node)
    }


def names_of(parent):
    for node in parent.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("named", NAMED)
def test_what_the_page_names_is_there(named):
    path, _, name = named.partition(":")
    assert (ROOT / path).exists(), f"docs/architecture.md names {path}, which does not exist"
    assert not name or name in definitions(path), f"docs/architecture.md names {name}, which {path} does not define"


@pytest.mark.parametrize("link", LINKS)
def test_links_lead_somewhere(link):
    assert (ROOT / "docs" / link).exists()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_newcomers_question_is_answered_with_a_file_and_a_name(question):
    answer = PAGE.partition(f"### {question}\n")[2].partition("\n### ")[0]
    assert re.search(r"`(?:bench|tests)/[\w/]+\.py:[\w.]+`", answer), f"docs/architecture.md does not answer {question}"


def test_the_page_names_every_room():
    rooms = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    assert {room for room in rooms if f"bench/{room}" not in PAGE} == set()
