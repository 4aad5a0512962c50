"""Prefix trees: what sequences begin with alike stands there once, and a run of nodes needs little from before it."""

import pytest

from bench.worker.ask.prefix_tree import prefix_tree

SEQUENCES = [[1, 2, 3], [1, 2], [4], [1, 2, 5, 6], [1, 7], [1, 2, 3]]


def tokens_of(tree, nodes):
    return [tree.tokens[node] for node in nodes]


def test_every_sequence_is_a_path():
    tree = prefix_tree(SEQUENCES)
    assert [tokens_of(tree, tree.path(end)) for end in tree.ends] == SEQUENCES
    assert tree.ends[0] == tree.ends[5]


def test_a_beginning_stands_there_once():
    tree = prefix_tree(SEQUENCES)
    beginnings = {tuple(sequence[:length]) for sequence in SEQUENCES for length in range(1, len(sequence) + 1)}
    paths = [tuple(tokens_of(tree, tree.path(node))) for node in range(len(tree.tokens))]
    assert sorted(paths) == sorted(beginnings)
    assert tree.depths == [len(path) - 1 for path in paths]
    assert [tree.children[tree.parents[node], tree.tokens[node]] for node in range(len(paths))] == list(
        range(len(paths))
    )


@pytest.mark.parametrize("start", range(7))
def test_ancestors_of_a_run_are_in_it_or_its_firsts(start):
    tree = prefix_tree(SEQUENCES)
    above = tree.path(start)[:-1]
    for node in range(start, len(tree.tokens)):
        outside = [one for one in tree.path(node) if one < start]
        assert outside == above[: len(outside)]
