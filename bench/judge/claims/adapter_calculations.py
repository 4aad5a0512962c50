"""Calculations of an adapter's size, from its paper's formula and the shapes of a model.

If this project has no entry for a model, the claim's file gives the numbers of its config.json, or lists the matrices
that the adapter modifies. calculations.py explains what a calculation is.

    [models.llama_13b]
    model_type = "llama"
    hidden_size = 5120

    by = { calculation = "adapter_share", form = "dora", rank = 32, config = "llama_13b", targets = ["q_proj"] }
    by = { calculation = "adapter_parameters", form = "lora", rank = 8, matrices = [[1024, 1024, 144]] }

matrices lists inputs, outputs and how many there are of each shape.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.files import BadFile
from bench.judge.claims.calculations import (
    CALCULATIONS,
    FORWARD_AND_BACK,
    LEAST,
    NO_BITS,
    RECOMPUTED,
    Calculation,
    Operand,
    Result,
    bits_each,
    product_weights,
)
from bench.judge.claims.parameters import base_sum
from bench.judge.verdict import IMPLAUSIBLE, REFUTED
from bench.models import ENCODER, MODELS, BadEntry, ModelEntry
from bench.models.of_config import entry_of
from bench.models.shapes import linear_layers, target_layers, total_parameters

Config = Mapping[str, Any]
Matrices = Sequence[Sequence[int]]
NAME = "name"  # the key under which a claim's file names the model
TERA = 1e12


@dataclass(frozen=True)
class Form:
    """parameters(rank, inputs, outputs) of one matrix, and the same formula as text with the numbers filled in.

    What these call rank is the size of a block for c3a, oft and boft.
    """

    parameters: Callable[[int, int, int], int]
    written: str


FORMS = {
    "lora": Form(lambda rank, inputs, outputs: rank * (inputs + outputs), "{rank:,} × ({inputs:,} + {outputs:,})"),
    "dora": Form(
        lambda rank, inputs, outputs: rank * (inputs + outputs) + outputs,
        "({rank:,} × ({inputs:,} + {outputs:,}) + {outputs:,})",
    ),
    "vera": Form(lambda rank, inputs, outputs: outputs + rank, "({outputs:,} + {rank:,})"),
    "dvora": Form(lambda rank, inputs, outputs: 2 * outputs + rank, "(2 × {outputs:,} + {rank:,})"),
    "ia3": Form(lambda rank, inputs, outputs: outputs, "{outputs:,}"),
    "miss": Form(lambda rank, inputs, outputs: rank * outputs, "{rank:,} × {outputs:,}"),
    "mica": Form(lambda rank, inputs, outputs: rank * inputs, "{rank:,} × {inputs:,}"),
    "loha": Form(
        lambda rank, inputs, outputs: 2 * rank * (inputs + outputs), "2 × {rank:,} × ({inputs:,} + {outputs:,})"
    ),
    "delora": Form(
        lambda rank, inputs, outputs: rank * (inputs + outputs) + 1, "({rank:,} × ({inputs:,} + {outputs:,}) + 1)"
    ),
    "road": Form(lambda rank, inputs, outputs: 2 * outputs, "2 × {outputs:,}"),
    "c3a": Form(lambda rank, inputs, outputs: inputs * outputs // rank, "{inputs:,} × {outputs:,} / {rank:,}"),
    "oft": Form(lambda rank, inputs, outputs: inputs * (rank - 1) // 2, "{inputs:,} × ({rank:,} - 1) / 2"),
    "boft": Form(lambda rank, inputs, outputs: inputs * rank + outputs, "({inputs:,} × {rank:,} + {outputs:,})"),
    "randlora": Form(
        lambda rank, inputs, outputs: -(-min(inputs, outputs) // rank) * (rank + min(inputs, outputs)),
        "⌈{smaller:,} / {rank:,}⌉ × ({rank:,} + {smaller:,})",
    ),
}


def model_of(config: Config) -> ModelEntry:
    """The model that a config.json's numbers describe. Raises BadFile if they describe none."""
    try:
        numbers = {key: value for key, value in config.items() if key != NAME}
        return entry_of(numbers, Path(config[NAME]))
    except BadEntry as error:
        raise BadFile(str(error)) from None


def matrices_of(matrices: Matrices, config: Config, targets: Sequence[str]) -> Counter[tuple[int, int]]:
    """How many matrices of each (inputs, outputs) there are: those listed, or the model's that targets select."""
    if config:
        entry = model_of(config)
        layers = target_layers(entry, tuple(targets)) if targets else linear_layers(entry)
        return Counter((layer.inputs, layer.outputs) for layer in layers)
    found: Counter[tuple[int, int]] = Counter()
    for inputs, outputs, count in matrices:
        found[inputs, outputs] += count
    return found


def count_parameters(form: str, rank: int, shapes: Mapping[tuple[int, int], int]) -> Result:
    """Parameters of an adapter on these matrices. Raises ValueError for an unknown form."""
    if form not in FORMS:
        raise ValueError(f"form = {form!r} must be one of {', '.join(FORMS)}")
    own = FORMS[form]
    terms, value = [], 0
    for (inputs, outputs), count in shapes.items():
        value += count * own.parameters(rank, inputs, outputs)
        sizes = {"rank": rank, "inputs": inputs, "outputs": outputs, "smaller": min(inputs, outputs)}
        terms.append(f"{count:,} × " + own.written.format(**sizes))
    return Result(value, " + ".join(terms))


@CALCULATIONS.add("adapter_parameters", Calculation, fails_as=REFUTED, gives="parameters")
def adapter_parameters(
    form: str, rank: int = 0, matrices: Matrices = (), config: Config | None = None, targets: Sequence[str] = ()
) -> Result:
    """Parameters of the adapter alone, without a classifier or a head, by the formula of its paper."""
    return count_parameters(form, rank, matrices_of(matrices, config or {}, targets))


@CALCULATIONS.add("adapter_share", Calculation, fails_as=REFUTED, gives="fraction")
def adapter_share(form: str, config: Config, rank: int = 0, targets: Sequence[str] = ()) -> Result:
    """Parameters of the adapter over those of the model with it, as peft prints the share."""
    own = count_parameters(form, rank, matrices_of((), config, targets))
    base = total_parameters(model_of(config))
    how = f"with {own.how} = {own.value:,} beside the model's {base:,}: {own.value:,} / ({base:,} + {own.value:,})"
    return Result(own.value / (base + own.value), how)


@CALCULATIONS.add("adapted_total", Calculation, fails_as=REFUTED, gives="parameters")
def adapted_total(form: str, config: Config, rank: int = 0, targets: Sequence[str] = ()) -> Result:
    """Parameters of the model and its adapter."""
    own = count_parameters(form, rank, matrices_of((), config, targets))
    base = total_parameters(model_of(config))
    return Result(base + own.value, f"{base:,} + {own.how}")


@CALCULATIONS.add("config_parameters", Calculation, fails_as=REFUTED, gives="parameters")
def config_parameters(config: Config) -> Result:
    """All parameters of a model that is given by its config.json."""
    entry = model_of(config)
    return Result(total_parameters(entry), f"all parameters of {config[NAME]} by its config.json: {base_sum(entry, 0)}")


@CALCULATIONS.add("config_weight_bytes", Calculation, fails_as=IMPLAUSIBLE, bound=LEAST, gives="bytes",
                  takes={"constants_bits": "bits"})  # fmt: skip
def config_weight_bytes(
    config: Config, bits: int, embedding_bits: int = 16, constants_bits: Operand = NO_BITS, cards: int = 1
) -> Result:
    """Bytes of the weights alone on each card: linear layers in `bits`, embeddings, norms, head in embedding_bits.

    constants_bits: each linear weight's share of the quantization constants.
    """
    entry = model_of(config)
    linear = sum(layer.inputs * layer.outputs for layer in linear_layers(entry))
    rest = total_parameters(entry) - linear
    how = f"({linear:,} weights × {bits_each(bits, constants_bits)} + {rest:,} × {embedding_bits} bits) / 8"
    how += f" / {cards} cards" * (cards > 1)
    return Result((linear * (bits + constants_bits.value) + rest * embedding_bits) / 8 / cards, how)


@CALCULATIONS.add("least_bytes", Calculation, fails_as=IMPLAUSIBLE, bound=LEAST, gives="bytes",
                  takes={"parameters": "parameters"})  # fmt: skip
def least_bytes(parameters: Operand, bytes_each: Operand) -> Result:
    """Bytes below which no run can stay that keeps so many bytes for each of these parameters."""
    how = f"{parameters.shown} × {bytes_each.shown} bytes each"
    return Result(parameters.value * bytes_each.value, how)


@CALCULATIONS.add("least_seconds", Calculation, fails_as=IMPLAUSIBLE, bound=LEAST, gives="time",
                  takes={"rows": "rows", "tokens_per_row": "tokens"})  # fmt: skip
def least_seconds(
    model: str, rows: Operand, tokens_per_row: Operand, peak_tflops: Operand, checkpointing: bool = False
) -> Result:
    """Seconds below which no LoRA run over these tokens can stay on a card of this peak."""
    weights = product_weights(model)
    each = FORWARD_AND_BACK + RECOMPUTED * checkpointing
    how = (
        f"{each} × {weights:,} weights in products × {rows.shown} × {tokens_per_row.shown} a row / "
        f"({peak_tflops.shown} × 1e12 FLOP a second)"
    )
    return Result(each * weights * rows.value * tokens_per_row.value / (peak_tflops.value * TERA), how)


@CALCULATIONS.add("has_encoder", Calculation, fails_as=REFUTED, gives="truth")
def has_encoder(model: str) -> Result:
    """Whether the model has an encoder: layers in which a token sees those after it."""
    entry = MODELS[model]
    how = f"an encoder in {model}, whose layers are those of a {entry.kind},"
    return Result(float(entry.kind == ENCODER), how)


@CALCULATIONS.add("adapter_bytes", Calculation, fails_as=REFUTED, gives="bytes")
def adapter_bytes(
    form: str,
    bytes_each: int,
    rank: int = 0,
    matrices: Matrices = (),
    config: Config | None = None,
    targets: Sequence[str] = (),
) -> Result:
    """Bytes of the adapter's parameters alone, in so many bytes each."""
    own = count_parameters(form, rank, matrices_of(matrices, config or {}, targets))
    return Result(own.value * bytes_each, f"{bytes_each} bytes × ({own.how})")
