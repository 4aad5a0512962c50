"""Every check of suites/test_libraries.py fails when the fault that it is for is planted in the library."""

import importlib.util
import warnings

import bitsandbytes.optim.optimizer
import peft.peft_model
import pytest
import torch
import transformers.loss.loss_utils
from peft import LoraModel
from peft.tuners.lora import Linear
from transformers import PreTrainedModel, Trainer
from transformers.models.bert import modeling_bert

from bench.core.paths import SUITES
from bench.worker.check.libraries import adapter_files, losses, subjects, trainer, vocabulary
from bench.worker.check.libraries.checks import Checks

torch.set_num_threads(1)


def load_suite():
    spec = importlib.util.spec_from_file_location("suite_of_libraries", SUITES / "test_libraries.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SUITE = load_suite()


def check(name, **arguments):
    """What a worker answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(Checks, name)(**arguments)


def changed(monkeypatch, owner, name, change):
    """Replace a library's function by change(original, *arguments)."""
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments, **named: change(original, *arguments, **named))


def nothing(original, *arguments, **named):
    return None


def mean_over_all_positions(original, source, target, num_items_in_batch=None, ignore_index=-100, **named):
    return original(source, target, None, ignore_index) * target.ne(ignore_index).sum() / target.numel()


def mean_of_means(original, self, batches, device):
    """Trainer without the count of labels: micro-batches of few labels weigh as much as those of many."""


def zeroed_matrix(original, self, *arguments, **named):
    found = original(self, *arguments, **named)
    next(p for name, p in self.named_parameters() if "lora_B" in name).data.zero_()
    return found


def widened(original, self, adapter_name, autocast_adapter_dtype=True, **named):
    return original(self, adapter_name=adapter_name, autocast_adapter_dtype=True, **named)


def without_embeddings(original, *arguments, **named):
    return original(*arguments, **{**named, "save_embedding_layers": False})


def doubled(original, self, adapter):
    return 2 * original(self, adapter)


def full_precision(original, self, *arguments):
    return {**original(self, *arguments), "min_8bit_size": 10**9}


def rounded(original, path, *arguments, **named):
    """A file of weights that lost half of their digits."""
    return {name: (one * 64).round() / 64 for name, one in original(path, *arguments, **named).items()}


ACCUMULATION = SUITE.test_accumulation_gives_the_large_batch
RESUMED = SUITE.test_resumed_training_is_the_same
PACKED = SUITE.test_packed_optimizer_states_survive_a_checkpoint
LOADERS = SUITE.test_transformers_loads_an_adapter_as_peft_does
PRECISION = SUITE.test_16_bit_adapter_stays_in_16_bits
TOKENS = SUITE.test_new_tokens_survive_saving_and_merging
TIED = SUITE.test_tied_head_survives_saving_and_merging
LOSS = SUITE.test_models_own_loss_is_ours

PLANTED = {
    "a mean over padding": (
        (transformers.loss.loss_utils, "fixed_cross_entropy", mean_over_all_positions),
        LOSS, ("tiny_llama", "ignored"), "the mean over the labels that count is",
    ),
    "a sum instead of a mean": (
        (modeling_bert, "CrossEntropyLoss", lambda original: original(reduction="sum")),
        LOSS, ("tiny_bert", "whole"), "has a loss of .* the mean over the labels that count is",
    ),
    "micro-batches weighed alike": (
        (Trainer, "_get_num_items_in_batch", mean_of_means),
        ACCUMULATION, ("tiny_llama",), "Trainer's losses of tiny_llama with gradient accumulation",
    ),
    "optimizer state dropped": (
        (torch.optim.AdamW, "load_state_dict", nothing),
        RESUMED, ("tiny_llama",), "Trainer's losses for tiny_llama are .* the optimizer and the random numbers",
    ),
    "schedule dropped": (
        (torch.optim.lr_scheduler.LambdaLR, "load_state_dict", nothing),
        RESUMED, ("tiny_bert",), "is the scheduler's state loaded from the checkpoint",
    ),
    "random numbers dropped": (
        (Trainer, "_load_rng_state", nothing),
        RESUMED, ("tiny_bert",), "Trainer's losses for tiny_bert",
    ),
    "packed states dropped": (
        (bitsandbytes.optim.optimizer.Optimizer8bit, "load_state_dict", nothing),
        PACKED, ("tiny_bert",), "Trainer's losses for tiny_bert",
    ),
    "packed states kept in float32": (
        (bitsandbytes.optim.optimizer.Optimizer8bit, "get_config", full_precision),
        PACKED, ("tiny_llama",), "are kept in {'float32': 6}; expected uint8 alone",
    ),
    "a matrix not loaded by transformers": (
        (PreTrainedModel, "load_adapter", zeroed_matrix),
        LOADERS, ("tiny_llama", "lora"), "loaded by transformers, the saved adapter of lora gives tiny_llama logits",
    ),
    "an adapter widened to float32": (
        (LoraModel, "_cast_adapter_dtype", widened),
        PRECISION, ("tiny_llama", "bfloat16"), "autocast_adapter_dtype=False the bfloat16 adapter .* is in float32",
    ),
    "an adapter rounded on loading": (
        (peft.utils.save_and_load, "safe_load_file", rounded),
        PRECISION, ("tiny_llama", "float16"), "loading changed the values of",
    ),
    "rows of new tokens lost": (
        (peft.peft_model, "get_peft_model_state_dict", without_embeddings),
        TOKENS, ("tiny_bert", "frozen"), "are the rows of new tokens missing from the file",
    ),
    "a delta merged twice": (
        (Linear, "get_delta_weight", doubled),
        TOKENS, ("tiny_llama", "tokens"), "merged, the adapter .tokens. of tiny_llama gives logits that differ",
    ),
    "a tie cut": (
        (PreTrainedModel, "tie_weights", nothing),
        TIED, ("tiny_llama", "frozen"), "tied head|tied to its embedding",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_caught(fault, monkeypatch):
    (owner, name, change), test, arguments, sentence = PLANTED[fault]
    changed(monkeypatch, owner, name, change)
    with pytest.raises(AssertionError, match=sentence):
        test(*arguments, check)


def test_adapter_without_effect_is_not_compared(monkeypatch):
    monkeypatch.setattr(adapter_files, "move_adapter", lambda model: None)
    with pytest.raises(AssertionError, match="so nothing was compared"):
        LOADERS("tiny_llama", "lora", check)


def test_batches_of_a_step_have_padding_and_ignored_labels_or_neither():
    whole, ignored = (losses.batches_of("tiny_llama", kind)[0] for kind in (losses.WHOLE, losses.IGNORED))
    assert whole.attention_mask.all()
    assert (whole.labels != -100).all()
    assert not ignored.attention_mask.all()
    assert 0 < ignored.scored < ignored.tokens - len(ignored.input_ids)
    parts = losses.batches_of("tiny_llama", losses.PARTS)
    assert len({batch.scored for batch in parts}) > 1  # a mean of means would differ


def test_new_rows_of_two_bases_differ(tmp_path):
    subjects.frozen_base("tiny_llama").save_pretrained(tmp_path)
    one, other = (vocabulary.resized(tmp_path, "tiny_llama", seed) for seed in (1, 2))
    for table in ("get_input_embeddings", "get_output_embeddings"):
        first, second = (getattr(base, table)().weight for base in (one, other))
        assert torch.equal(first[: -vocabulary.NEW_TOKENS], second[: -vocabulary.NEW_TOKENS])
        assert not torch.equal(first[-1], second[-1])


def test_small_tensors_are_not_counted_as_packed():
    wide, narrow = torch.nn.Parameter(torch.ones(64, 64)), torch.nn.Parameter(torch.ones(64))
    optimizer = torch.optim.AdamW([wide, narrow])
    (wide.sum() + narrow.sum()).backward()
    optimizer.step()
    assert trainer.state_dtypes(optimizer) == {"float32": 1}
