"""Every method on every tiny architecture keeps what it promises, in float32 and in bfloat16.

Each pair lives once: built, attached, trained three steps, saved, read back, merged; many tests look at it.
"""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import bitsandbytes
import pytest
import torch
from bitsandbytes.functional import QuantState
from peft.tuners.lora.layer import LoraLayer
from tiny_trainees import (
    ONE,
    PAIRS,
    TINY,
    TINY_DECODERS,
    bare_trainee,
    labels_of,
    silent,
    tiny_base,
    tiny_batching,
    tiny_examples,
    tiny_recipe,
    tiny_trainee,
)
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from bench.core.case import Case
from bench.core.recipe import SIZES
from bench.methods import INT8, METHODS, NF4, PLAIN, Attach, Method, Unsupported
from bench.methods.parameters import formula
from bench.methods.tolerances import reload_tolerance, rounding_tolerance, start_tolerance
from bench.models import DECODER, ENCODER, MODELS, BadEntry
from bench.models.shapes import positions, target_layers
from bench.recipes.of_case import recipe_for
from bench.sources import find_weights
from bench.tasks import TASKS
from bench.worker.build.adapter import attach, configuration
from bench.worker.build.base import dropout_reasons, prepare_base
from bench.worker.build.quantise import ROUNDED, dequantise, is_head, quantise
from bench.worker.case import changed_base
from bench.worker.check import evidence
from bench.worker.check.adapted import weight_of
from bench.worker.check.fingerprint import changes, fingerprint
from bench.worker.check.read_back import read_back
from bench.worker.measure import flops
from bench.worker.measure.parameters import figures
from bench.worker.train.backward import backward
from bench.worker.train.loop import train
from bench.worker.train.steps import plan_steps

STEPS = 12  # enough for AdaLoRA's whole schedule
PRECISIONS = ("float32", "bfloat16")
UNSUITED = [(name, method.name) for name in TINY for method in METHODS if not method.suits(MODELS[name])]
BY_PAIR = pytest.mark.parametrize(("model", "name"), PAIRS)


def lives(having=lambda method: True, models=TINY):
    """Parameters (model, name, precision) of the pairs that suit; of methods that run when named most are slow."""

    def beyond(model, method, precision):
        return method.named_only and (model, precision) != (ONE, PRECISIONS[0])

    return pytest.mark.parametrize(
        ("model", "name", "precision"),
        [
            pytest.param(model, method.name, precision, marks=[pytest.mark.slow] * beyond(model, method, precision))
            for model in models
            for method in METHODS
            if method.suits(MODELS[model]) and having(method)
            for precision in PRECISIONS
        ],
    )


QUANTISED = [pair for pair in PAIRS if METHODS[pair[1]].quantised]
CONFIGS = {
    NF4: {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": torch.float32,
    },
    INT8: {"load_in_8bit": True},
}


@cache
def life(model, name, precision):
    """What is seen of the pair from its base to its merged model."""
    recipe = tiny_recipe(model, name, precision=precision, max_steps=STEPS, learning_rate=5e-3)
    bare = bare_trainee(model, name, recipe)
    examples = tiny_examples(model, 8)
    probe = evidence.Probe(bare.batching, "cpu", examples)
    base_logits = probe(bare.model)
    loaded = fingerprint(bare.model, False) | fingerprint(bare.model, True)
    trainee = replace(bare, model=attach(bare.model, MODELS[model], METHODS[name], recipe, STEPS, 0))
    frozen, trained = fingerprint(trainee.model, False), fingerprint(trainee.model, True)
    seen = {
        "figures": figures(trainee.model, MODELS[model], METHODS[name], recipe, labels_of(model)),
        "dtypes": {parameter.dtype for parameter in trainee.model.parameters() if parameter.requires_grad},
        "start": evidence.distance(probe(trainee.model), base_logits),
        "changed_by_attaching": changed_base(loaded, frozen | trained),
    }
    train(trainee, plan_steps(trainee.batching, examples, 0), silent, silent)
    seen["base"] = changes(frozen, trainee.model, False)
    seen["trained"] = changes(trained, trainee.model, True)
    tuned = probe(trainee.model)
    seen["moved"] = evidence.distance(tuned, base_logits)
    seen["report"] = trainee.method.report(trainee.model) if trainee.method.report else {}
    if trainee.method.is_adapter:
        seen["off"] = evidence.distance(evidence.switched_off(trainee.model, probe), base_logits)
    backward(trainee, [probe.batch])
    seen |= evidence.gradient_evidence(trainee.model)
    seen["frozen_with_gradient"] = [path for path, parameter in trainee.model.named_parameters()
                                    if parameter.grad is not None and not parameter.requires_grad]  # fmt: skip
    if MODELS[model].kind == DECODER:
        seen["generation"] = evidence.generation_distance(trainee, examples[0])
    seen |= read_back(trainee, probe, tuned, lambda: tiny_base(model, name, recipe), lambda: None, lambda found: True)
    return seen


def kept(name):
    """The precision of what the method trains."""
    return "bfloat16" if name == "qlora_lean" else "float32"


@lives()
def test_trainable_parameters_are_the_formulas(model, name, precision):
    counted = life(model, name, precision)["figures"]
    assert counted["trainable_parameters"] == counted["trainable_parameters_formula"]


@lives()
def test_what_trains_is_kept_as_the_recipe_says(model, name, precision):
    assert life(model, name, precision)["dtypes"] == {getattr(torch, kept(name))}


@lives()
def test_frozen_weights_get_no_gradient_and_stay(model, name, precision):
    seen = life(model, name, precision)
    assert seen["frozen_with_gradient"] == []
    assert seen["base"]["changed"] == 0


@lives()
def test_all_that_trains_gets_a_gradient_and_changes(model, name, precision):
    seen = life(model, name, precision)
    assert seen["trained_without_gradient"] == 0
    assert [name for name in seen["trained"]["unchanged"] if not name.endswith("key.bias")] == []
    assert seen["moved"] > 0


@lives(lambda method: method.identity_at_start)
def test_untrained_method_gives_the_bases_logits(model, name, precision):
    seen = life(model, name, precision)
    allowed = start_tolerance(METHODS[name], MODELS[model], precision, seen.get("rounding_distance", 0.0))
    assert seen["start"] <= allowed


@lives(lambda method: not method.identity_at_start)
def test_a_start_that_is_no_identity_moves_the_logits(model, name, precision):
    assert life(model, name, precision)["start"] > 0


@lives(lambda method: method.keeps_base)
def test_attaching_keeps_the_base(model, name, precision):
    assert life(model, name, precision)["changed_by_attaching"] == 0


@lives()
def test_saved_and_read_back_it_gives_the_same_logits(model, name, precision):
    seen = life(model, name, precision)
    assert seen["reload_distance"] <= reload_tolerance(METHODS[name], MODELS[model], precision)


@lives(lambda method: method.mergeable)
def test_merge_keeps_logits(model, name, precision):
    seen = life(model, name, precision)
    allowed = rounding_tolerance(
        METHODS[name], MODELS[model], precision, kept(name), seen.get("rounding_distance", 0.0)
    )
    assert seen["merge_distance"] <= allowed


@lives(models=TINY_DECODERS)
def test_generating_goes_by_the_logits_of_one_reading(model, name, precision):
    allowed = rounding_tolerance(METHODS[name], MODELS[model], precision, kept(name))
    assert life(model, name, precision)["generation"] <= allowed


@lives(lambda method: method.is_adapter and method.disable_gives_base)
def test_switched_off_it_gives_the_bases_logits(model, name, precision):
    assert life(model, name, precision)["off"] == 0


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", TINY)
def test_adalora_ends_at_its_budget(model, precision):
    report = life(model, "adalora", precision)["report"]
    rank = tiny_recipe(model, "adalora").rank
    assert report["rank_total"] == report["adapted_layers"] * rank
    assert report["rank_smallest"] < rank < report["rank_largest"]


@pytest.mark.parametrize(("model", "name"), UNSUITED)
def test_unsuited_pair_says_why(model, name):
    entry, method = MODELS[model], METHODS[name]
    with pytest.raises(Unsupported, match=f"^{name} does not suit {model}: .{{20,}}"):
        prepare_base(entry, find_weights(entry, None), labels_of(model), method, tiny_recipe(model, name), 0, "cpu")


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("miss", {"rank": 12}, "rank = 12 does not divide 64, a width of self_attn.q_proj"),
        ("gralora", {"rank": 3}, "rank = 3 must be a multiple of 2, the blocks on each side of W"),
        ("oft", {"block_size": 48}, "block_size = 48 does not divide 64, a width of self_attn.q_proj"),
        ("c3a", {"block_size": 64}, "block_size = 64 does not divide 32, a width of self_attn.k_proj"),
        ("shira", {"rank": 40}, "rank = 40 asks for 5,120 weights of self_attn.q_proj, which has 4,096"),
    ],
)
def test_a_recipe_that_does_not_fit_the_models_widths_says_so(name, changes, sentence):
    with pytest.raises(Unsupported, match=f"^{name} does not fit tiny_llama: {sentence}$"):
        METHODS[name].check(MODELS["tiny_llama"], tiny_recipe(method=name, **changes))


@pytest.mark.parametrize("task", [task.name for task in TASKS if not task.variant_of])
def test_every_recipe_fits_every_model_of_a_real_size(task):
    choosy = [method for method in METHODS if method.misfit is not METHODS["lora"].misfit]
    assert len(choosy) >= 6
    for entry, method in [(entry, method) for entry in MODELS if not entry.tiny for method in choosy]:
        layers, recipe = (
            target_layers(entry, method.targets(entry)),
            recipe_for(Case(task, entry.name, method.name, "cpu")),
        )
        assert method.misfit(layers, recipe) == "", (entry.name, method.name)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_method_of_the_other_kind_says_so(kind):
    method = replace(METHODS["lora"], kinds=(kind,))
    other = next(entry for entry in MODELS if entry.kind != kind)
    with pytest.raises(Unsupported, match=f"it is for {kind} models"):
        method.check(other, tiny_recipe())


@pytest.mark.parametrize("name", [method.name for method in METHODS if not method.packs])
def test_virtual_tokens_refuse_packed_rows(name):
    with pytest.raises(Unsupported, match="packing = false"):
        METHODS[name].check(MODELS["tiny_llama"], tiny_recipe(method=name, packing=True))


@pytest.mark.parametrize("name", ["full", "lora"])
@pytest.mark.parametrize("model", [entry.name for entry in MODELS if entry.kind == ENCODER and entry.tiny])
def test_encoders_refuse_packed_rows(model, name):
    recipe = tiny_recipe(model, name)
    METHODS[name].check(MODELS[model], recipe)
    with pytest.raises(Unsupported, match=rf"^packed rows are for decoders: {model} is .* packing = false$"):
        METHODS[name].check(MODELS[model], replace(recipe, packing=True))


def gradients(model, name, checkpointing):
    """Of a batch, by parameter; what does not train has none."""
    trainee = tiny_trainee(model, name, tiny_recipe(model, name, gradient_checkpointing=checkpointing))
    trainee.model.train()
    torch.manual_seed(0)  # of dropout
    backward(trainee, [trainee.batching.one(tiny_examples(model, 4))])
    return {path: parameter.grad for path, parameter in trainee.model.named_parameters() if parameter.requires_grad}


CHECKPOINTING = [pair for pair in PAIRS if METHODS[pair[1]].checkpoints and MODELS[pair[0]].family.checkpoints]


@pytest.mark.parametrize(("model", "name"), CHECKPOINTING)
def test_checkpointing_changes_no_gradient(model, name):
    torch.testing.assert_close(gradients(model, name, True), gradients(model, name, False))


def test_checkpointing_is_refused_where_transformers_has_none():
    with pytest.raises(Unsupported, match="tiny_mpnet has no gradient checkpointing: transformers' mpnet cannot"):
        gradients("tiny_mpnet", "lora", True)
    assert not tiny_base("tiny_mpnet", "lora", tiny_recipe("tiny_mpnet")).supports_gradient_checkpointing


def test_prefix_is_refused_where_a_model_takes_no_keys():
    assert METHODS["prefix"].refusal(MODELS["tiny_mpnet"]) == (
        "prefix does not suit tiny_mpnet: transformers' mpnet takes no keys and values"
    )


@pytest.mark.parametrize(("model", "name"), [pair for pair in PAIRS if not METHODS[pair[1]].checkpoints])
def test_checkpointing_is_refused_where_it_would_drop_what_trains(model, name, monkeypatch):
    with pytest.raises(Unsupported, match=f"{name} cannot train {model} under gradient checkpointing"):
        gradients(model, name, True)
    monkeypatch.setitem(METHODS._entries, name, replace(METHODS[name], checkpoints=True))
    with pytest.raises(RuntimeError, match="size of tensor"):  # the mask still has the positions that were dropped
        gradients(model, name, True)


@cache
def with_dropout(model, name, dropout):
    """Losses of a few steps, and evidence of dropout after them."""
    recipe = tiny_recipe(model, name, dropout=dropout, learning_rate=5e-3)
    trainee = tiny_trainee(model, name, recipe)
    examples = tiny_examples(model, 8)
    losses = train(trainee, plan_steps(trainee.batching, examples, 0), silent, silent).losses
    return losses, evidence.dropout_evidence(trainee.model, evidence.Probe(trainee.batching, "cpu", examples))


@BY_PAIR
def test_dropout_changes_every_methods_training_and_no_evaluation(model, name):
    losses, seen = with_dropout(model, name, 0.5)
    assert losses != with_dropout(model, name, 0.0)[0]
    assert seen["training_passes_distance"] > 0
    assert seen["evaluation_passes_distance"] == 0


@BY_PAIR
def test_without_dropout_two_passes_in_training_are_equal(model, name):
    """The base's own dropout is off too: 0.1 by the configs of BERT, RoBERTa and GPT-2."""
    assert with_dropout(model, name, 0.0)[1] == {"training_passes_distance": 0, "evaluation_passes_distance": 0}


@BY_PAIR
def test_adapter_dropout_is_a_field_of_pefts_configuration(model, name):
    config = METHODS[name].run(Attach(MODELS[model], tiny_recipe(model, name, dropout=0.5), STEPS))
    rates = [value for field, value in (vars(config) if config else {}).items() if field.endswith("_dropout")]
    assert METHODS[name].adapter_dropout == (0.5 in rates)
    assert sum(map(bool, rates)) <= 1


REASONS = [
    ("tiny_bert", "lora", 0.0, ["the base's own dropout (hidden_dropout_prob 0.1, attention_probs_dropout_prob 0.1) is "
                                "off: the recipe has dropout = 0"]),
    ("tiny_gpt2", "lora", 0.2, ["the base's own dropout (resid_pdrop 0.1, embd_pdrop 0.1, attn_pdrop 0.1) is off: "
                                "dropout = 0.2 acts in the adapter"]),
    ("tiny_gpt2", "ia3", 0.0, ["the base's own dropout (resid_pdrop 0.1, embd_pdrop 0.1, attn_pdrop 0.1) is off: "
                               "the recipe has dropout = 0"]),
    ("tiny_llama", "full", 0.2, ["full has no dropout of its own: dropout = 0.2 acts in the base (its config has "
                                 "attention_dropout 0.0)"]),
    ("tiny_llama", "lora", 0.2, []),
    ("tiny_llama", "full", 0.0, []),
]  # fmt: skip


@pytest.mark.parametrize(("model", "name", "dropout", "says"), REASONS)
def test_the_record_says_what_becomes_of_the_bases_dropout(model, name, dropout, says):
    entry, recipe = MODELS[model], tiny_recipe(model, name, dropout=dropout)
    assert dropout_reasons(entry, find_weights(entry, None), METHODS[name], recipe) == says


def test_dropout_without_a_layer_for_it_is_refused(monkeypatch):
    monkeypatch.setattr("bench.worker.build.base.DROPOUTS", ())
    entry, recipe = MODELS["tiny_llama"], tiny_recipe(method="full", dropout=0.2)
    with pytest.raises(Unsupported, match=r"neither full nor tiny_llama has a dropout to set to 0.2; dropout = 0.0"):
        dropout_reasons(entry, find_weights(entry, None), METHODS["full"], recipe)


@pytest.mark.parametrize(("model", "name"), [pair for pair in PAIRS if pair[1] in ("lora_all", "full", "prefix")])
def test_dropout_is_in_no_count_of_flops(model, name):
    entry, method, found = MODELS[model], METHODS[name], []
    for dropout in (0.0, 0.5):
        recipe = tiny_recipe(model, name, dropout=dropout)
        forward, _ = flops.forward_counts(tiny_base(model, name, recipe), entry, recipe, labels_of(model))
        trained = tiny_trainee(model, name, recipe).model
        found.append((forward, flops.step_counts(trained, entry, method, recipe, labels_of(model))))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["full", "lora", "qlora"])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_roberta"])
def test_a_random_encoders_head_follows_the_seed_and_its_base_does_not(model, name):
    first, again, other = (tiny_base(model, name, tiny_recipe(model, name), seed).state_dict() for seed in (0, 0, 1))
    changed = {key for key in first if not torch.equal(first[key], other[key])}
    assert changed == {"classifier.weight"}
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize(("model", "name"), [pair for pair in PAIRS if pair[1] in ("lora", "prefix", "prompt")])
def test_positions_are_as_many_as_the_model_takes(model, name):
    entry, method = MODELS[model], METHODS[name]
    trainee = tiny_trainee(model, name, tiny_recipe(model, name, virtual_tokens=3))
    longest = positions(entry) - method.virtual_tokens(trainee.recipe)
    ids = torch.full((1, longest + 1), 9)
    with torch.no_grad():
        assert trainee.model(input_ids=ids[:, 1:], attention_mask=torch.ones_like(ids[:, 1:])).logits.shape[0] == 1
        if entry.family.llama_like:  # whose positions are no table
            assert positions(entry) == trainee.model.config.max_position_embeddings
            return
        with pytest.raises((IndexError, RuntimeError)):
            trainee.model(input_ids=ids, attention_mask=torch.ones_like(ids))


@pytest.mark.parametrize("name", [method.name for method in METHODS if not method.packs])
def test_virtual_tokens_that_leave_no_room_are_refused(name):
    with pytest.raises(Unsupported, match=f"{name}'s 505 virtual tokens leave less than 8 of tiny_gpt2's 512 pos"):
        METHODS[name].check(MODELS["tiny_gpt2"], tiny_recipe("tiny_gpt2", name, virtual_tokens=505))


def test_head_of_a_model_without_one_says_so():
    bare = bare_trainee("tiny_llama", "head", tiny_recipe())
    bare.model.lm_head = None
    with pytest.raises(Unsupported, match="LlamaForCausalLM has no output layer to train"):
        attach(bare.model, MODELS["tiny_llama"], METHODS["head"], tiny_recipe(), 1, 0)


@pytest.mark.parametrize("name", ["dora", "lora", "pissa"])
def test_seed_fixes_the_start(name):
    first, again, other = (fingerprint(tiny_trainee(method=name, seed=seed).model, True) for seed in (0, 0, 1))
    assert first == again
    assert (first != other) == METHODS[name].keeps_base  # PiSSA's start is a decomposition, without chance


@pytest.mark.parametrize(("model", "name"), QUANTISED)
def test_every_linear_layer_but_the_head_is_packed(model, name):
    base = tiny_base(model, name, tiny_recipe(model, name))
    packed = {NF4: bitsandbytes.nn.Linear4bit, INT8: bitsandbytes.nn.Linear8bitLt}[METHODS[name].storage]
    linear = {path: module for path, module in base.named_modules() if isinstance(module, nn.Linear | Conv1D)}
    assert {path for path, module in linear.items() if not isinstance(module, packed)} == set(filter(is_head, linear))
    assert sum(isinstance(module, packed) for module in linear.values()) >= 8


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder for each tiny decoder, with its weights as transformers saves them."""
    folders = {}
    for model in TINY_DECODERS:
        folders[model] = tmp_path_factory.mktemp(model)
        tiny_base(model, "full", tiny_recipe(model)).save_pretrained(folders[model])
    return folders


@pytest.fixture(scope="module")
def two_ways(saved):
    """The same saved weights quantised by bench.worker.build.base and by transformers while it loads them."""

    def build(model, storage):
        ours = AutoModelForCausalLM.from_pretrained(saved[model], dtype=torch.float32, attn_implementation="eager")
        theirs = AutoModelForCausalLM.from_pretrained(
            saved[model],
            dtype=torch.float32,
            attn_implementation="eager",
            quantization_config=BitsAndBytesConfig(**CONFIGS[storage]),
        )
        for module in theirs.modules():
            # ours never repacks for inference, see quantise; repacked products are rounded to bfloat16
            module.support_avx512bf16_for_cpu = False
        return SimpleNamespace(ours=quantise(ours, storage, torch.float32).eval(), theirs=theirs.eval())

    return cache(build)


def states(model):
    """What each packed layer stores: codes and scales, by the layer's path."""
    found = {}
    for path, module in model.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            found[path] = [module.weight.data.flatten(), *scales(module.weight.quant_state)]
        if isinstance(module, bitsandbytes.nn.Linear8bitLt):
            found[path] = [module.weight.CB, module.weight.SCB]
    return found


def scales(state: QuantState):
    return state.absmax, state.state2.absmax, state.offset


@pytest.mark.parametrize("storage", CONFIGS)
@pytest.mark.parametrize("model", TINY_DECODERS)
def test_quantised_codes_are_those_of_transformers(model, storage, two_ways):
    pair = two_ways(model, storage)
    ours, theirs = states(pair.ours), states(pair.theirs)
    assert ours.keys() == theirs.keys()
    assert [path for path in ours if not all(map(torch.equal, ours[path], theirs[path]))] == []


@pytest.mark.filterwarnings("ignore:MatMul8bitLt")  # bitsandbytes 0.50 tells of its float16 at every product
@pytest.mark.parametrize("storage", CONFIGS)
@pytest.mark.parametrize("model", TINY_DECODERS)
@torch.no_grad()
def test_quantised_logits_are_those_of_transformers(model, storage, two_ways):
    pair, ids = two_ways(model, storage), torch.arange(8, 40)[None]
    assert torch.equal(pair.ours(input_ids=ids).logits, pair.theirs(input_ids=ids).logits)


@pytest.mark.parametrize(("model", "name"), QUANTISED)
@torch.no_grad()
def test_dequantised_base_gives_the_quantised_ones_logits(model, name):
    recipe = tiny_recipe(model, name)
    probe = evidence.Probe(tiny_batching(model, recipe), "cpu", tiny_examples(model, 4))
    quantised, plain = (probe(tiny_base(model, name, recipe)), probe(dequantise(tiny_base(model, name, recipe))))
    assert evidence.distance(plain, quantised) <= rounding_tolerance(METHODS[name], MODELS[model], "float32")


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_gpt2", "tiny_llama"])
@torch.no_grad()
def test_loftq_starts_with_the_largest_part_of_what_packing_rounds_off(model):
    """Each adapted weight is nearer to the one before packing, by as much as any update of this rank can bring it."""
    recipe = tiny_recipe(model, "loftq")
    base = tiny_base(model, "lora_all", recipe)
    before = dict(base.named_modules())  # which packing leaves as they are
    packed = quantise(base, NF4, torch.float32, rounded_rank=recipe.rank).requires_grad_(False)
    tuned = attach(packed, MODELS[model], METHODS["loftq"], recipe, 1, 0)
    adapted = [(name, layer) for name, layer in tuned.named_modules() if isinstance(layer, LoraLayer)]
    for name, layer in adapted:
        plain = before[name.removeprefix("base_model.model.")]
        weight = plain.weight.T if isinstance(plain, Conv1D) else plain.weight
        lost = weight - weight_of(layer)
        left = lost - layer.lora_B["default"].weight @ layer.lora_A["default"].weight * layer.scaling["default"]
        sizes = torch.linalg.svdvals(lost)
        assert torch.linalg.norm(left) < 0.95 * torch.linalg.norm(lost)
        torch.testing.assert_close(torch.linalg.norm(left), torch.linalg.norm(sizes[recipe.rank :]), rtol=1e-3, atol=0)
    assert len(adapted) >= 8


def test_what_loftq_starts_from_is_kept_for_attaching_alone():
    entry, recipe = MODELS[ONE], tiny_recipe(ONE, "loftq")
    arguments = (entry, find_weights(entry, None), 0, METHODS["loftq"], recipe, 0, "cpu")
    base, to_attach = prepare_base(*arguments), prepare_base(*arguments, to_attach=True)
    attached = attach(prepare_base(*arguments, to_attach=True), entry, METHODS["loftq"], recipe, 1, 0)
    keeping = [sum(ROUNDED in vars(layer) for layer in model.modules()) for model in (base, to_attach, attached)]
    assert keeping == [0, len(target_layers(entry, METHODS["loftq"].targets(entry))), 0]


def test_shiras_places_follow_the_seed_and_are_the_same_in_layers_of_one_shape():
    def places(seed):
        modules = tiny_trainee(ONE, "shira", seed=seed).model.named_modules()
        return [layer.shira_indices["default"] for name, layer in modules if name.endswith("q_proj")]

    (first, second), other = places(0), places(1)
    assert torch.equal(first, second)
    assert not torch.equal(first, other[0])


def test_a_plain_base_is_not_packed():
    assert METHODS["lora"].storage == PLAIN
    assert states(tiny_base("tiny_llama", "lora", tiny_recipe())) == {}


def test_adalora_refuses_to_prune_upwards():
    recipe = tiny_recipe("tiny_llama", "adalora", rank=16, initial_rank=12)
    with pytest.raises(Unsupported, match="adalora prunes from initial_rank = 12 to rank = 16"):
        METHODS["adalora"].check(MODELS["tiny_llama"], recipe)


@pytest.mark.parametrize("task", TASKS.names())
def test_adalora_begins_above_its_rank_in_every_recipe(task):
    for size in SIZES:
        recipe = recipe_for(Case(task, "llama31_8b", "adalora", "cuda"), size)
        assert recipe.initial_rank > recipe.rank


def test_start_is_held_to_the_larger_of_reason_and_sight():
    model, dora = MODELS["llama31_8b"], METHODS["dora"]
    reasoned = start_tolerance(dora, model, "bfloat16")
    assert start_tolerance(dora, model, "bfloat16", reasoned / 2) == reasoned
    assert start_tolerance(dora, model, "bfloat16", 2 * reasoned) == 2 * reasoned
    assert start_tolerance(METHODS["lora"], model, "bfloat16", 2 * reasoned) == 0
    assert start_tolerance(METHODS["olora"], model, "bfloat16", 2 * reasoned) == 4 * reasoned


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"storage": "nf8"}, "the method lora has storage = 'nf8'; it must be one of plain, int8, nf4"),
        ({"trains": "adapters"}, "the method lora has trains = 'adapters'; it must be one of all, head, adapter"),
    ],
)
def test_a_method_that_cannot_be_is_refused(change, sentence):
    with pytest.raises(BadEntry, match=f"^{sentence}$"):
        replace(METHODS["lora"], **change)


OWN = Method("own", "one function", lambda attaching: nn.Linear(2, 2))  # all that a person must say
RECIPE_OF_OWN = recipe_for(Case("pos", "tiny_bert", "lora", "cpu"))


def test_a_method_that_gives_a_module_is_refused_in_one_sentence():
    with pytest.raises(Unsupported) as raised:
        configuration(OWN, Attach(MODELS["tiny_bert"], RECIPE_OF_OWN, 1))
    assert str(raised.value) == (
        "own gives a Linear where a configuration of peft is expected, as LoraConfig; a module of your own becomes a "
        "method through peft.utils.register_peft_method"
    )


def test_a_method_without_a_formula_is_counted_and_compared_with_nothing():
    counted = figures(nn.Linear(2, 3), MODELS["tiny_bert"], OWN, RECIPE_OF_OWN, 0)
    assert counted == {"trainable_parameters": 9, "total_parameters": 9}
    with pytest.raises(Unsupported, match="own states no formula of its parameters; give it count="):
        formula(MODELS["tiny_bert"], OWN, RECIPE_OF_OWN, 0)


def test_thin_products_need_a_formula():
    with pytest.raises(BadEntry, match="the method own has thin_products and no count"):
        replace(OWN, thin_products=True)
