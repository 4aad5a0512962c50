"""Modules that libraries import at their first use, loaded before workers are forked, so that no case waits for them.

torch's first optimizer imports its compiler, and scores import scikit-learn and seqeval. Beside a card workers are
forked before anything of this package is imported, and pay for these themselves.
"""

import seqeval.metrics  # noqa: F401
import sklearn.metrics  # noqa: F401
import torch._dynamo  # noqa: F401
