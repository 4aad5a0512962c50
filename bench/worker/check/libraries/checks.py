"""The checks of the libraries' own ways as one object in a worker, so that one process serves all of them."""

import warnings
from typing import Any

import torch

from bench.worker.check.libraries.adapter_files import compare_loaders, compare_precisions
from bench.worker.check.libraries.losses import compare_losses
from bench.worker.check.libraries.trainer import compare_accumulation, compare_resumed
from bench.worker.check.libraries.vocabulary import compare_vocabularies
from bench.worker.quiet import quiet
from bench.worker.train.trainee import Say


class Checks:
    """Each method runs one check and returns its figures."""

    def __init__(self, payload: dict[str, Any], say: Say) -> None:
        quiet()
        torch.set_num_threads(1)  # further threads would only wait: the models are 64 wide
        warnings.simplefilter("ignore")  # peft warns of what the checks try on purpose

    loss = staticmethod(compare_losses)
    accumulation = staticmethod(compare_accumulation)
    resumed = staticmethod(compare_resumed)
    loaders = staticmethod(compare_loaders)
    precision = staticmethod(compare_precisions)
    vocabulary = staticmethod(compare_vocabularies)
