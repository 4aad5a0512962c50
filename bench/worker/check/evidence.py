"""Evidence that training happened, and that the method keeps its promises: taken on every case.

Logits are compared on a few held-out examples by their relative distance ||a - b|| / ||b||.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper
from torch import Tensor

from bench.methods import Method
from bench.tasks import Example
from bench.worker.ask.generate import greedy, longest
from bench.worker.build.precision import autocast
from bench.worker.train.batches import Batching
from bench.worker.train.trainee import Trainee

EXAMPLES = 2
LENGTH = 48
SHORT_LENGTH = 16
EIGHT_BIT_SIZE = 4096  # bitsandbytes keeps the states of smaller tensors in 32 bits
GENERATED = 8  # tokens of a held-out example's continuation, which ends at LENGTH at the latest


class Probe:
    """Logits of the same few examples at any time: (positions, classes), in float32, in host memory.

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

    def in_float32(self) -> "Probe":
        """The same examples, read without autocast."""
        found = copy.copy(self)
        found.batching = replace(self.batching, recipe=replace(self.batching.recipe, precision="float32"))
        return found

    @torch.no_grad()
    def outputs(self, model: Any, training: bool = False, **more: Any) -> Any:
        """What the model gives in evaluation, or in training mode, where dropout acts; the model's own mode stays."""
        was_training = model.training
        model.train(training)
        with autocast(self.batching.recipe, self.device):
            found = model(**self.batch.inputs(), **more)
        model.train(was_training)
        return found

    def head_inputs(self, model: Any) -> Tensor:
        """What the output layer reads, in float32: the last hidden states."""
        hidden: Tensor = self.outputs(model, output_hidden_states=True).hidden_states[-1]
        return hidden.float().cpu()

    def __call__(self, model: Any, training: bool = False) -> Tensor:
        """The logits in evaluation, or in training mode."""
        logits = self.outputs(model, training).logits
        logits = logits[:, logits.shape[1] - self.batch.input_ids.shape[1] :]  # without virtual tokens
        return logits[self.batch.attention_mask.bool()].float().cpu()


def distance(seen: Tensor, expected: Tensor) -> float:
    """Relative distance of logits; 0 where they are equal to the bit."""
    return float(torch.linalg.norm(seen - expected) / torch.linalg.norm(expected))


def dropout_evidence(model: Any, probe: Probe) -> dict[str, float]:
    """How far two forward passes of the same examples are apart, in training mode and in evaluation.

    Of a model that was trained: an adapter that still adds nothing drops nothing either.
    """
    return {
        "training_passes_distance": distance(probe(model, training=True), probe(model, training=True)),
        "evaluation_passes_distance": distance(probe(model), probe(model)),
    }


def gradient_evidence(model: Any) -> dict[str, int]:
    """How many of the tensors that train got no gradient in a step, or one that is all zeros; should be 0.

    Weight decay alone changes a tensor too, so a change proves nothing without this.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return {"trained_without_gradient": sum(p.grad is None or not p.grad.any() for p in trained)}


def optimizer_evidence(optimizer: torch.optim.Optimizer) -> dict[str, int]:
    """Of how many trained tensors the optimizer keeps the states in 8 bits, and how many are large enough for it."""
    trained = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    return {
        "large_trained_tensors": sum(tensor.numel() >= EIGHT_BIT_SIZE for tensor in trained),
        "states_in_8_bits": sum(
            any(getattr(value, "dtype", None) == torch.uint8 for value in optimizer.state[tensor].values())
            for tensor in trained
        ),
    }


def switched_off(model: Any, probe: Probe) -> Tensor:
    """Logits with the adapter disabled; the new head, if any, is the untrained one again."""
    if not model.active_peft_config.is_prompt_learning:
        trains = {parameter: parameter.requires_grad for parameter in model.parameters()}
        with model.disable_adapter():
            logits = probe(model)
        for parameter, trained in trains.items():  # peft lets all of an adapter train that it switches on
            parameter.requires_grad_(trained)
        return logits
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
    """How far the logits of generation, a token at a time with a cache, are from those of one forward pass."""
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


def promises_of(method: Method) -> dict[str, bool]:
    """What the method promises, stored next to the evidence."""
    names = ("identity_at_start", "disable_gives_base", "keeps_base", "mergeable", "quantised", "is_adapter")
    return {name: bool(getattr(method, name)) for name in names}
