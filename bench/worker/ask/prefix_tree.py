"""Prefix trees of token sequences: a shared beginning is stored once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

ROOT = -1  # the parent of what a sequence begins with


@dataclass
class PrefixTree:
    """Nodes in preorder, each a token after its ancestors. A run's ancestors are in it, or are its first node's.

    depths: how many ancestors a node has. ends: the last node of each sequence, in the order that they were given in.
    children: a node by its parent and its token.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    children: dict[tuple[int, int], int] = field(default_factory=dict)

    def path(self, node: int) -> list[int]:
        """The node's ancestors from the root on, and the node."""
        found = []
        while node != ROOT:
            found.append(node)
            node = self.parents[node]
        return found[::-1]

    def add(self, token: int, parent: int) -> int:
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(0 if parent == ROOT else self.depths[parent] + 1)
        self.children[parent, token] = node = len(self.tokens) - 1
        return node


def prefix_tree(sequences: Sequence[list[int]]) -> PrefixTree:
    """The tree of these sequences, none of them empty."""
    tree = PrefixTree(ends=[ROOT] * len(sequences))
    before: list[int] = []
    path: list[int] = []
    for at in sorted(range(len(sequences)), key=lambda at: sequences[at]):  # alphabetically, which makes it preorder
        sequence = sequences[at]
        del path[common_length(before, sequence) :]
        for token in sequence[len(path) :]:
            path.append(tree.add(token, path[-1] if path else ROOT))
        tree.ends[at], before = path[-1], sequence
    return tree


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning."""
    same = (at for at, (token, its) in enumerate(zip(one, other, strict=False)) if token != its)
    return next(same, min(len(one), len(other)))
