"""Evidence that training happened, and that the method keeps its promises: taken on every case.

Logits are compared on a few held-out examples by their relative distance ||a - b|| / ||b||.
"""

import gc
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from bench.batches import Batching
from bench.build import dequantise, load_adapter
from bench.generation import greedy, longest
from bench.measure.memory import free_bytes
from bench.measure.parameters import elements, held_bytes
from bench.methods import Method
from bench.precision import adapter_dtype, autocast, compute_dtype
from bench.tasks import Example
from bench.tolerances import UNIT_ROUNDING
from bench.train import Trainee

EXAMPLES = 2
LENGTH = 48
SHORT_LENGTH = 16
GENERATED = 8  # tokens of a held-out example's continuation, which ends at LENGTH at the latest
WORD = 4  # bytes
ROUNDED_ROWS = 1024  # of a weight at a time: a head over a vocabulary would take gigabytes in float32
HASHED_WORDS = {"cpu": 1 << 17, "cuda": 1 << 20}  # at a time: what a processor's cache holds, few kernels on a card
MIXER = -7046029254386353131  # 2^64 / golden ratio as a signed integer: spreads places over all bits


class Probe:
    """Logits on the same few examples, whenever asked; (positions, classes), in float32, in host memory.

    They are kept while the model trains, and on the card would count as its memory: 131 MB of 128,256 words.
    """

    def __init__(self, batching: Batching, device: str, examples: Sequence[Example], length: int = LENGTH) -> None:
        shortened = [Example(e.key, e.input_ids[:length], e.labels[:length]) for e in examples[:EXAMPLES]]
        padded = replace(batching, recipe=replace(batching.recipe, padding="longest"))  # whatever training's shape is
        self.batch = padded.one(shortened).to(device)
        self.batching, self.device, self.examples = batching, device, examples[:EXAMPLES]

    def short(self) -> "Probe":
        """The beginning of the first example alone, for what one short row shows as well."""
        return Probe(self.batching, self.device, self.examples[:1], SHORT_LENGTH)

    @torch.no_grad()
    def __call__(self, model: Any, training: bool = False) -> Tensor:
        """The logits in evaluation, or in training mode, where dropout acts; the model's own mode stays."""
        was_training = model.training
        model.train(training)
        with autocast(self.batching.recipe, self.device):
            logits = model(**self.batch.inputs()).logits
        model.train(was_training)
        logits = logits[:, logits.shape[1] - self.batch.input_ids.shape[1] :]  # without virtual tokens
        return logits[self.batch.attention_mask.bool()].float().cpu()


def distance(seen: Tensor, expected: Tensor) -> float:
    """Relative distance of logits; 0 where they are equal to the bit."""
    return float(torch.linalg.norm(seen - expected) / torch.linalg.norm(expected))


def fingerprint(model: Any, trained: bool) -> dict[str, int]:
    """A 64-bit hash of each parameter that trains (or that does not), by name."""
    return {
        name: hash_bits(parameter.detach())
        for name, parameter in model.named_parameters()
        if parameter.requires_grad == trained
    }


def hash_bits(tensor: Tensor) -> int:
    """A 64-bit hash of the tensor's bits and their places, on its device: sum of 32-bit word x odd weight mod 2^64.

    A change of any one word changes it, for its weight is odd. Changes of several cancel only where their
    weights' upper halves happen to; words of 64 bits would let signs cancel, for 2^63 (a + b) is 0 for any two
    odd weights, and torch.hash_tensor's exclusive or does not see two words that change places.
    """
    octets = tensor.contiguous().reshape(-1).view(torch.uint8)
    if rest := -len(octets) % WORD:
        octets = nn.functional.pad(octets, (0, rest))
    words = octets.view(torch.int32)
    size = HASHED_WORDS[words.device.type]
    weights = torch.arange(1, min(len(words), size) + 1, device=words.device) * MIXER
    weights = (weights ^ (weights >> 32)) * MIXER | 1
    total = torch.tensor(len(words), device=words.device)
    for part in words.split(size):
        total = total * MIXER + (part.long() * weights[: len(part)]).sum()
    return int(total) % 2**64


def changes(before: dict[str, int], model: Any, trained: bool) -> dict[str, Any]:
    """How many of the tensors changed since before, and of those that train the names of any that did not."""
    after = fingerprint(model, trained)
    same = [name for name, value in before.items() if after[name] == value]
    return {"tensors": len(before), "changed": len(before) - len(same), **({"unchanged": same} if trained else {})}


def dropout_evidence(model: Any, probe: Probe) -> dict[str, float]:
    """How far two forward passes of the same examples are apart, in training mode and in evaluation.

    Of a model that was trained: an adapter that still adds nothing drops nothing either.
    """
    return {
        "training_passes_distance": distance(probe(model, training=True), probe(model, training=True)),
        "evaluation_passes_distance": distance(probe(model), probe(model)),
    }


def gradient_evidence(model: Any) -> dict[str, int]:
    """How many of the tensors that train got no gradient in a step, or one that is zero throughout; ought to be 0.

    Weight decay alone would change a tensor too, so that it changed proves nothing without this.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return {"trained_without_gradient": sum(p.grad is None or not p.grad.any() for p in trained)}


def switched_off(model: Any, probe: Probe) -> Tensor:
    """Logits with the adapter disabled; the new head, if any, is the untrained one again."""
    if not model.active_peft_config.is_prompt_learning:
        with model.disable_adapter():
            return probe(model)
    # peft 0.21's own switch fails for a token classifier with virtual tokens, so its parts are switched
    heads = [module for module in model.modules() if isinstance(module, ModulesToSaveWrapper)]
    for head in heads:
        head.enable_adapters(False)
    logits = probe(model.get_base_model())
    for head in heads:
        head.enable_adapters(True)
    return logits


@torch.no_grad()
def generation_distance(trainee: Trainee, example: Example) -> float:
    """How far the logits that generating goes by, a token at a time behind a cache, are from those of one reading."""
    trainee.model.eval()
    most = min(LENGTH, longest(trainee)) - GENERATED
    prompt = torch.tensor([example.input_ids[:most]]) % trainee.batching.vocabulary
    told = greedy(
        trainee, prompt, torch.ones_like(prompt), GENERATED, min_new_tokens=GENERATED, pad_token_id=0,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    with autocast(trainee.recipe, trainee.device):
        read = trainee.model(input_ids=told.sequences[:, :-1]).logits[0, -GENERATED:]
    return distance(torch.cat(told.logits).float(), read.float())


def saved_bytes(folder: Path) -> int:
    """Size on disk of the weights that were saved."""
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def read_back(
    trainee: Trainee,
    probe: Probe,
    tuned: Tensor,
    make_base: Callable[[], Any],
    release: Callable[[], None],
    needs_rounding: Callable[[dict[str, Any]], bool],
) -> dict[str, Any]:
    """Save what was trained, put it on a fresh base, compare; merge it there (a quantised base
    dequantised), compare again. Where a card has no room for the dequantised base that is left out, and
    `merge_not_checked` says so.

    needs_rounding(found) says whether a distance is larger than reason alone allows. Only then is it measured what a
    rounding of every weight does to this model (`rounding_distance`).

    release() drops the trained model before the fresh one is built, so that both need not fit at once.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(trainee, folder)
        found: dict[str, Any] = {"adapter_bytes": saved_bytes(folder)}
        method = trainee.method
        release()
        fresh = make_base()
        kept = adapter_dtype(trainee.recipe)
        fresh = load_adapter(fresh, folder, kept) if method.is_adapter else load_weights(fresh, folder)
        found["reload_distance"] = distance(probe(fresh), tuned)
        if method.quantised:
            needed = bytes_dequantised(fresh, compute_dtype(trainee.recipe))
            del fresh
            if lacking := lacks_room(needed, trainee.device):
                reason = f"merging was not checked: the dequantised base takes {lacking}"
                return {**found, "merge_not_checked": reason}
            fresh = load_adapter(dequantise(make_base()), folder, kept)
    if method.mergeable:
        fresh = fresh.merge_and_unload()
        found["merge_distance"] = distance(probe(fresh), tuned)
    if needs_rounding(found):
        logits = probe(fresh)
        round_again(fresh, UNIT_ROUNDING[trainee.recipe.precision])
        found["rounding_distance"] = distance(probe(fresh), logits)
    return found


@torch.no_grad()
def round_again(model: Any, unit: float) -> None:
    """Move every weight matrix by a random share of at most one unit of rounding, in place.

    How far that moves the logits is how much this model makes of a rounding: random weights make more of it
    than pretrained ones do, and merging cannot be held to less.
    """
    generator = torch.Generator(next(model.parameters()).device).manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Linear | Conv1D):
            for rows in module.weight.split(ROUNDED_ROWS):
                share = torch.rand(rows.shape, generator=generator, device=rows.device) * 2 - 1
                rows.copy_(rows.float() * (1 + unit * share))


def bytes_dequantised(model: Any, plain: torch.dtype) -> int:
    """What the model takes while its packed layers are made plain again, one after the other, at the most."""
    packed = sum(elements(p) for p in model.parameters() if not p.is_floating_point())
    return held_bytes(model) + packed * plain.itemsize


def lacks_room(needed: int, device: str) -> str:
    """So many bytes beside those that are free on the card; empty where they have a place there."""
    if device == "cpu":
        return ""
    gc.collect()
    torch.cuda.empty_cache()
    free = free_bytes(device) or 0
    if needed <= free:
        return ""
    return f"{needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free on the card"


def save(trainee: Trainee, folder: Path) -> None:
    """The adapter by peft; for methods that train the model itself, the tensors that train."""
    from safetensors.torch import save_file

    if trainee.method.is_adapter:
        trainee.model.save_pretrained(str(folder))
        return
    trained = {name: p.detach().contiguous() for name, p in trainee.model.named_parameters() if p.requires_grad}
    save_file(trained, folder / "model.safetensors")


def load_weights(model: Any, folder: Path) -> Any:
    """The saved tensors in a fresh model, in their own precision."""
    from safetensors.torch import load_file

    own = dict(model.named_parameters())
    for name, tensor in load_file(folder / "model.safetensors").items():
        own[name].data = tensor.to(own[name].device)
    return model


def promises_of(method: Method) -> dict[str, bool]:
    """What the method says of itself, stored beside what was seen."""
    names = ("identity_at_start", "disable_gives_base", "keeps_base", "mergeable", "quantised", "is_adapter")
    return {name: bool(getattr(method, name)) for name in names}
