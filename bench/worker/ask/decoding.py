"""Prefill and greedy decoding of many prompts at once, in the worker.

Prefill dominates on a CPU, so a batch never processes a shared prefix twice, nor padding: prompts and their
continuations form one prefix tree, which is read a run of nodes at a time. Only the caches of rows that are decoded
together are padded. Rows whose answers have ended leave the batch.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.worker.ask.key_value_caches import CACHE_NAME, NodeCache
from bench.worker.ask.prefix_tree import PrefixTree
from bench.worker.build.attention import FUSED, attention_of
from bench.worker.build.precision import autocast
from bench.worker.train.trainee import Trainee

BATCH_SIZE = 64  # rows decoded together
# For small models on a processor, where few rows are slow: SmolLM2's cache takes 1.6 GB then, GPT-2's 2.5 GB.
SMALL_BATCH_SIZE = 256
SMALL_MODEL = 2 * 10**8  # parameters
LEAVING_SHARE = 1 / 8  # of a batch must have ended before those rows leave it, for the others are copied then
NODES_ON_PROCESSOR = 256  # read together: more make products no faster, and attention covers all of them
NODES_ON_CARD = 1024

StoppingCriterion = Callable[[int, list[int]], bool]  # row and its new tokens -> whether that is all


@torch.no_grad()
def forward(
    trainee: Trainee, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, kept: Tensor | int
) -> tuple[Tensor, Any]:
    """Logits (rows, kept, vocabulary) in float32 of the ids at these indices, or of the last so many; and the cache.

    mask: of the cache and ids both, (rows, length), or for each of the ids (rows, 1, ids, length).
    """
    with autocast(trainee.recipe, trainee.device):
        found = trainee.model(
            input_ids=ids.to(trainee.device), attention_mask=mask.to(trainee.device),
            position_ids=positions.to(trainee.device), use_cache=True, logits_to_keep=kept, **{CACHE_NAME: cache},
        )  # fmt: skip
    return found.logits.float().cpu(), getattr(found, CACHE_NAME)


@dataclass
class Reading:
    """A prefix tree that a model has read.

    likeliest: the most likely token after a node; nats: the log-probability of a token after a node.
    """

    trainee: Trainee
    tree: PrefixTree
    cache: NodeCache
    likeliest: dict[int, int] = field(default_factory=dict)
    nats: dict[tuple[int, int], float] = field(default_factory=dict)

    def greedy(self, nodes: Sequence[int], is_whole: StoppingCriterion) -> list[list[int]]:
        """The answer after each of these nodes: the most likely token, again and again until the answer is whole.

        Tokens that were read already are not read again. Uses up the cache.
        """
        known = [self.follow(row, node, is_whole) for row, node in enumerate(nodes)]
        return self.go_on([node for node, _ in known]).greedy([said for _, said in known], is_whole)

    def follow(self, row: int, node: int, is_whole: StoppingCriterion) -> tuple[int, list[int]]:
        """The last known node along a row's answer, and the tokens up to it; never the whole answer."""
        said: list[int] = []
        while not is_whole(row, [*said, token := self.likeliest[node]]):
            child = self.tree.children.get((node, token))
            if child not in self.likeliest:
                break
            node = child
            said.append(token)
        return node, said

    def go_on(self, nodes: Sequence[int]) -> "Rows":
        """A row that continues each of these nodes with its most likely token; uses up the cache."""
        paths = [self.tree.path(node) for node in nodes]
        lengths = torch.tensor([len(path) for path in paths])
        longest = int(lengths.max())
        return Rows(
            trainee=self.trainee,
            tokens=torch.tensor([self.likeliest[node] for node in nodes]),
            cache=self.cache.rows(paths),
            mask=torch.arange(longest) >= longest - lengths[:, None],
            positions=lengths,
        )


def read_tree(trainee: Trainee, tree: PrefixTree, asked: Mapping[int, Collection[int]]) -> Reading:
    """Read the tree. `asked` maps a node to the tokens whose log-probability after it is wanted.

    Raises ValueError for a model whose attention is not FUSED, which would add a tree's mask to its scores, and for a
    prompt that is longer than the attention window.
    """
    if (attention := attention_of(trainee.model)) != FUSED:
        raise ValueError(f"{attention} attention would misread a tree's mask: read it by {FUSED}")
    window = attention_window(trainee.model.config)
    if window and (longest := max(tree.depths) + 1) > window:
        raise ValueError(f"a prompt of {longest:,} tokens is longer than the {window:,} that attention looks back")
    reading = Reading(trainee, tree, NodeCache(len(tree.tokens)))
    many = NODES_ON_PROCESSOR if trainee.device == "cpu" else NODES_ON_CARD
    for start in range(0, len(tree.tokens), many):
        read_run(reading, range(start, min(start + many, len(tree.tokens))), asked)
    return reading


def attention_window(config: Any) -> int:
    """The attention window in tokens, by transformers' configuration; 0 if attention sees everything."""
    kinds = None if config.model_type == "mistral" else getattr(config, "layer_types", None)
    slides = kinds is None or "sliding_attention" in kinds
    return getattr(config, "sliding_window", None) or 0 if slides else 0


def read_run(reading: Reading, nodes: range, asked: Mapping[int, Collection[int]]) -> None:
    """Read a run of nodes after the ancestors of its first, and keep what is asked about them."""
    kept = [node for node in nodes if node in asked]
    tree = reading.tree
    *above, _ = tree.path(nodes.start)
    ids, positions = (torch.tensor([of[nodes.start : nodes.stop]]) for of in (tree.tokens, tree.depths))
    at = torch.tensor([node - nodes.start for node in kept], dtype=torch.long)
    logits, cache = forward(
        reading.trainee, ids, visible(tree, nodes, len(above)), positions, reading.cache.path(above), at
    )
    reading.cache.write(nodes.start, cache, len(above))
    for node, of_node in zip(kept, logits[0], strict=True):
        reading.likeliest[node] = int(of_node.argmax())
        if asked[node]:
            nats = of_node.log_softmax(-1)
            reading.nats.update({(node, token): float(nats[token]) for token in asked[node]})


def visible(tree: PrefixTree, nodes: range, above: int) -> Tensor:
    """What each node of a run sees of its ancestors above the run and of the run: itself and its ancestors.

    (1, 1, nodes, above + nodes), bool.
    """
    found = torch.zeros(len(nodes), above + len(nodes), dtype=torch.bool)
    for row, node in enumerate(nodes):
        parent = tree.parents[node] - nodes.start
        if parent >= 0:
            found[row] = found[parent]
        else:
            found[row, : tree.depths[node]] = True
        found[row, above + row] = True
    return found[None, None]


@dataclass
class Rows:
    """Prompts that were read, each ending at the right of the cache.

    tokens: the next ones, (rows,), at positions (rows,); mask: False where the cache is padding, (rows, length).
    """

    trainee: Trainee
    tokens: Tensor
    cache: Any
    mask: Tensor
    positions: Tensor

    def greedy(self, said: list[list[int]], is_whole: StoppingCriterion) -> list[list[int]]:
        """Each row's answer so far, extended by the most likely token until it is whole.

        The token that ends an answer is its last. Uses up the rows.
        """
        live, ended = list(range(len(said))), set[int]()
        while True:
            for row, token in zip(live, self.tokens.tolist(), strict=True):
                if row not in ended:
                    said[row].append(token)
                    if is_whole(row, said[row]):
                        ended.add(row)
            if len(ended) == len(said):
                return said
            stay = [at for at, row in enumerate(live) if row not in ended]
            if len(live) - len(stay) >= LEAVING_SHARE * len(live):
                live = [live[at] for at in stay]
                self.keep(stay)
            self.step(torch.tensor([row not in ended for row in live]))

    def keep(self, rows: list[int]) -> None:
        """Drop the other rows, from the cache a layer at a time."""
        self.tokens, self.mask, self.positions = self.tokens[rows], self.mask[rows], self.positions[rows]
        self.cache.batch_select_indices(torch.tensor(rows, dtype=torch.long))

    def step(self, going_on: Tensor) -> None:
        """Read the next tokens. Rows that have ended stay at position 0, which every model has."""
        self.mask = torch.cat([self.mask, going_on[:, None]], dim=1)
        positions = (self.positions * going_on)[:, None]
        logits, self.cache = forward(self.trainee, self.tokens[:, None], self.mask, positions, self.cache, 1)
        self.tokens, self.positions = logits[:, -1].argmax(-1), self.positions + 1


def batch_size(trainee: Trainee) -> int:
    """Rows to decode together."""
    small = sum(map(torch.numel, trainee.model.parameters())) < SMALL_MODEL
    return SMALL_BATCH_SIZE if small and trainee.device == "cpu" else BATCH_SIZE


def batches(trainee: Trainee, prompts: Sequence[list[int]], new_tokens: Sequence[int]) -> Iterator[list[int]]:
    """Indices of prompts to answer together: longest answers first, and prompts with a shared beginning together."""
    order = sorted(range(len(prompts)), key=lambda at: (-new_tokens[at], prompts[at]))
    size = batch_size(trainee)
    for start in range(0, len(order), size):
        yield order[start : start + size]
