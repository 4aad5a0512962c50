"""IEC's connections act only through their scalars, which peft saves and switches with the adapter."""

import torch
from tiny_trainees import tiny_trainee

from bench.methods import ADAPTER_NAME, METHODS
from bench.worker.check.rebuilt import fill


@torch.no_grad()
def logits(model):
    return model.eval()(input_ids=torch.arange(8, 24)[None]).logits


def test_without_its_scalars_it_is_lora():
    model, plain = tiny_trainee(method="iec").model, tiny_trainee(method="lora_all").model
    fill(model, METHODS["iec"], ADAPTER_NAME, seed=1)
    values = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            parameter.copy_(values[name])
        for name, parameter in values.items():
            if "lora_scalars" in name:
                assert parameter.abs().min() > 0
                parameter.zero_()
    torch.testing.assert_close(logits(model), logits(plain))
