"""pytest's markers and warning filters of this project, registered by the plugin.

They are here and not in pyproject.toml so that an installed lorabench, which has no pyproject.toml, runs the suites
as a checkout does.
"""

import pytest

MARKERS = (
    "gpu: the case runs on a CUDA device; deselected, with what it needs, where there is none",
    "slow: a paper-size run, or a method beyond the smoke run; deselected unless -m names it",
    "cases(wanted=...): of the matrix, only the cases for which wanted(case) is true",
)
WARNINGS = (
    "error",
    # a checkout that is read-only has no place for pytest's cache; what cannot be stored of a run says so itself
    "ignore::pytest.PytestCacheWarning",
    # a comparison of machines or of library versions says that they differ, which is what it is made for
    "default::pytest_benchmark.logger.PytestBenchmarkWarning",
    # peft 0.21 asks transformers by a name that 5.2x has renamed
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
    # and hands its virtual tokens on by a name that 5.24 has renamed
    "ignore:`past_key_values` is deprecated:FutureWarning",
    "ignore:Both `past_key_values` and `cache` are set:FutureWarning",
    # peft 0.21 reads AdaLoRA's pattern of kept ranks as LoRA's pattern of ranks, says so, and reads it right afterwards
    "ignore:The following rank_pattern keys did not match:RuntimeWarning",
    # peft 0.21's AdaLoRA has no setting for GPT-2's transposed matrices and finds them out itself
    "ignore:fan_in_fan_out is set to False but the target module is `Conv1D`:UserWarning",
    # and is told of them for LoRA, which does not hold where bitsandbytes' layers lie the usual way
    "ignore:fan_in_fan_out is set to True but the target module is `torch.nn.Linear`:UserWarning",
    # peft 0.21 tells prompt tuning that it drops them; bench.worker.train.evaluate asks one prompt at a time there
    "ignore:Position ids are not supported for parameter efficient tuning:UserWarning",
    # torch 2.13's compiler, imported by an optimizer, still uses what it deprecates
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning",
)


def add_ini_lines(config: pytest.Config) -> None:
    for name, lines in (("markers", MARKERS), ("filterwarnings", WARNINGS)):
        for line in lines:
            config.addinivalue_line(name, line)
