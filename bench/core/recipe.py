"""A recipe: every hyperparameter of a case.

The digest goes into the record: records with different digests are never compared. `bench/recipes/files.py` reads
the values from files.
"""

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields

SIZES = ("sample", "full")
MULTIPLE = 8  # lengths are padded to a multiple of it, which suits matrix units
NATIVE = "native"  # in a file: bfloat16 if the device has units for it, otherwise float32
PORTABLE = "portable"  # in a file: bfloat16 on a card, float32 on a processor; the same on every machine


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters. Lengths are in tokens, fractions between 0 and 1, rates per optimizer step."""

    data: str  # "sample": fixtures/data; "full": the Hub's data set, from the mirror or the Hub
    engine: str  # "bench": our loop; "trainer": transformers.Trainer
    epochs: int
    max_steps: int  # optimizer steps; 0: epochs decide
    batch_size: int  # examples of one forward pass
    gradient_accumulation_steps: int
    learning_rate: float
    schedule: str  # "linear", "cosine" or "constant", after the warm-up
    warmup_fraction: float  # of all steps
    weight_decay: float
    max_gradient_norm: float
    precision: str  # "float32", "bfloat16" or "float16": what matrix products are computed in
    max_length: int  # an example longer than this is cut at its end
    padding: str  # "longest": to the batch's longest; "max_length": to a fixed shape
    packing: bool  # several examples in one row, kept apart by position ids
    length_bucketing: bool  # batches of examples of like length
    gradient_checkpointing: bool
    evaluation_batch_size: int
    evaluation_examples: int  # 0: all held-out examples
    train_examples: int  # 0: all
    evaluate_each_epoch: bool  # or only after the last
    generated_examples: int  # answers generated for the table of generated against actual
    rank: int
    alpha: float
    dropout: float  # in the adapter, or in the base for a method without its own (Method.adapter_dropout)
    virtual_tokens: int  # of prefix and prompt tuning
    initial_rank: int  # AdaLoRA starts here and ends at rank
    head_learning_rate: float  # of a new head; 0: learning_rate
    # Fields added after the first records. Each default is what recipes did before the field existed.
    loss: str = "logits"  # "chunked": the same loss, without ever holding all logits
    loss_chunk_tokens: int = 256  # positions whose logits are held at once
    optimizer: str = "adamw"  # "paged_adamw_8bit": states in 8 bits, and in host memory when the card is full;
    # "galore_adamw": states of projected gradients, of the recipe's rank
    adapter_precision: str = "float32"  # what weights that train are kept in
    offload_checkpoints: bool = False  # of gradient checkpointing, to host memory
    embeddings_on_host: bool = False  # frozen ones that no head shares
    quantise_head: bool = False  # head and embeddings in NF4, as the linear layers
    learning_rate_ratio: float = 1.0  # B's learning rate over that of A and all else (LoRA+: 16)
    shortcuts: int = 4  # of ResLoRA: how many layers before each one act in it too
    block_size: int = 32  # of methods whose update is made of square blocks (OFT, C3A)
    warmup_from_zero: bool = True  # the first step of a warm-up is at rate 0 and teaches nothing

    def digest(self) -> str:
        """Twelve hexadecimal digits that change with any hyperparameter.

        A later field counts only where it changes what recipes did before the field existed. A recipe that still does
        the same keeps its digest, and with it its records and thresholds. Today's defaults.toml plays no part.
        """
        values = asdict(self)
        for name, before in LATER_FIELDS.items():
            if values[name] == before:
                del values[name]
        if self.warmup_fraction == 0:
            values.pop("warmup_from_zero", None)  # without a warm-up it changes nothing
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


LATER_FIELDS = {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}
