"""Emulation of a smaller card on the one that is there, in a worker (`--emulate`).

Speed is the real card's; memory, number formats and attention kernels are the emulated one's.
"""

import torch

from bench.machine.cards import GIB, CardKind


class CannotRun(RuntimeError):
    """The case cannot run here; the executor records it as not run, with this reason."""


def emulate(card: CardKind, device: str) -> str:
    """Cap this process at the card's memory and switch off the features that it lacks. Returns a sentence on both.

    Raises CannotRun if the real card is smaller.
    """
    _, total = torch.cuda.mem_get_info(device)
    if why := card.why_not_on(torch.cuda.get_device_name(device), total):
        raise CannotRun(why)
    torch.cuda.set_per_process_memory_fraction(min(1.0, card.usable_bytes / total), device)
    done = f"emulates {card.name}: at most {card.usable_bytes / GIB:.2f} GiB of {total / GIB:.2f} for tensors"
    if not card.supports_flash_attention:
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_cudnn_sdp(False)
        done += ", no flash attention"
    return done if card.supports_bfloat16 else f"{done}, float16 for bfloat16"
