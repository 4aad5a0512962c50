"""What libraries import and compute at their first use, done before workers are forked, so that no case waits for it.

torch's first optimizer imports its compiler, scores import scikit-learn and seqeval, and counts of FLOPs fvcore. peft's
first adapter makes transformers build a table of all of its models. The machine is described once for all cases. Beside
a card workers are forked before anything of this package is imported, and pay for these themselves.
"""

import contextlib

import seqeval.metrics  # noqa: F401
import sklearn.metrics  # noqa: F401
import torch._dynamo  # noqa: F401
import transformers.optimization  # noqa: F401

from bench.machine.environment import describe_machine

with contextlib.suppress(ImportError):  # FLOPs are counted without fvcore too
    import fvcore.nn  # noqa: F401

with contextlib.suppress(ImportError):  # a release of transformers without the table
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("bert")

describe_machine()
