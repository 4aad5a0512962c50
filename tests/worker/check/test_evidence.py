"""Evidence turns red: each fault is planted by hand and must be seen."""

from dataclasses import replace

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from tiny_trainees import TINY, bare_trainee, tiny_base, tiny_batching, tiny_examples, tiny_recipe, tiny_trainee
from torch import nn
from torch.nn import functional
from transformers.cache_utils import DynamicLayer

from bench.methods import METHODS
from bench.methods.tolerances import UNIT_ROUNDING, reload_tolerance, rounding_tolerance
from bench.models import MODELS
from bench.worker.ask.generate import greedy
from bench.worker.build.adapter import load_adapter
from bench.worker.case import changed_base
from bench.worker.check import evidence
from bench.worker.check import read_back as read_back_module
from bench.worker.check.evidence import distance
from bench.worker.check.fingerprint import HASHED_WORDS, changes, fingerprint, hash_bits
from bench.worker.check.read_back import bytes_dequantised, lacks_room, read_back, round_again, saved_bytes

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.int8, torch.uint8, torch.float64]
WORDS = HASHED_WORDS["cpu"]
HALVES = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def always(found):
    """The rounding of this model is measured whatever the distances are."""
    return True


def with_b(trainee):
    """The trainee with an adapter that is no longer 0, as after training."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in trainee.model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return trainee


def probe_of(trainee, model="tiny_llama"):
    return evidence.Probe(trainee.batching, "cpu", tiny_examples(model, 4))


def first_frozen(model):
    return next(p for p in model.parameters() if not p.requires_grad)


@pytest.mark.parametrize("place", [0, 12, -1])
def test_a_frozen_weight_changed_by_hand_is_seen(place):
    model = tiny_trainee().model
    before = fingerprint(model, trained=False)
    values = first_frozen(model).data.view(torch.int32).view(-1)
    values[place] ^= 1  # the least bit of one weight
    assert changes(before, model, trained=False) == {"tensors": len(before), "changed": 1}


def test_an_untouched_model_is_unchanged():
    model = tiny_trainee().model
    before = fingerprint(model, trained=False)
    assert changes(before, model, trained=False)["changed"] == 0


def test_a_tensor_that_trains_and_stays_is_named():
    model = tiny_trainee().model
    before = fingerprint(model, trained=True)
    names = list(before)
    for name, parameter in model.named_parameters():
        parameter.data += float(name in names[1:])
    found = changes(before, model, trained=True)
    assert found == {"tensors": len(names), "changed": len(names) - 1, "unchanged": names[:1]}


def test_a_parameter_without_gradient_is_counted():
    model = tiny_trainee().model
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.grad = torch.ones_like(parameter)
    trained[0].grad = None
    trained[1].grad.zero_()
    assert evidence.gradient_evidence(model) == {"trained_without_gradient": 2}


def test_a_base_moved_while_attaching_is_counted():
    loaded = {"weight": 1, "other": 2, "third": 3}
    assert changed_base(loaded, {"base.weight": 1, "base.other": 9, "lora_A": 3}) == 1


@pytest.mark.parametrize(("dropout", "differs"), [(0.0, False), (0.1, True)])
@pytest.mark.parametrize(
    ("model", "checkpointing"),
    [(name, on) for name in TINY for on in (False, True) if MODELS[name].family.checkpoints or not on],
)
def test_dropout_is_seen_in_training_alone(model, checkpointing, dropout, differs):
    recipe = tiny_recipe(model, dropout=dropout, gradient_checkpointing=checkpointing)
    trainee = with_b(tiny_trainee(model, "lora", recipe))
    trainee.model.eval()
    seen = evidence.dropout_evidence(trainee.model, probe_of(trainee, model))
    assert (seen["training_passes_distance"] > 0) is differs
    assert seen["evaluation_passes_distance"] == 0
    assert not trainee.model.training


def test_dropout_that_acts_in_evaluation_is_seen():
    trainee = tiny_trainee()
    trainee.model.get_input_embeddings().register_forward_hook(lambda layer, given, out: functional.dropout(out, 0.1))
    seen = evidence.dropout_evidence(trainee.model, probe_of(trainee))
    assert seen["evaluation_passes_distance"] > 0


@pytest.fixture
def reading(monkeypatch):
    """Reads a trained LoRA back after a fault is planted: in the saved file, or in what was loaded."""

    def read(spoil_file=None, spoil_model=None, method="lora"):
        recipe = tiny_recipe(method=method)
        trainee = with_b(tiny_trainee("tiny_llama", method, recipe))
        probe = probe_of(trainee)

        def load(model, folder, kept):
            path = folder / "adapter_model.safetensors"
            if spoil_file:
                save_file({name: spoil_file(name, tensor) for name, tensor in load_file(path).items()}, path)
            loaded = load_adapter(model, folder, kept)
            return spoil_model(loaded) if spoil_model else loaded

        monkeypatch.setattr(read_back_module, "load_adapter", load)
        tuned = probe(trainee.model)
        return read_back(trainee, probe, tuned, lambda: tiny_base("tiny_llama", method, recipe), lambda: None, always)

    return read


def tolerances(found, method="lora"):
    """(of reading back, of merging), the latter with what a rounding was seen to do."""
    arguments = (METHODS[method], MODELS["tiny_llama"], "float32")
    return reload_tolerance(*arguments), rounding_tolerance(*arguments, rounding_distance=found["rounding_distance"])


@pytest.mark.parametrize("method", ["lora", "lora_all", "qlora", "rslora"])
def test_a_whole_adapter_reads_back(reading, method):
    found = reading(method=method)
    reloaded, merged = tolerances(found, method)
    assert found["reload_distance"] <= reloaded
    assert found["merge_distance"] <= merged
    assert found["adapter_bytes"] > 0


def test_a_saved_adapter_with_b_zeroed_does_not_read_back(reading):
    found = reading(spoil_file=lambda name, tensor: tensor * ("lora_B" not in name))
    assert found["reload_distance"] > 1000 * tolerances(found)[1]


def test_one_wrong_number_in_the_file_is_seen(reading):
    def spoil(name, tensor):
        tensor.view(-1)[0] += ("layers.0" in name and "lora_B" in name) * 0.01
        return tensor

    found = reading(spoil_file=spoil)
    assert found["reload_distance"] > tolerances(found)[0]


def doubled(model):
    """The adapter at twice its scale, where it is loaded and where it is merged."""
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.scaling = {name: 2 * value for name, value in module.scaling.items()}
    return model


def test_a_wrong_scale_exceeds_the_tolerances(reading):
    found = reading(spoil_model=doubled)
    reloaded, merged = tolerances(found)
    assert found["reload_distance"] > reloaded
    assert found["merge_distance"] > merged


def scaled_only_in_merging(model):
    """Reads back well, and merges B A at a scale that is a thousandth off."""
    for module in model.modules():
        if hasattr(module, "get_delta_weight"):
            right = module.get_delta_weight
            module.get_delta_weight = lambda adapter, right=right: 1.001 * right(adapter)
    return model


def test_a_merge_a_thousandth_off_is_seen(reading):
    found = reading(spoil_model=scaled_only_in_merging)
    reloaded, merged = tolerances(found)
    assert found["reload_distance"] <= reloaded
    assert found["merge_distance"] > merged


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_again_moves_weights_by_at_most_one_unit(dtype):
    unit = UNIT_ROUNDING[str(dtype).removeprefix("torch.")]
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)).to(dtype)
    before = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
    round_again(model, unit)
    moved = {name: (p.detach().double() - before[name]).abs() for name, p in model.named_parameters()}
    assert moved["0.weight"].count_nonzero() > 0
    assert (moved["0.weight"] <= (unit + torch.finfo(dtype).eps) * before["0.weight"].abs()).all()
    assert not any(moved[name].any() for name in moved if name != "0.weight")


def test_a_model_that_makes_more_of_roundings_is_allowed_more():
    method, model = METHODS["qlora"], MODELS["bert_base"]
    reasoned = rounding_tolerance(method, model, "bfloat16")
    assert rounding_tolerance(method, model, "bfloat16", rounding_distance=reasoned / 10) == reasoned
    assert rounding_tolerance(method, model, "bfloat16", rounding_distance=reasoned) == 2 * reasoned


def test_weights_that_are_not_saved_do_not_read_back(monkeypatch):
    recipe = tiny_recipe(method="full")
    trainee = tiny_trainee("tiny_llama", "full", recipe)
    trainee.model.lm_head.weight.data += 0.01
    probe = probe_of(trainee)
    monkeypatch.setattr(read_back_module, "load_weights", lambda model, folder: model)
    found = read_back(
        trainee, probe, probe(trainee.model), lambda: tiny_base("tiny_llama", "full", recipe), int, always
    )
    assert found["reload_distance"] > 0


@pytest.fixture
def answering():
    """A trained LoRA, and how far its generation may be from one reading."""
    allowed = rounding_tolerance(METHODS["lora"], MODELS["tiny_llama"], "float32")
    return with_b(tiny_trainee("tiny_llama")), allowed


def test_an_adapter_that_generation_leaves_out_is_seen(answering, monkeypatch):
    trainee, allowed = answering
    example = tiny_examples(count=1)[0]
    assert evidence.generation_distance(trainee, example) <= allowed

    def without(*asked, **options):
        with trainee.model.disable_adapter():
            return greedy(*asked, **options)

    monkeypatch.setattr(evidence, "greedy", without)
    assert evidence.generation_distance(trainee, example) > 1000 * allowed


def test_a_cache_that_mixes_up_what_it_holds_is_seen(answering, monkeypatch):
    trainee, allowed = answering
    update = DynamicLayer.update

    def mixed(self, keys, values, *rest, **more):
        """What the prompt gives stays; behind it, the first token's values are the last one's."""
        one = keys.shape[-2] == 1
        keys, values = update(self, keys, values, *rest, **more)
        return keys, values.roll(1, dims=-2) if one else values

    monkeypatch.setattr(DynamicLayer, "update", mixed)
    assert evidence.generation_distance(trainee, tiny_examples(count=1)[0]) > 1000 * allowed


def test_a_generated_answer_keeps_within_the_positions():
    recipe = tiny_recipe("tiny_gpt2", "prompt", virtual_tokens=504)  # which leave 8
    trainee = tiny_trainee("tiny_gpt2", "prompt", recipe)
    allowed = rounding_tolerance(METHODS["prompt"], MODELS["tiny_gpt2"], "float32")
    assert evidence.generation_distance(trainee, tiny_examples("tiny_gpt2", 1)[0]) <= allowed


def test_an_adapter_that_stays_on_is_seen():
    trainee = with_b(tiny_trainee())
    probe = probe_of(trainee)
    base = probe(bare_trainee("tiny_llama", "lora", trainee.recipe).model)
    assert distance(evidence.switched_off(trainee.model, probe), base) == 0
    first_frozen(trainee.model).data += 0.01  # a base that did not stay as it was
    assert distance(evidence.switched_off(trainee.model, probe), base) > 0


@pytest.mark.parametrize(
    ("model", "method"),
    [(name, method) for name in TINY for method in ("prefix", "prompt") if METHODS[method].suits(MODELS[name])],
)
def test_switching_off_virtual_tokens_is_undone(model, method):
    trainee = tiny_trainee(model, method)
    probe = probe_of(trainee, model)
    before = probe(trainee.model)
    evidence.switched_off(trainee.model, probe)
    assert torch.equal(probe(trainee.model), before)


def test_probing_leaves_the_mode_and_skips_padding():
    trainee = tiny_trainee()
    probe = probe_of(trainee)
    trainee.model.train()
    logits = probe(trainee.model)
    assert trainee.model.training
    assert logits.shape == (sum(map(len, tiny_examples(count=4)[: evidence.EXAMPLES])), 264)


def test_distance_is_relative():
    assert distance(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == pytest.approx(0.1)
    assert distance(torch.ones(3), torch.ones(3)) == 0


def random_tensor(dtype, size=1001):
    generator = torch.Generator().manual_seed(0)
    octets = torch.randint(0, 256, (size * dtype.itemsize,), generator=generator, dtype=torch.uint8)
    return octets.view(dtype)


def bits(tensor):
    return tensor.view(HALVES[tensor.dtype.itemsize])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_hash_sees_every_single_flipped_bit(dtype):
    tensor = random_tensor(dtype, 9)
    octets = tensor.view(torch.uint8)
    hashes = {hash_bits(tensor)}
    for place in range(8 * len(octets)):
        octets[place // 8] ^= 1 << place % 8
        hashes.add(hash_bits(tensor))
        octets[place // 8] ^= 1 << place % 8
    assert len(hashes) == 8 * len(octets) + 1


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("distance_apart", [1, 2, 8, 500])
def test_hash_sees_two_numbers_that_change_places(dtype, distance_apart):
    tensor = bits(random_tensor(dtype))
    before = hash_bits(tensor)
    tensor[[3, 3 + distance_apart]] = tensor[[3 + distance_apart, 3]]
    assert hash_bits(tensor) != before


@pytest.mark.parametrize("bit", [0, 15, 31])
@pytest.mark.parametrize("second", [1, 2, 3, 8, 9, 900])
def test_hash_sees_the_same_bit_flipped_in_two_numbers(bit, second):
    tensor = random_tensor(torch.float32)
    before = hash_bits(tensor)
    mask = torch.tensor([1 << bit], dtype=torch.int64).to(torch.int32)
    bits(tensor)[[5, 5 + second]] ^= mask
    assert hash_bits(tensor) != before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("step", [1, 2])
def test_hash_sees_signs_that_change(dtype, step):
    tensor = torch.linspace(1, 2, 1024).to(dtype)
    before = hash_bits(tensor)
    tensor[1::step] *= -1
    assert hash_bits(tensor) != before


def test_hash_sees_rows_that_change_places():
    matrix = random_tensor(torch.float32, 64 * 64).view(64, 64)
    assert hash_bits(matrix.flip(0)) != hash_bits(matrix)
    assert hash_bits(matrix.T) != hash_bits(matrix)


def test_hash_sees_another_number_of_zeros():
    assert len({hash_bits(torch.zeros(size)) for size in range(0, 20, 2)}) == 10


def test_hash_reaches_past_the_part_it_takes_at_a_time():
    tensor = torch.zeros(2 * WORDS + 6)
    before = hash_bits(tensor)
    tensor[-1] = 1
    last = hash_bits(tensor)
    tensor[-1], tensor[3] = 0, 1
    assert len({before, last, hash_bits(tensor)}) == 3


def test_hash_is_of_values_and_not_of_their_layout():
    matrix = random_tensor(torch.float32, 64).view(8, 8)
    assert hash_bits(matrix.T.contiguous().T) == hash_bits(matrix)
    assert hash_bits(nn.Parameter(torch.ones(5)).detach()) == hash_bits(torch.ones(5))


def test_hash_repeats_and_fits_64_bits():
    tensor = random_tensor(torch.float32)
    assert hash_bits(tensor) == hash_bits(tensor.clone())
    assert 0 <= hash_bits(tensor) < 2**64


def test_promises_are_the_methods():
    method = replace(METHODS["pissa"], mergeable=False)
    told = evidence.promises_of(method)
    assert (told["mergeable"], told["keeps_base"], told["is_adapter"]) == (False, False, True)


def test_saved_bytes_count_weights_alone(tmp_path):
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x" * 100)
    (tmp_path / "adapter_config.json").write_bytes(b"x" * 7)
    assert saved_bytes(tmp_path) == 100


@pytest.mark.parametrize("padding", ["longest", "max_length"])
def test_probe_is_as_short_as_its_examples_whatever_training_pads_to(padding):
    probe = evidence.Probe(tiny_batching("tiny_llama", tiny_recipe(padding=padding)), "cpu", tiny_examples())
    assert probe.batch.input_ids.shape == (evidence.EXAMPLES, 24)


def test_bytes_dequantised_are_those_of_the_plain_base():
    """At the most: what is packed is still there when the last layer is made plain."""
    recipe = tiny_recipe(method="qlora")
    packed, plain = (tiny_base("tiny_llama", method, recipe) for method in ("qlora", "lora"))
    held = sum(parameter.numel() * parameter.element_size() for parameter in packed.parameters())
    linear = sum(layer.weight.numel() for name, layer in plain.named_modules()
                 if isinstance(layer, nn.Linear) and name != "lm_head")  # fmt: skip
    assert bytes_dequantised(packed, torch.bfloat16) == held + 2 * linear


@pytest.mark.parametrize(("free", "says"), [(4, ""), (3, "4.0 GiB and 3.0 GiB are free on the card")])
def test_merge_steps_aside_where_a_card_has_no_room(monkeypatch, free, says):
    monkeypatch.setattr(read_back_module, "free_bytes", lambda device: free * 2**30)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert lacks_room(4 * 2**30, "cuda:0") == says
    assert lacks_room(2**60, "cpu") == ""


def test_read_back_says_that_merging_was_not_checked(monkeypatch):
    trainee = with_b(tiny_trainee(method="qlora", recipe=tiny_recipe(method="qlora")))
    probe = probe_of(trainee)
    monkeypatch.setattr(read_back_module, "lacks_room", lambda needed, device: "no room")
    seen = read_back(trainee, probe, probe(trainee.model),
                     lambda: tiny_base("tiny_llama", "qlora", trainee.recipe), lambda: None, always)  # fmt: skip
    assert seen["merge_not_checked"].endswith("takes no room")
    assert "rounding_distance" not in seen
    assert seen["reload_distance"] == 0
    assert "merge_distance" not in seen
