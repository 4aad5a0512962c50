"""Kept weights of tiny models whose base lies in a folder, as from the Hub: what the tests of keeping share."""

import contextlib
from dataclasses import replace

import torch
from tiny_trainees import silent

from bench.core.case import Case
from bench.core.work import CaseWork
from bench.methods import METHODS
from bench.models import DECODER, MODELS
from bench.recipes.of_case import recipe_for
from bench.records.kept import ADAPTER
from bench.sources.tokenizer import byte_tokenizer
from bench.worker.build.adapter import attach
from bench.worker.build.base import build_base, prepare_base
from bench.worker.keep.writing import Keeper
from bench.worker.setup import set_up
from bench.worker.timeline import Timeline

torch.set_num_threads(1)
HUB_ID, REVISION = "somebody/tiny", "0123456789abcdef0123456789abcdef01234567"
TASK_OF = {"tiny_llama": "support", "tiny_bert": "pos"}
SMALL = {"max_steps": 3, "train_examples": 160, "evaluation_examples": 4, "precision": "float32", "max_length": 256}


@contextlib.contextmanager
def model_in_folder(folder, tiny="tiny_llama", seed=0, name=""):
    """An entry whose weights are random but lie in a folder, so that they have a digest; its name."""
    from bench.sources import find_weights

    entry = MODELS[tiny]
    name = name or f"stored_{tiny}"
    torch.manual_seed(seed)
    model = build_base(entry, find_weights(entry, None), 0 if entry.kind == DECODER else 3, seed, torch.float32, "cpu")
    for parameter in model.parameters():
        parameter.data += 0.02 * seed
    (model if entry.kind == DECODER else model.base_model).save_pretrained(folder)  # the Hub's encoders have no head
    byte_tokenizer().save_pretrained(folder)
    MODELS.put(name, replace(entry, name=name, folder=str(folder), hub_id=HUB_ID, revision=REVISION))
    try:
        yield name
    finally:
        MODELS.remove(name)


def setting_of(model, method, task="", **overrides):
    """The setting of a case of the stored model."""
    case = Case(task or TASK_OF[model.removeprefix("stored_")], model, method, "cpu")
    work = CaseWork(case, recipe_for(case, "sample", **{**SMALL, **overrides}))
    return set_up(work, silent, Timeline())


def tuned_model(setting, scale=0.05, seed=0):
    """The model with what the method adds, moved as training would."""
    arguments = (setting.entry, setting.weights, setting.labels, setting.method, setting.recipe, setting.case.seed)
    base = prepare_base(*arguments, "cpu", to_attach=True)
    model = attach(base, setting.entry, setting.method, setting.recipe, 3, setting.case.seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += (scale * torch.randn(parameter.shape, generator=generator)).to(parameter.dtype)
    return model.eval()


def keep(setting, model, folder, wanted=ADAPTER):
    """Keep the model's weights in the folder; what the record says of it."""
    keeper = Keeper(setting, wanted, folder, {"loss": 5.0}, {"loss": 4.0})
    keeper.keep_trained(model)
    return keeper.kept


@torch.no_grad()
def logits(model, ids=None):
    ids = torch.arange(8, 24)[None] if ids is None else ids
    return model.eval()(input_ids=ids).logits.float()


ADAPTERS = [method.name for method in METHODS if method.is_adapter and not method.after]
