"""A red test of the suites reads without its source: every assertion says what was compared."""

import ast

import pytest

from bench.core.paths import SUITES

FEWEST_WORDS = 4


def assertions():
    for path in sorted(SUITES.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assert):
                yield pytest.param(node, id=f"{path.name}:{node.lineno}")


def fixed_text(message):
    """The words of a message that stand in the source; a call's are those of the function that it names."""
    return " ".join(
        node.value for node in ast.walk(message) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_suites_assert_something():
    assert len(list(assertions())) > 30


@pytest.mark.parametrize("node", list(assertions()))
def test_assertion_has_a_sentence(node):
    assert node.msg is not None, f"`{ast.unparse(node.test)}` has no message"
    is_call = isinstance(node.msg, ast.Call)  # of a function that makes the sentence for several assertions
    assert is_call or len(fixed_text(node.msg).split()) >= FEWEST_WORDS, ast.unparse(node.msg)
