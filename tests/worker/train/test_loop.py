"""Training: steps planned before they run, gradients of the whole step, and two engines that agree."""

import math
import time
from dataclasses import replace

import pytest
import torch
from tiny_trainees import TINY, TINY_DECODERS, silent, tiny_batching, tiny_examples, tiny_recipe, tiny_trainee

from bench.core.case import Case
from bench.core.recipe import SIZES
from bench.methods import METHODS, Unsupported
from bench.recipes.of_case import recipe_for
from bench.tasks import TASKS
from bench.worker.check.fingerprint import changes, fingerprint
from bench.worker.first_method import ENGINES
from bench.worker.train.backward import backward
from bench.worker.train.batches import Batch, Batching
from bench.worker.train.evaluate import outcomes
from bench.worker.train.loop import progress
from bench.worker.train.optimizer import make_optimizer, make_schedule
from bench.worker.train.steps import plan_steps
from bench.worker.train.trainee import Trainee

SUM_CLOSE = 1e-5  # relative: the same sums in another order, in float32
ENGINES_CLOSE = 2e-5  # likewise, over the steps before too


def plan(recipe, count=12, seed=0):
    return plan_steps(tiny_batching("tiny_llama", recipe), tiny_examples(count=count), seed)


def keys(step):
    return [[example.key for example in batch] for batch in step.micro_batches]


def gradients(trainee, examples, size):
    """All gradients in one row, of a step over the examples in micro-batches of this size."""
    trainee.model.zero_grad(set_to_none=True)
    batches = [trainee.batching.one(examples[start : start + size]) for start in range(0, len(examples), size)]
    loss = backward(trainee, batches)
    return loss, torch.cat([p.grad.flatten().double() for p in trainee.model.parameters() if p.grad is not None])


def trained(trainee, examples, engine="bench", seed=0):
    return ENGINES[engine](trainee, plan_steps(trainee.batching, examples, seed), silent, silent)


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("method", ["lora_all", "full"])
@pytest.mark.parametrize("model", TINY)
def test_accumulated_gradients_are_those_of_the_large_batch(model, method, size):
    trainee, examples = tiny_trainee(model, method), tiny_examples(model, 8)
    loss, expected = gradients(trainee, examples, 8)
    same_loss, seen = gradients(trainee, examples, size)
    assert same_loss == pytest.approx(loss, rel=SUM_CLOSE)
    assert torch.linalg.norm(seen - expected) <= SUM_CLOSE * torch.linalg.norm(expected)


def test_a_step_that_overflows_in_float16_is_no_step_of_the_rank_schedule(monkeypatch):
    """Its importances would be no numbers, and nothing would be pruned for good."""
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device, init_scale: scaler(device, init_scale=2.0**22))
    recipe = tiny_recipe("tiny_llama", "adalora", precision="float16", max_steps=32)
    trainee = tiny_trainee("tiny_llama", "adalora", recipe)
    trained(trainee, tiny_examples())
    report = trainee.method.report(trainee.model)
    assert report["rank_total"] == report["adapted_layers"] * recipe.rank


@pytest.mark.parametrize("size", [1, 4])
def test_adaloras_penalty_counts_once_a_step(size):
    trainee, examples = tiny_trainee(method="adalora"), tiny_examples(count=8)
    _, expected = gradients(trainee, examples, 8)
    _, seen = gradients(trainee, examples, size)
    assert torch.linalg.norm(seen - expected) <= SUM_CLOSE * torch.linalg.norm(expected)


@pytest.mark.parametrize("model", TINY)
def test_step_loss_is_the_mean_over_labels(model):
    trainee, examples = tiny_trainee(model), tiny_examples(model, 8)
    together, _ = gradients(trainee, examples, 8)
    apart = [gradients(trainee, [example], 1)[0] for example in examples]
    counts = [trainee.batching.one([example]).scored for example in examples]
    weighted = sum(loss * count for loss, count in zip(apart, counts, strict=True))
    assert together == pytest.approx(weighted / sum(counts), rel=SUM_CLOSE)


@pytest.mark.parametrize(("method", "rate"), [("full", 1e-2), ("lora_all", 1e-2), ("ia3", 2e-2), ("qlora", 1e-2)])
@pytest.mark.parametrize("model", TINY)
def test_loss_falls_on_a_repeated_batch(model, method, rate):
    recipe = tiny_recipe(model, method, max_steps=20, learning_rate=rate, schedule="constant", max_gradient_norm=0.0)
    losses = trained(tiny_trainee(model, method, recipe), tiny_examples(model, 4)).losses
    assert losses[-1] < losses[0] - 0.05


@pytest.mark.parametrize(
    ("steps", "epochs", "expected"),
    [
        pytest.param(0, 2, [1, 1, 1, 2, 2, 2], id="epochs_decide"),
        pytest.param(2, 1, [1, 1], id="cut"),
        pytest.param(7, 1, [1, 1, 1, 2, 2, 2, 3], id="repeated_until_reached"),
    ],
)
def test_max_steps_cuts_or_repeats(steps, epochs, expected):
    planned = plan(tiny_recipe(max_steps=steps, epochs=epochs))
    assert [step.epoch for step in planned] == expected


def test_a_step_holds_as_many_micro_batches_as_accumulate():
    planned = plan(tiny_recipe(max_steps=0, epochs=1, batch_size=2, gradient_accumulation_steps=4))
    assert [[len(batch) for batch in step.micro_batches] for step in planned] == [[2, 2, 2, 2], [2, 2]]


def test_seed_fixes_the_plan():
    recipe = tiny_recipe(max_steps=6)
    first, again, other = (list(map(keys, plan(recipe, seed=seed))) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("method", ["lora", "full", "adalora"])
@pytest.mark.parametrize("model", TINY)
def test_same_seed_gives_the_same_losses_to_the_bit(model, method):
    first, again = (trained(tiny_trainee(model, method), tiny_examples(model)).losses for _ in range(2))
    assert first == again


@pytest.mark.parametrize("engine", ENGINES)
def test_loss_that_is_no_number_stops_with_advice(engine):
    trainee = tiny_trainee()
    trainee.model.get_input_embeddings().weight.data[:] = math.nan
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 1; lower learning_rate"):
        trained(trainee, tiny_examples(), engine)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        ("constant", [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("cosine", [0, 0.5, *[(1 + math.cos(math.pi * at / 8)) / 2 for at in range(8)]]),
    ],
)
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler:UserWarning")  # no step is taken here
def test_rate_warms_up_and_then_follows_the_schedule(schedule, expected):
    from_zero = tiny_recipe(schedule=schedule, warmup_fraction=0.2, learning_rate=1.0, warmup_from_zero=True)
    assert rates(from_zero, 10) == pytest.approx(expected)
    assert rates(replace(from_zero, warmup_from_zero=False), 10) == pytest.approx([1 / 3, 2 / 3, *expected[2:]])


def rates(recipe, steps):
    """The rate of each step."""
    optimizer = make_optimizer(tiny_trainee(recipe=recipe))
    course = make_schedule(optimizer, recipe, steps)
    return [(optimizer.param_groups[0]["lr"], course.step())[0] for _ in range(steps)]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 20])
@pytest.mark.parametrize("fraction", [0.0, 0.06, 1.0])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler:UserWarning")  # no step is taken here
def test_every_step_of_a_schedule_teaches(schedule, steps, fraction):
    recipe = tiny_recipe(schedule=schedule, warmup_fraction=fraction, learning_rate=1.0)
    assert all(0 < rate <= 1 for rate in rates(recipe, steps))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", TASKS.names())
def test_one_step_of_a_shipped_recipe_has_a_rate_above_zero(task, size):
    """As with --max-steps 1, also where the warm-up begins at 0."""
    recipe = recipe_for(Case(task, "tiny_llama", "lora", "cpu"), size, max_steps=1)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=recipe.learning_rate)
    make_schedule(optimizer, recipe, 1)
    assert optimizer.param_groups[0]["lr"] > 0, f"the only step of {task} on {size} data has a rate of 0"


@pytest.mark.parametrize("engine", ENGINES)
def test_copies_to_the_device_are_outside_a_steps_clock(engine, monkeypatch):
    to = Batch.to
    monkeypatch.setattr(Batch, "to", lambda self, device: (time.sleep(0.5), to(self, device))[1])
    assert max(trained(tiny_trainee(), tiny_examples(), engine).seconds) < 0.5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", TINY)
def test_a_recipe_of_one_step_trains(model, engine):
    """With a warm-up, and with accumulation."""
    recipe = tiny_recipe(model, max_steps=1, warmup_fraction=0.06, gradient_accumulation_steps=2, batch_size=2)
    trainee = tiny_trainee(model, "lora", recipe)
    before = fingerprint(trainee.model, trained=True)
    training = trained(trainee, tiny_examples(model), engine)
    assert len(training.losses) == 1
    unmoved = changes(before, trainee.model, trained=True)["unchanged"]
    assert [name for name in unmoved if "lora_A" not in name] == []  # whose gradient is 0 while B is


def names_by(trainee, setting):
    """Names of the trained parameters by their group's setting."""
    optimizer = make_optimizer(trainee)
    names = {id(parameter): name for name, parameter in trainee.model.named_parameters()}
    found = {}
    for group in optimizer.param_groups:
        found.setdefault(group[setting], set()).update(names[id(parameter)] for parameter in group["params"])
    return found


def test_new_head_has_its_own_rate():
    recipe = tiny_recipe("tiny_bert", learning_rate=1e-3, head_learning_rate=5e-3)
    rates = names_by(tiny_trainee("tiny_bert", recipe=recipe), "lr")
    assert rates.keys() == {1e-3, 5e-3}
    assert {name.rsplit(".", 1)[1] for name in rates[5e-3]} == {"weight", "bias"}
    assert all("classifier" in name for name in rates[5e-3])
    assert all("lora_" in name for name in rates[1e-3])


def test_without_its_own_rate_the_head_has_the_adapters():
    recipe = tiny_recipe("tiny_bert", learning_rate=1e-3, head_learning_rate=0.0)
    assert names_by(tiny_trainee("tiny_bert", recipe=recipe), "lr").keys() == {1e-3}


def test_lora_plus_trains_b_at_sixteen_times_the_rate_of_a():
    recipe = tiny_recipe("tiny_bert", "loraplus", learning_rate=1e-3, head_learning_rate=3e-3)
    rates = names_by(tiny_trainee("tiny_bert", "loraplus", recipe), "lr")
    assert rates.keys() == {1e-3, 16e-3, 3e-3}
    assert all(".lora_A." in name for name in rates[1e-3])
    assert all(".lora_B." in name for name in rates[16e-3])
    assert all("classifier" in name for name in rates[3e-3])


@pytest.mark.parametrize("model", TINY)
def test_matrices_decay_and_vectors_do_not(model):
    trainee = tiny_trainee(model, "full", tiny_recipe(model, "full", weight_decay=0.1))
    decays = names_by(trainee, "weight_decay")
    shapes = {name: parameter.ndim for name, parameter in trainee.model.named_parameters()}
    assert {shapes[name] for name in decays[0.1]} == {2}
    assert {shapes[name] for name in decays[0.0]} == {1}
    assert decays[0.1] | decays[0.0] == shapes.keys()


def test_nothing_to_train_is_an_error():
    trainee = tiny_trainee()
    trainee.model.requires_grad_(False)
    with pytest.raises(ValueError, match="lora left nothing to train"):
        make_optimizer(trainee)


def test_gradients_are_clipped_to_the_norm():
    recipe = tiny_recipe(max_steps=1, max_gradient_norm=1e-3)
    norms = []
    method = replace(METHODS["lora"], after_step=lambda model, step: norms.append(total_norm(model)))
    base = tiny_trainee(recipe=recipe)
    trained(Trainee(base.model, method, recipe, base.batching, "cpu"), tiny_examples())
    assert norms == [pytest.approx(1e-3, rel=1e-3)]


def total_norm(model):
    return float(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm())


def test_a_run_counts_tokens_with_and_without_padding():
    trainee = tiny_trainee(recipe=tiny_recipe(max_steps=0, epochs=1, padding="max_length"))
    training = trained(trainee, tiny_examples())
    assert sum(training.tokens) == sum(map(len, tiny_examples()))
    assert training.padded_tokens == [4 * 32] * 3
    assert len(training.seconds) == len(training.losses) == 3
    assert training.data_seconds > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_data_seconds_are_those_of_making_batches(engine, monkeypatch):
    """Neither the optimizer's nor an evaluation's are among them."""
    recipe = tiny_recipe(max_steps=0, epochs=2)
    trainee, module = tiny_trainee(recipe=recipe), ENGINES[engine].__module__
    collate = Batching.collate
    monkeypatch.setattr(Batching, "collate", lambda self, items: (time.sleep(0.02), collate(self, items))[1])
    monkeypatch.setattr(f"{module}.make_optimizer", lambda one: (time.sleep(2), make_optimizer(one))[1])
    steps = plan_steps(trainee.batching, tiny_examples(), 0)
    training = ENGINES[engine](trainee, steps, silent, lambda epoch: time.sleep(1))
    assert 0.02 * len(steps) <= training.data_seconds < 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("accumulated", [1, 2])
def test_epochs_are_told_once_each_and_the_model_trains_on(engine, accumulated):
    recipe = tiny_recipe(max_steps=0, epochs=2, gradient_accumulation_steps=accumulated)  # three batches an epoch
    trainee, told, losses = tiny_trainee(recipe=recipe), [], []

    def on_epoch(epoch):
        told.append((epoch, trainee.model.training, len(losses)))
        trainee.model.eval()

    steps = plan_steps(trainee.batching, tiny_examples(), 0)
    ENGINES[engine](trainee, steps, lambda event: losses.append(event["loss"]), on_epoch)
    assert told == [(1, True, len(steps) // 2), (2, True, len(steps))]


@pytest.mark.parametrize("loss", ["logits", "chunked"])
def test_both_engines_evaluate_each_epoch_alike(loss):
    """The head that a chunked loss takes off is back on meanwhile."""
    recipe = tiny_recipe(max_steps=0, epochs=3, learning_rate=5e-3, loss=loss)
    found = []
    for engine in ENGINES:
        trainee, seen = tiny_trainee(recipe=recipe), []
        steps = plan_steps(trainee.batching, tiny_examples(), 0)
        ENGINES[engine](trainee, steps, silent, lambda epoch, t=trainee, seen=seen: seen.append(mean_loss(t)))
        found.append(seen)
    assert len(found[0]) == 3
    assert found[1] == pytest.approx(found[0], rel=ENGINES_CLOSE)


def mean_loss(trainee):
    rows = outcomes(trainee, tiny_examples(count=4, seed=1))
    return sum(row["loss"] for row in rows) / sum(row["tokens"] for row in rows)


def test_progress_says_how_long_is_left():
    trainee = tiny_trainee()
    training = trained(trainee, tiny_examples())
    training.seconds[:] = [2.0, 2.0, 2.0]
    told = progress(training, 3, 10)
    assert told["seconds_left"] == pytest.approx(14)
    assert told["tokens_per_second"] == pytest.approx(sum(training.tokens) / 6)


@pytest.mark.parametrize("accumulated", [1, 2])
@pytest.mark.parametrize("method", ["lora", "adalora", "full"])
@pytest.mark.parametrize("model", TINY)
def test_both_engines_give_the_same_losses(model, method, accumulated):
    recipe = tiny_recipe(model, method, max_steps=8, gradient_accumulation_steps=accumulated, batch_size=2,
                         learning_rate=5e-3, warmup_fraction=0.2)  # fmt: skip
    ours, theirs = (trained(tiny_trainee(model, method, recipe), tiny_examples(model), engine) for engine in ENGINES)
    assert theirs.losses == pytest.approx(ours.losses, rel=ENGINES_CLOSE)
    assert theirs.tokens == ours.tokens
    assert theirs.padded_tokens == ours.padded_tokens


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_both_engines_train_packed_rows_alike(model):
    recipe = tiny_recipe(model, packing=True, max_length=48, max_steps=4, batch_size=2)
    ours, theirs = (trained(tiny_trainee(model, "lora", recipe), tiny_examples(model), engine) for engine in ENGINES)
    assert theirs.losses == pytest.approx(ours.losses, rel=ENGINES_CLOSE)


def losses_of(engine, seed=0, drawn=0, model="tiny_llama", method="lora_all", **recipe):
    """Losses after so many random numbers were drawn before; the batches are the same for every seed."""
    settings = {"max_steps": 4, "learning_rate": 1e-2, "batch_size": 2, **recipe}
    trainee = tiny_trainee(model, method, tiny_recipe(model, method, **settings))
    torch.rand(drawn)
    return trained(replace(trainee, seed=seed), tiny_examples(model), engine).losses


@pytest.mark.parametrize("engine", ENGINES)
def test_the_seed_reaches_dropout(engine):
    assert len({tuple(losses_of(engine, seed, dropout=0.5)) for seed in range(3)}) == 3
    assert len({tuple(losses_of(engine, seed)) for seed in range(3)}) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_drawn_before_training_does_not_matter(engine):
    assert losses_of(engine, drawn=0, dropout=0.5) == losses_of(engine, drawn=7, dropout=0.5)


@pytest.mark.parametrize("method", ["lora_all", "full"])
@pytest.mark.parametrize("model", TINY)
def test_both_engines_drop_the_same(model, method):
    ours, theirs = (losses_of(engine, 1, model=model, method=method, dropout=0.2) for engine in ENGINES)
    assert theirs == pytest.approx(ours, rel=ENGINES_CLOSE)


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_both_engines_end_an_epoch_in_a_step_of_fewer_micro_batches(method, packing):
    """12 examples, one at a time, 8 a step: 8 and 4 of each epoch. Packed, epochs differ in their rows."""
    shape = {"packing": True, "max_length": 48} if packing else {}
    recipe = tiny_recipe("tiny_llama", method, batch_size=1, gradient_accumulation_steps=8, max_steps=6,
                         dropout=0.1, learning_rate=5e-3, **shape)  # fmt: skip
    ours, theirs = (trained(tiny_trainee("tiny_llama", method, recipe), tiny_examples(), engine) for engine in ENGINES)
    assert len(ours.losses) == 6
    assert theirs.losses == pytest.approx(ours.losses, rel=ENGINES_CLOSE)
    assert (theirs.tokens, theirs.padded_tokens) == (ours.tokens, ours.padded_tokens)


def test_adalora_prunes_in_two_steps_and_refuses_one():
    recipe = tiny_recipe("tiny_llama", "adalora", max_steps=2)
    trainee = tiny_trainee("tiny_llama", "adalora", recipe)
    trained(trainee, tiny_examples())
    report = trainee.method.report(trainee.model)
    assert report["rank_total"] == report["adapted_layers"] * recipe.rank
    with pytest.raises(Unsupported, match="max_steps = 2 or more"):
        tiny_trainee("tiny_llama", "adalora", replace(recipe, max_steps=1))
