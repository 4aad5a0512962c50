"""The lean recipe does the same mathematics in less memory: each part against what it replaces.

What a CUDA card alone can do (paging, pinned copies, Liger) is not run here.
"""

import random
from dataclasses import replace

import bitsandbytes
import pytest
import safetensors.torch
import torch
from tiny_trainees import (
    TINY_DECODERS,
    silent,
    tiny_base,
    tiny_batching,
    tiny_examples,
    tiny_recipe,
    tiny_trainee,
)
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from bench.core.case import Case
from bench.core.work import CaseWork
from bench.methods import METHODS, Unsupported
from bench.methods.tolerances import ADAPTER_FILE_OVERHEAD, rounding_tolerance
from bench.models import MODELS
from bench.recipes.of_case import recipe_for
from bench.tasks import IGNORE, Example
from bench.worker.build.adapter import attach
from bench.worker.build.attention import FUSED, attention_by
from bench.worker.build.host_embedding import HostEmbedding, is_tied, move_embeddings_to_host
from bench.worker.case import run_case
from bench.worker.check import evidence
from bench.worker.first_method import ENGINES, base_maker, score
from bench.worker.measure.memory import LiveStorages, quantisation_tensors
from bench.worker.setup import set_up
from bench.worker.timeline import Timeline
from bench.worker.train import offload
from bench.worker.train.backward import backward
from bench.worker.train.chunked_losses import CHUNKS, TORCH, bare_head, chunked_loss, chunked_token_losses, route
from bench.worker.train.evaluate import outcomes
from bench.worker.train.loop import train
from bench.worker.train.losses import summed_loss, token_losses
from bench.worker.train.offload import checkpoints_on_host
from bench.worker.train.optimizer import make_optimizer
from bench.worker.train.steps import plan_steps
from bench.worker.train.trainee import Trainee

SUM_CLOSE = 1e-5  # relative: the same sums in another order, in float32
# A bfloat16 adapter is rounded to 8 bits; of the loss it only carries what training moves, here below a tenth.
LEAN_CLOSE = 2**-8
POSITIONS, WIDTH, WORDS = 23, 16, 50
WIDE = 32_768  # words of a model whose logits are most of its memory
LENGTH = 512
BYTES_A_LOGIT = 12  # bfloat16, its gradient, float32 and its softmax, as bench.worker.train.chunked_losses reckons


@pytest.fixture
def sample():
    """(head, hidden, labels): two rows of hidden states that ask for a gradient, a third of the labels ignored."""
    generator = torch.Generator().manual_seed(0)
    head = nn.Linear(WIDTH, WORDS, bias=False)
    head.weight = nn.Parameter(torch.randn(WORDS, WIDTH, generator=generator), requires_grad=False)
    labels = torch.randint(0, WORDS, (2, POSITIONS), generator=generator)
    labels[:, ::3] = IGNORE
    return head, torch.randn(2, POSITIONS, WIDTH, generator=generator).requires_grad_(), labels


def with_gradient(loss, hidden):
    (gradient,) = torch.autograd.grad(loss, hidden)
    return float(loss.detach()), gradient


@pytest.mark.parametrize("by", [CHUNKS, TORCH])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunked_loss_and_its_gradient_are_those_of_all_logits(sample, chunk, shifted, by):
    if by == TORCH and not hasattr(nn.functional, "linear_cross_entropy"):
        pytest.skip("torch before 2.13 has no linear_cross_entropy")
    head, hidden, labels = sample
    expected, gradient = with_gradient(summed_loss(head(hidden), labels, shifted), hidden)
    seen, same = with_gradient(chunked_loss(head, hidden, labels, shifted, chunk, by), hidden)
    assert seen == pytest.approx(expected, rel=SUM_CLOSE)
    assert torch.linalg.norm(same - gradient) <= SUM_CLOSE * torch.linalg.norm(gradient)


def test_torchs_own_sum_would_be_rounded_to_bfloat16(sample):
    """Why bench.worker.train.chunked_losses sums torch's losses itself."""
    if not hasattr(nn.functional, "linear_cross_entropy"):
        pytest.skip("torch before 2.13 has no linear_cross_entropy")
    head, hidden, labels = sample
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=8)
    rows, weight = hidden.detach().reshape(-1, WIDTH).bfloat16(), head.weight.bfloat16()
    own = nn.functional.linear_cross_entropy(rows, weight, labels.reshape(-1), reduction="sum", options=options)
    assert own.dtype == torch.bfloat16


def test_chunked_loss_of_no_label_is_zero(sample):
    head, hidden, labels = sample
    assert chunked_loss(head, hidden, torch.full_like(labels, IGNORE), True, 7).item() == 0


def test_virtual_tokens_are_dropped(sample):
    head, hidden, labels = sample
    longer = torch.cat([torch.ones(2, 4, WIDTH), hidden], dim=1)
    losses = [chunked_loss(head, one, labels, True, 7).item() for one in (longer, hidden)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@torch.no_grad()
def test_chunked_token_losses_are_those_of_all_logits(sample, chunk):
    head, hidden, labels = sample
    expected = token_losses(head(hidden), labels, True)
    losses, predicted, counted = chunked_token_losses(head, hidden, labels, True, chunk)
    assert torch.allclose(losses, expected[0], rtol=SUM_CLOSE)
    assert torch.equal(predicted, expected[1])
    assert torch.equal(counted, expected[2])


def test_route_is_chunks_where_the_head_is_no_plain_frozen_one():
    plain, packed = nn.Linear(8, 8, bias=False), bitsandbytes.nn.Linear4bit(64, 64, bias=False)
    assert route(packed, "cuda:0") == route(plain, "cuda:0") == CHUNKS  # the plain one trains
    plain.requires_grad_(False)
    assert route(plain, "cpu") == CHUNKS
    assert route(plain, "cuda:0") != CHUNKS or not hasattr(nn.functional, "linear_cross_entropy")


def losses_of(method, engine="bench", **changes):
    recipe = tiny_recipe(method=method, max_steps=8, learning_rate=5e-3, **changes)
    trainee = tiny_trainee(method=method, recipe=recipe)
    return ENGINES[engine](trainee, plan_steps(trainee.batching, tiny_examples(), 0), silent, silent).losses


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("engine", ENGINES)
def test_chunked_training_is_the_plain_one(engine, precision):
    plain = losses_of("qlora", engine, precision=precision)
    chunked = losses_of("qlora", engine, precision=precision, loss="chunked", loss_chunk_tokens=7)
    assert chunked == pytest.approx(plain, rel=SUM_CLOSE)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("engine", ENGINES)
def test_lean_losses_are_the_plain_ones(engine, precision):
    plain, thin = (losses_of(method, engine, precision=precision, rank=64) for method in ("qlora", "qlora_lean"))
    assert thin[0] == pytest.approx(plain[0], rel=SUM_CLOSE)  # the first is of untrained adapters
    assert thin == pytest.approx(plain, rel=LEAN_CLOSE)


def test_evaluation_in_chunks_gives_the_same_outcomes():
    trainee = tiny_trainee(method="qlora", recipe=tiny_recipe(method="qlora"))
    thin = replace(trainee, recipe=replace(trainee.recipe, loss="chunked", loss_chunk_tokens=7))
    for plain, chunked in zip(outcomes(trainee, tiny_examples()), outcomes(thin, tiny_examples()), strict=True):
        assert chunked["loss"] == pytest.approx(plain["loss"], rel=SUM_CLOSE)
        assert (chunked["tokens"], chunked["correct"]) == (plain["tokens"], plain["correct"])


@pytest.mark.parametrize("method", ["lora", "prompt", "prefix"])
@pytest.mark.parametrize("model", TINY_DECODERS)
def test_head_is_put_back_and_gives_the_logits(model, method):
    trainee = tiny_trainee(model, method)
    trainee.model.eval()
    batch = trainee.batching.one(tiny_examples(model, 2))
    with torch.no_grad():
        expected = trainee.model(**batch.inputs()).logits
        with bare_head(trainee.model) as head:
            hidden = trainee.model(**batch.inputs()).logits
        assert torch.equal(head(hidden), expected)
        assert torch.equal(trainee.model(**batch.inputs()).logits, expected)


def test_head_is_put_back_after_an_error():
    trainee = tiny_trainee()
    head = trainee.model.get_output_embeddings()
    with pytest.raises(RuntimeError), bare_head(trainee.model):
        raise RuntimeError("as when memory runs out")
    assert trainee.model.get_output_embeddings() is head


def test_an_encoder_refuses_a_chunked_loss():
    with pytest.raises(Unsupported, match="loss = 'chunked' is for a head over a vocabulary; tiny_bert has a class"):
        METHODS["lora"].check(MODELS["tiny_bert"], tiny_recipe("tiny_bert", loss="chunked"))


def gradients(trainee, kept):
    trainee.model.zero_grad(set_to_none=True)
    batch = trainee.batching.one(tiny_examples(count=4))
    with kept:
        loss = summed_loss(trainee.model(**batch.inputs()).logits, batch.labels, True)
    loss.backward()
    return [parameter.grad for parameter in trainee.model.parameters() if parameter.grad is not None]


def test_checkpoints_on_the_host_give_the_same_gradients_to_the_bit(monkeypatch):
    trainee = tiny_trainee(method="qlora", recipe=tiny_recipe(method="qlora", gradient_checkpointing=True))
    trainee.model.train()
    expected = gradients(trainee, torch.enable_grad())
    moved, hooks = [], torch.autograd.graph.saved_tensors_hooks

    def watched(pack, unpack):
        def noted(tensor):
            packed = pack(tensor)
            if isinstance(packed, tuple):
                moved.append(tuple(packed[1].shape))
            return packed

        return hooks(noted, unpack)

    monkeypatch.setattr(offload.torch.autograd.graph, "saved_tensors_hooks", watched)
    seen = gradients(trainee, checkpoints_on_host())
    config = MODELS["tiny_llama"].config
    assert len(moved) >= config["num_hidden_layers"]  # each layer's input
    widths = {shape[-1] for shape in moved}
    assert widths == {config["hidden_size"], 1}  # 1: of the last norm; no gate, head or score of attention
    assert len(seen) == len(expected)
    assert all(map(torch.equal, seen, expected))


@pytest.mark.parametrize("model", TINY_DECODERS)
def test_embeddings_on_the_host_give_the_same_logits(model):
    recipe = tiny_recipe(model)
    base = tiny_base(model, "lora", recipe)
    probe = evidence.Probe(tiny_batching(model, recipe), "cpu", tiny_examples(model, 4))
    expected, count = probe(base), sum(parameter.numel() for parameter in base.parameters())
    assert move_embeddings_to_host(base) is not is_tied(base)  # GPT-2's head is its table
    assert isinstance(base.get_input_embeddings(), HostEmbedding) is not is_tied(base)
    assert torch.equal(probe(base), expected)
    assert sum(parameter.numel() for parameter in base.parameters()) == count


def test_a_model_that_moves_leaves_its_host_embeddings():
    base = tiny_base("tiny_llama", "lora", tiny_recipe())
    move_embeddings_to_host(base)
    base.to("meta")
    assert base.get_input_embeddings().weight.device.type == "cpu"
    assert next(base.parameters()).device.type == "meta"  # what transformers takes for the model's device


def test_embeddings_that_scale_what_they_look_up_are_not_quantised():
    recipe = tiny_recipe("tiny_gemma3", "qlora", quantise_head=True)
    with pytest.raises(Unsupported, match="quantise_head: Gemma3TextScaledWordEmbedding does more than look up"):
        tiny_trainee("tiny_gemma3", "qlora", recipe)


@pytest.mark.parametrize("model", [name for name in TINY_DECODERS if name != "tiny_gemma3"])
def test_quantised_head_and_embeddings_are_near_the_plain_ones(model):
    """An option: NF4 keeps 2^-3 to 2^-4 of a weight, and errors of a row add in squares."""
    recipe = tiny_recipe(model, "qlora")
    plain = tiny_trainee(model, "qlora", recipe)
    packed = tiny_trainee(model, "qlora", replace(recipe, quantise_head=True))
    assert isinstance(packed.model.get_output_embeddings(), bitsandbytes.nn.Linear4bit)
    assert isinstance(packed.model.get_input_embeddings(), bitsandbytes.nn.EmbeddingNF4)
    examples = tiny_examples(model, 4)
    losses = [backward(one, [one.batching.one(examples)]) for one in (plain, packed)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_adapter_on_quantised_embeddings_is_saved(tmp_path):
    packed = tiny_trainee("tiny_llama", "qlora", replace(tiny_recipe("tiny_llama", "qlora"), quantise_head=True))
    packed.model.save_pretrained(str(tmp_path))
    saved = safetensors.torch.load_file(tmp_path / "adapter_model.safetensors")
    trained = sum(parameter.numel() for parameter in packed.model.parameters() if parameter.requires_grad)
    assert sum(tensor.numel() for tensor in saved.values()) == trained
    assert all("lora_" in name for name in saved)


def test_eight_bit_optimizer_keeps_a_byte_a_moment():
    trainee = tiny_trainee(method="qlora", recipe=tiny_recipe(method="qlora", rank=64, optimizer="paged_adamw_8bit"))
    optimizer = make_optimizer(trainee)
    backward(trainee, [trainee.batching.one(tiny_examples(count=4))])
    optimizer.step()
    large = [optimizer.state[p] for p in trainee.model.parameters() if p.requires_grad and p.numel() >= 4096]
    assert large
    assert {state[name].dtype for state in large for name in ("state1", "state2")} == {torch.uint8}


@pytest.fixture
def wide():
    """tiny_llama with the vocabulary of a real one."""
    config = {**MODELS["tiny_llama"].config, "vocab_size": WIDE}
    MODELS.put("toy_wide", replace(MODELS["tiny_llama"], name="toy_wide", config=config))
    yield "toy_wide"
    MODELS.remove("toy_wide")


def step_bytes(model, method, **changes):
    """What a training step of two full rows holds at its peak above the model at rest."""
    recipe = tiny_recipe(model, method, precision="bfloat16", max_length=LENGTH, **changes)
    trainee, order = tiny_trainee(model, method, recipe), random.Random(0)
    rows = [[order.randrange(8, WIDE) for _ in range(LENGTH)] for _ in range(2)]
    batch = trainee.batching.one([Example(str(number), row, row) for number, row in enumerate(rows)])
    with attention_by(trainee.model, FUSED), LiveStorages() as storages:
        for tensor in (*trainee.model.parameters(), *trainee.model.buffers(), *quantisation_tensors(trainee.model)):
            storages.add(tensor.detach())
        at_rest = storages.live_bytes
        optimizer = make_optimizer(trainee)
        backward(trainee, [batch])
        optimizer.step()
    return storages.peak_bytes - at_rest


def test_lean_never_holds_all_logits(wide):
    """Plain QLoRA holds them several times; lean holds a chunk of 64 positions of 1,024, and little else."""
    logits = 2 * LENGTH * WIDE
    assert step_bytes(wide, "qlora") > 3 * 4 * (logits - 2 * WIDE) * 0.99  # float32, softmax, gradient
    thin = step_bytes(wide, "qlora_lean", loss_chunk_tokens=64)
    assert thin < 2 * logits  # one copy in bfloat16
    assert thin < BYTES_A_LOGIT * 64 * WIDE * 1.1 + step_bytes(wide, "qlora_lean", loss_chunk_tokens=1)


def test_lean_peak_does_not_grow_with_the_vocabularys_logits(wide):
    few, more = (step_bytes(wide, "qlora_lean", loss_chunk_tokens=tokens) for tokens in (32, 64))
    assert more - few == pytest.approx(BYTES_A_LOGIT * 32 * WIDE, rel=0.1)


def test_lean_step_can_be_followed_without_data(sample):
    """No shape depends on values, so that a trace on fake tensors runs the same code."""
    head, hidden, labels = sample
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(hidden.detach()).requires_grad_()
        loss = chunked_loss(head, fake, mode.from_tensor(labels), True, 7)
        loss.backward()
    assert fake.grad.shape == hidden.shape


@pytest.fixture(scope="module")
def worst():
    """Source 003's worst case on a tiny model: rows of 512 bytes, all full."""
    case = Case("alpaca_worst", "tiny_llama", "qlora_lean", "cpu")
    recipe = recipe_for(case, max_steps=3, gradient_accumulation_steps=1, evaluation_examples=2)
    return run_case(CaseWork(case, recipe).to_plain(), silent)


def test_worst_case_has_one_shape(worst):
    assert worst["exact"]["step_shape"] == [2, 512]
    assert worst["noisy"]["tokens"] > 0.5 * 3 * 2 * 512  # examples are not cut in two to fill a row


def test_record_of_a_lean_case_holds_what_it_promises(worst):
    seen = worst["evidence"]
    assert seen["base"]["changed"] == seen["base_changed_by_attaching"] == seen["trained_without_gradient"] == 0
    assert seen["trained"]["changed"] == seen["trained"]["tensors"]
    assert seen["start_distance"] == seen["reload_distance"] == seen["off_distance"] == 0
    merged = rounding_tolerance(METHODS["qlora_lean"], MODELS["tiny_llama"], "bfloat16")
    assert seen["merge_distance"] <= merged
    least = 2 * worst["exact"]["trainable_parameters"]  # bfloat16
    assert least <= worst["exact"]["adapter_bytes"] <= least + ADAPTER_FILE_OVERHEAD


def test_record_says_what_a_processor_leaves_out(worst):
    said = " ".join(worst["reasons"])
    for word in ("not paged", "offload_checkpoints: nothing to do", "embeddings_on_host: nothing to do", "in chunks"):
        assert word in said


def embedded_run(method):
    """(losses of six steps, held-out loss) on SmolLM2's real weights, rank 16 on all linear layers as source 003."""
    case = Case("support", "smollm2_135m", method, "cpu")
    recipe = recipe_for(case, rank=16, max_steps=6, batch_size=4, train_examples=24, evaluation_examples=8)
    setting = set_up(CaseWork(case, recipe), silent, Timeline())
    steps = plan_steps(setting.batching, setting.prepared.train, case.seed)
    model = attach(base_maker(setting, silent)(), setting.entry, setting.method, recipe, len(steps), case.seed)
    trainee = Trainee(model, setting.method, recipe, setting.batching, "cpu")
    losses = train(trainee, steps, silent, silent).losses
    return losses, score(setting, trainee).quality["loss"]


@pytest.mark.slow
def test_lean_losses_are_the_plain_ones_on_the_embedded_model():
    (plain, held_out), (thin, held_out_thin) = (embedded_run(method) for method in ("qlora", "qlora_lean"))
    assert thin == pytest.approx(plain, rel=LEAN_CLOSE)
    assert held_out_thin == pytest.approx(held_out, rel=LEAN_CLOSE)
