"""A case's own batches, traced in their order."""

import json
import random
from dataclasses import replace

import pytest
from tiny_trainees import labels_of, tiny_examples, tiny_recipe, tiny_trainee

from bench.__main__ import main
from bench.core.case import parse_case
from bench.core.extent import Extent
from bench.core.work import CaseWork
from bench.machine.cards import GIB, MIB, CardKind
from bench.methods import METHODS
from bench.models import MODELS
from bench.predict.card.fit import fit
from bench.predict.card.replay import replay, runs_within, smallest_limit
from bench.predict.question import ask
from bench.predict.storage_log import StorageLog
from bench.predict.terms import Peaks
from bench.predict.trace.course import course_of, steps_of, trace_course
from bench.predict.trace.steps import full_extent, trace, trace_batches
from bench.recipes.of_case import recipe_for
from bench.worker.measure.garbage import without_collection
from bench.worker.measure.memory import LiveStorages
from bench.worker.setup import set_up
from bench.worker.timeline import Timeline
from bench.worker.train import loop
from bench.worker.train.steps import plan_steps

CASE = parse_case("support-tiny_llama-lora-cuda-s0")
RECIPE = recipe_for(CASE, "sample")
GROWING = Peaks({}, StorageLog((GIB, 2 * GIB, ~1, 3 * GIB), 1))  # reserves 6 GiB, can do with 4


def random_log(seed):
    """Storages of 2 to 256 MiB that come and go in no order."""
    order, entries, live = random.Random(seed), [], []
    for _ in range(200):
        if live and order.random() < 0.49:
            entries.append(~live.pop(order.randrange(len(live))))
        else:
            live.append(len(entries))
            entries.append(round(2 ** order.uniform(21, 28)))
    return StorageLog(tuple(entries), 0)


def silently(step):
    """Nobody is told."""


def trained_for_real(model, method, recipe):
    """Steps of bench.worker.train.loop on real tensors: their extents, and the peak of all storages."""
    trainee = tiny_trainee(model, method, recipe)
    steps = plan_steps(trainee.batching, tiny_examples(model), 0)
    with without_collection(), LiveStorages() as storages:
        for tensor in (*trainee.model.parameters(), *trainee.model.buffers()):
            storages.add(tensor.detach())
        for _ in loop.each_step(trainee, steps):
            pass
    return [[trainee.batching.extent(items) for items in step.micro_batches] for step in steps], storages.peak_bytes


@pytest.mark.parametrize("accumulated", [1, 2])
@pytest.mark.parametrize(
    ("model", "method"),
    [("tiny_llama", "lora"), ("tiny_llama", "adalora"), ("tiny_gpt2", "full"), ("tiny_bert", "lora")],
)
def test_its_peak_is_that_of_real_training(model, method, accumulated):
    recipe = tiny_recipe(model, method, gradient_accumulation_steps=accumulated, batch_size=2)
    steps, peak = trained_for_real(model, method, recipe)
    assert len({extent for step in steps for extent in step}) > 1
    found = trace_batches(MODELS[model], METHODS[method], recipe, labels_of(model), steps, silently, device="cpu")
    assert found.peak_bytes == pytest.approx(peak, rel=0.005)


def test_other_lengths_reserve_more_than_the_longest_alone():
    recipe = tiny_recipe("tiny_llama", "lora", max_length=2048)
    lengths = [[Extent(4, length, 4 * length, True)] for length in (512, 1024, 1536, 2048)]
    of_all = trace_batches(MODELS["tiny_llama"], METHODS["lora"], recipe, 0, lengths, silently)
    of_longest = trace_batches(MODELS["tiny_llama"], METHODS["lora"], recipe, 0, lengths[-1:] * 4, silently)
    assert of_all.peak_bytes == pytest.approx(of_longest.peak_bytes, rel=0.01)
    assert replay(of_all.log).reserved_bytes > replay(of_longest.log).reserved_bytes


def test_a_course_is_what_the_run_would_be_given():
    setting = set_up(CaseWork(replace(CASE, device="cpu"), RECIPE), silently, Timeline())
    steps = plan_steps(setting.batching, setting.prepared.train, CASE.seed)
    course = course_of(CASE, RECIPE, None)
    assert course.steps == [[setting.batching.extent(items) for items in step.micro_batches] for step in steps]
    assert course.identity == setting.data["identity"]
    assert course.words.endswith(f"labels, of all steps ({len(steps)})")


def test_a_course_that_is_cut_ends_with_the_steps_of_the_heaviest_batches():
    whole, cut = course_of(CASE, RECIPE, None), course_of(CASE, RECIPE, None, most_steps=2)
    assert cut.steps[:2] == whole.steps[:2]
    assert all(step in whole.steps for step in cut.steps[2:])
    assert max(whole.extents, key=lambda one: (one.positions, one.length, one.scored)) in [
        one for step in cut.steps[2:] for one in step
    ]
    assert cut.words.endswith(
        f"of the first 2 steps and those of the heaviest batches ({len(whole.steps)} steps in all)"
    )


def test_a_heavy_batch_comes_where_gradients_are_there():
    heavy, light = Extent(4, 32, 100, True), Extent(4, 16, 60, True)
    steps = [[heavy, light], [light, light], [light, heavy]]
    assert steps_of([heavy], steps) == [[light, heavy]]
    assert steps_of([heavy, light], steps) == [[light, heavy], [heavy, light]]
    assert steps_of([heavy, heavy], steps) == [[light, heavy]]
    assert steps_of([heavy], [[heavy, light, light, heavy], [light, heavy, light, light]]) == [
        [heavy, light, light, heavy]
    ]


@pytest.mark.parametrize("accumulated", [1, 4])
def test_a_shapes_log_needs_what_several_steps_do(accumulated):
    asked = ask("smollm2_135m", "lora", batch_size=4, max_length=1024, gradient_accumulation_steps=accumulated)
    entry = replace(asked.entry, config={**asked.entry.config, "num_hidden_layers": 2})
    full = full_extent(entry, asked.recipe)
    several = trace_batches(entry, asked.method, asked.recipe, 0, [[full] * accumulated] * 3, silently)
    shape = trace(entry, asked.method, asked.recipe)
    assert shape.peak_bytes == pytest.approx(several.peak_bytes, rel=0.001)
    assert replay(shape.log).reserved_bytes == pytest.approx(replay(several.log).reserved_bytes, rel=0.01)
    assert smallest_limit(shape.log) == pytest.approx(smallest_limit(several.log), rel=0.01)


def test_steps_are_told_of():
    heard = []
    course = replace(course_of(CASE, RECIPE, None), steps=[[Extent(2, 16, 30, True)]] * 2)
    assert trace_course(course, RECIPE, heard.append).peak_bytes > 0
    assert heard == [0, 1]


@pytest.mark.parametrize(
    ("usable_gib", "says"),
    [
        (7, "fits, 1.0 GiB free"),
        (5, "fits, 1.0 GiB free once the allocator gives back its cache"),
        (3.5, "lacks 0.5 GiB"),
    ],
)
def test_a_card_is_judged_by_what_the_allocator_needs(usable_gib, says):
    card = CardKind("toy", "a card", usable_gib, context_bytes=0, workspace_bytes=0)
    assert fit(GROWING, card).says == says
    assert fit(GROWING, card).fits is says.startswith("fits")


@pytest.mark.parametrize("seed", [19, 53, 100])  # a smaller limit runs, a larger one fails
def test_a_card_fits_where_its_own_limit_runs(seed):
    log = random_log(seed)
    limits = range(replay(log).allocated_bytes, replay(log).reserved_bytes, 16 * MIB)
    cards = [CardKind("toy", "a card", limit / GIB, context_bytes=0, workspace_bytes=0) for limit in limits]
    assert [fit(Peaks({}, log), card).fits for card in cards] == [
        runs_within(log, 0, card.usable_bytes) for card in cards
    ]


def told(capsys, *words):
    code = main(["predict", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_says_what_the_batches_are_and_take(capsys):
    code, out, err = told(capsys, "--case", CASE.id, "--steps", "1", "--data", "sample")
    assert code == 0
    assert out.startswith(f"{CASE.id}: ")
    for said in ("allocated, in blocks", "reserved", "least it runs within", " labels, of the first 1 steps and "):
        assert said in out
    assert err.startswith("step 1 of ")


def test_its_rows_are_no_longer_than_the_model_has_positions_for(capsys):
    words = ("--case", "alpaca_worst-tiny_gpt2-lora-cuda-s0", "--steps", "1", "--data", "sample")
    out = told(capsys, *words)[1]
    assert "batches of 2 × 512 to 2 × 512 tokens" in out
    assert "note: rows end at 512 tokens, the most in multiples of 8 that tiny_gpt2 has positions for\n" in out
    assert json.loads(told(capsys, *words, "--json")[1])["length"] == 512


def test_its_json_has_the_extents(capsys):
    found = json.loads(told(capsys, "--case", CASE.id, "--steps", "1", "--data", "sample", "--json")[1])
    assert found["case"] == CASE.id
    assert all(len(extent) == 3 for step in found["steps"] for extent in step)
    assert list(found["allocator"]) == ["allocated_bytes", "reserved_bytes", "least_bytes"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("pos-bert_base-lora-cpu-s0",), "pos-bert_base-lora-cpu-s0 needs no card; ask for pos-bert_base-lora-cuda-s0"),
        (("pos-gpt2-lora-cuda-s0",), "pos is a task for encoder models, and gpt2 is not one"),
        (("pos-bert-lora-cuda-s0",), "no model named 'bert'; did you mean tiny_bert, bert_base, tiny_roberta?"),
        ((CASE.id, "--steps", "-1"), "--steps -1 must be at least 1, or 0 for all"),
        ((CASE.id, "--mirror", "nowhere"), "--mirror nowhere: there is no such folder"),
        ((CASE.id, "--model", "gpt2"), "--model does not go with --case"),
        ((CASE.id, "--batch", "0"), "--batch does not go with --case, but with --config or --model"),
        ((CASE.id, "--measure"), "--measure does not go with --case, but with --measured or --published"),
        (("support-tiny_llama-lora-cuda1-s0",), "no device named 'cuda1'; did you mean cuda, cpu?"),
        (
            ("alpaca_worst-tiny_gpt2-prompt-cuda-s0",),
            "prompt cannot train packed rows: its virtual tokens come once a row; packing = false",
        ),
    ],
)
def test_a_mistake_is_one_sentence(capsys, words, sentence):
    assert told(capsys, "--case", *words) == (2, "", f"bench: {sentence}\n")
