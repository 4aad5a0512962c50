"""Batches: every example once, padded or packed as the recipe says, and counted right."""

from dataclasses import replace

import pytest
import torch
from tiny_trainees import PAD, TINY, TINY_DECODERS, tiny_batching, tiny_examples, tiny_recipe, tiny_trainee

from bench.core.recipe import MULTIPLE
from bench.tasks import IGNORE, Example
from bench.worker.train.batches import collate, collate_packed, pack
from bench.worker.train.losses import summed_loss
from bench.worker.train.steps import Step, heaviest

SHORT = Example("short", [11, 12, 13], [IGNORE, 12, 13])
LONG = Example("long", [21, 22, 23, 24, 25], [21, IGNORE, 23, 24, 25])
PACKED_CLOSE = 1e-5  # of sums that are ordered otherwise in float32
MANY = 150  # more than the 32 batches of four that are sorted together


def batching(model="tiny_llama", **overrides):
    return tiny_batching(model, tiny_recipe(model, **overrides))


def flat(batches):
    return [example.key for batch in batches for example in batch]


def packed_keys(batches):
    return [example.key for batch in batches for row in batch for example in row]


def keys(examples):
    return sorted(example.key for example in examples)


def test_short_rows_are_padded_to_a_multiple_of_eight():
    batch = batching().one([SHORT, LONG])
    assert batch.input_ids.tolist() == [[11, 12, 13, *[PAD] * 5], [21, 22, 23, 24, 25, *[PAD] * 3]]
    assert batch.labels.tolist() == [[IGNORE, 12, 13, *[IGNORE] * 5], [21, IGNORE, 23, 24, 25, *[IGNORE] * 3]]
    assert batch.attention_mask.tolist() == [[1] * 3 + [0] * 5, [1] * 5 + [0] * 3]


@pytest.mark.parametrize("size", range(1, 26))
def test_padded_length_is_the_least_multiple(size):
    batch = batching().one([Example("e", [9] * size, [9] * size)])
    assert batch.input_ids.shape[1] % MULTIPLE == 0
    assert 0 <= batch.input_ids.shape[1] - size < MULTIPLE


def test_fixed_shape_pads_to_the_longest_allowed():
    assert batching(padding="max_length", max_length=20).one([SHORT]).input_ids.shape == (1, 20)


def test_ids_are_taken_modulo_the_vocabulary():
    batch = collate([Example("e", [263, 264, 600], [0, 0, 0])], 50_000, 264, 0, False)
    assert batch.input_ids.tolist() == [[263, 0, 72, *[50_000 % 264] * 5]]


def test_labels_are_taken_modulo_the_vocabulary_and_ignored_ones_stay():
    made = batching()
    words = made.vocabulary
    example = Example("far", [1, 2, words + 3], [IGNORE, words + 2, words + 3])
    packed = replace(made, recipe=replace(made.recipe, packing=True))
    for batch in (made.one([example]), packed.collate([[example]])):
        assert batch.labels[0, :3].tolist() == [IGNORE, 2, 3]


@pytest.mark.parametrize("overrides", [{}, {"padding": "max_length"}, {"packing": True}], ids=str)
@pytest.mark.parametrize("model", TINY)
def test_extent_is_that_of_the_collated_batch(model, overrides):
    if overrides.get("packing") and model not in TINY_DECODERS:
        pytest.skip("only a decoder's rows are packed")
    made = batching(model, **overrides)
    for items in made.epoch(tiny_examples(model), 0, 0):
        batch, extent = made.collate(items), made.extent(items)
        assert (extent.rows, extent.length) == tuple(batch.input_ids.shape)
        assert extent.scored == batch.scored
        assert extent.positions == batch.input_ids.numel()
        assert extent.whole == bool(batch.attention_mask.all() and batch.position_ids is None)


def test_row_of_one_full_example_is_whole():
    made = batching(packing=True, max_length=3)
    assert made.extent([[SHORT], [SHORT]]).whole
    assert not made.extent([[SHORT], [replace(SHORT, input_ids=[11, 12], labels=[IGNORE, 12])]]).whole


def test_heaviest_batches_are_the_longest_and_the_fullest():
    wide = Example("wide", [9] * 20, [IGNORE] * 18 + [9, 9])
    dense = Example("dense", [9] * 12, [9] * 12)
    whole = Example("whole", [9] * 8, [9] * 8)
    made = batching()
    steps = [Step(1, [[wide], [SHORT]]), Step(1, [[dense], [whole]])]
    assert heaviest(made, steps) == [made.extent([wide]), made.extent([dense]), made.extent([whole])]
    assert heaviest(made, [Step(1, [[SHORT]])]) == [made.extent([SHORT])]


@pytest.mark.parametrize(("model", "scored"), [("tiny_bert", 6), ("tiny_llama", 5)])
def test_tokens_and_scored_labels_are_counted(model, scored):
    batch = batching(model).one([SHORT, LONG])  # a causal model cannot predict LONG's first label
    assert (batch.tokens, batch.scored) == (8, scored)


def test_packing_keeps_order_and_never_overflows():
    rows = list(pack(tiny_examples(count=30), 40))
    assert [example.key for row in rows for example in row] == [example.key for example in tiny_examples(count=30)]
    assert max(sum(map(len, row)) for row in rows) <= 40


def test_packing_fills_a_row_before_the_next_begins():
    rows = list(pack([SHORT, LONG, SHORT, SHORT], 8))
    assert [[example.key for example in row] for row in rows] == [["short", "long"], ["short", "short"]]


def test_packed_rows_start_positions_again():
    batch = collate_packed([[SHORT, LONG]], PAD, 264, 10)
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 2, 3, 4, 0, 1]]
    assert batch.input_ids.tolist() == [[11, 12, 13, 21, 22, 23, 24, 25, PAD, PAD]]
    assert (batch.tokens, batch.scored) == (8, 5)


def test_packed_rows_never_predict_across_examples():
    labels = collate_packed([[SHORT, LONG]], PAD, 264, 10).labels
    assert labels.tolist() == [[IGNORE, 12, 13, IGNORE, IGNORE, 23, 24, 25, IGNORE, IGNORE]]


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_packed_loss_is_that_of_separate_rows(model):
    trainee = tiny_trainee(model, recipe=tiny_recipe(model, packing=True, max_length=64))
    rows = list(pack(tiny_examples(model, 8), 64))
    packed = trainee.batching.collate(rows)
    with torch.no_grad():
        together = summed_loss(trainee.model(**packed.inputs()).logits, packed.labels, True)
        alone = [trainee.batching.one([example]) for row in rows for example in row]
        apart = sum(summed_loss(trainee.model(**one.inputs()).logits, one.labels, True) for one in alone)
    assert float(together) == pytest.approx(float(apart), rel=PACKED_CLOSE)
    assert packed.scored == sum(one.scored for one in alone)


@pytest.mark.parametrize("bucketing", [True, False])
@pytest.mark.parametrize("model", TINY)
def test_an_epoch_has_every_example_once(model, bucketing):
    examples = tiny_examples(model, MANY)
    batches = batching(model, length_bucketing=bucketing).epoch(examples, seed=0, epoch=0)
    assert sorted(flat(batches)) == keys(examples)
    assert len(batches) == -(-MANY // 4)


def test_a_packed_epoch_has_every_example_once():
    examples = tiny_examples(count=MANY)
    batches = batching(packing=True).epoch(examples, seed=0, epoch=0)
    assert sorted(packed_keys(batches)) == keys(examples)


def test_bucketing_leaves_less_padding():
    examples = tiny_examples(count=MANY)
    rows = [batching(length_bucketing=on) for on in (True, False)]
    bucketed, plain = (sum(way.one(b).input_ids.numel() for b in way.epoch(examples, 0, 0)) for way in rows)
    assert bucketed < 0.9 * plain


def test_bucketing_does_not_go_from_short_to_long():
    batches = batching().epoch(tiny_examples(count=MANY), 0, 0)
    longest = [max(map(len, batch)) for batch in batches]
    assert longest != sorted(longest)


@pytest.mark.parametrize("overrides", [{}, {"length_bucketing": False}], ids=["bucketed", "plain"])
def test_seed_and_epoch_fix_the_order(overrides):
    examples, way = tiny_examples(count=MANY), batching(**overrides)
    first = flat(way.epoch(examples, 0, 0))
    assert flat(way.epoch(examples, 0, 0)) == first
    assert flat(way.epoch(examples, 0, 1)) != first
    assert flat(way.epoch(examples, 1, 0)) != first


def test_making_an_epoch_leaves_the_examples_as_they_were():
    examples = tiny_examples()
    batching().epoch(examples, 0, 0)
    assert examples == tiny_examples()


def test_evaluation_gives_every_index_once_with_its_example():
    examples = tiny_examples(count=13)
    pairs = list(batching(evaluation_batch_size=4).evaluation(examples))
    assert sorted(index for indices, _ in pairs for index in indices) == list(range(13))
    lengths = [batch.attention_mask.sum(1).tolist() for _, batch in pairs]
    assert lengths == [[len(examples[index]) for index in indices] for indices, _ in pairs]
