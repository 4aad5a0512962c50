"""Evidence that a row's logits do not depend on padding, nor on the rows that it shares a batch with."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bench.models import DECODER, ModelEntry
from bench.worker.ask.generate import greedy
from bench.worker.build.precision import autocast
from bench.worker.check.evidence import Probe, distance
from bench.worker.train.trainee import Trainee

PADDING = 4  # tokens; beside virtual tokens a row may have as few as eight positions
PADDED = (
    "batch_distance",
    "right_padding_distance",
    "left_padding_distance",
    "left_padded_generation_distance",
)


@torch.no_grad()
def padding_evidence(trainee: Trainee, entry: ModelEntry, probe: Probe) -> dict[str, float]:
    """How far a row's logits are from those that it has alone: in a batch, padded on the right, and on the left.

    A decoder's next token is also generated from the row padded on the left. The other row of each batch is the first
    one reversed. What the method cannot do is left out.
    """
    trainee.model.eval()
    size = min(int(probe.batch.attention_mask[0].sum()), trainee.method.longest_row(entry, trainee.recipe) - PADDING)
    row = probe.batch.input_ids[:1, :size]
    rows = torch.cat([row, row.flip(1)])
    single = logits_of(trainee, row, torch.ones_like(row))
    found = {
        "batch_distance": (logits_of(trainee, rows, torch.ones_like(rows)), single),
        "right_padding_distance": (logits_of(trainee, *padded(trainee, rows, 0, PADDING))[:size], single),
    }
    if not trainee.method.pads_right_only:
        ids, mask = padded(trainee, rows, PADDING, 0)
        positions = (mask.cumsum(1) - 1).clamp(min=0) + first_position(trainee.model, entry)
        logits = logits_of(trainee, ids, mask, position_ids=positions)[PADDING:]
        found["left_padding_distance"] = (logits, single)
        if entry.kind == DECODER:
            found["left_padded_generation_distance"] = (next_logits(trainee, ids, mask), single[-1:])
    return {name: distance(logits, alone) for name, (logits, alone) in found.items()}


def padded(trainee: Trainee, rows: Tensor, left: int, right: int) -> tuple[Tensor, Tensor]:
    """The rows with this many more tokens at each side, and their mask; the second row's are tokens like any other."""
    pad = trainee.batching.pad % trainee.batching.vocabulary
    ids = functional.pad(rows, (left, right), value=pad)
    mask = functional.pad(torch.ones_like(rows), (left, right))
    ids[1, mask[1] == 0] = rows[1, 0]
    mask[1] = 1
    return ids, mask


def first_position(model: Any, entry: ModelEntry) -> int:
    return model.config.pad_token_id + 1 if entry.family.positions_after_padding else 0


def logits_of(trainee: Trainee, ids: Tensor, mask: Tensor, **more: Any) -> Tensor:
    """Logits of each token of the first row, in float32."""
    with autocast(trainee.recipe, trainee.device):
        logits = trainee.model(input_ids=ids, attention_mask=mask, **more).logits
    return logits[0, logits.shape[1] - ids.shape[1] :].float()  # without virtual tokens


def next_logits(trainee: Trainee, ids: Tensor, mask: Tensor) -> Tensor:
    """The logits of the first row's next token, as generation gives them."""
    told = greedy(
        trainee, ids, mask, 1, min_new_tokens=1, pad_token_id=0, output_logits=True, return_dict_in_generate=True
    )
    return told.logits[0][:1].float()
