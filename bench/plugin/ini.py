"""pytest's markers and warning filters of this project, registered by the plugin.

They are here and not in pyproject.toml so that an installed lorabench, which has no pyproject.toml, runs the suites
as a checkout does.
"""

import pytest

MARKERS = (
    "gpu: the case runs on a CUDA device; deselected, with what it needs, where there is none",
    "slow: a paper-size run, or a method beyond the smoke run; deselected unless -m names it",
    "cases(wanted=...): of the matrix, only the cases for which wanted(case) is true",
    "subjects(*models, methods=...): the tiny models, and methods, that a check of the libraries runs on",
)
WARNINGS = (
    "error",
    # a read-only checkout has no place for pytest's cache; a run that cannot be stored is reported separately
    "ignore::pytest.PytestCacheWarning",
    # a comparison of machines or library versions warns that they differ, which is its purpose
    "default::pytest_benchmark.logger.PytestBenchmarkWarning",
    # peft 0.21 uses a name that transformers 5.2x has renamed
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
    # and passes its virtual tokens under a name that transformers 5.24 has renamed
    "ignore:`past_key_values` is deprecated:FutureWarning",
    "ignore:Both `past_key_values` and `cache` are set:FutureWarning",
    # peft 0.20 looks for the config file of a model that was built here, and has no name, on the Hub
    "ignore:Could not find a config file in  - will assume:UserWarning",
    # peft 0.21 reads AdaLoRA's pattern of kept ranks as LoRA's rank pattern, warns, and then reads it correctly
    "ignore:The following rank_pattern keys did not match:RuntimeWarning",
    # peft 0.21's AdaLoRA has no setting for GPT-2's transposed matrices and detects them itself
    "ignore:fan_in_fan_out is set to False but the target module is `Conv1D`:UserWarning",
    # for LoRA the setting says they are transposed, which is not true of bitsandbytes' layers
    "ignore:fan_in_fan_out is set to True but the target module is `torch.nn.Linear`:UserWarning",
    # peft 0.21 warns that prompt tuning drops them; bench.worker.train.evaluate then asks one prompt at a time
    "ignore:Position ids are not supported for parameter efficient tuning:UserWarning",
    # peft 0.21's SHiRA makes a sparse tensor of places that it has drawn itself
    "ignore:Sparse invariant checks are implicitly disabled:UserWarning",
    # torch 2.13's compiler, imported by an optimizer, still uses what it deprecates
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning",
)


def add_ini_lines(config: pytest.Config) -> None:
    for name, lines in (("markers", MARKERS), ("filterwarnings", WARNINGS)):
        for line in lines:
            config.addinivalue_line(name, line)
