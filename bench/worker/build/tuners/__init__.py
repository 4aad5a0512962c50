"""Variants of LoRA that peft lacks, added to its adapters: IEC (of IR-QLoRA), ResLoRA and DyLoRA.

    variant.py    what a variant is, and how peft comes to know it
    iec.py        means of the inputs beside A, and repeats of A x beside B
    reslora.py    the updates of the layers before, added to each layer's own
    dylora.py     a rank drawn for each step, and every smaller one to choose afterwards

Importing this module registers them in this process, so that their adapters can also be loaded.
"""

from bench.worker.build.tuners import dylora, iec, reslora  # noqa: F401  (register themselves)
