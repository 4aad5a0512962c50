"""The memory that a recipe's hyperparameters save on the card."""

from bench.core.recipe import Recipe
from bench.models.families import Linear

SINGLE, HALF = 4, 2
EIGHT_BIT_STATE = 1 + 4 / 256  # bytes: a code, and a float32 scale for every 256


def chunk_tokens(recipe: Recipe) -> int:
    """The number of positions whose logits exist at once; 0: all."""
    return recipe.loss_chunk_tokens if recipe.loss == "chunked" else 0


def trained_width(recipe: Recipe) -> int:
    """Bytes of a trained weight, and of its gradient."""
    return HALF if recipe.adapter_precision == "bfloat16" else SINGLE


def state_bytes(recipe: Recipe, trained: int, matrices: list[Linear]) -> int:
    """Bytes of AdamW's two moments for `trained` weights. Paged moments may be on the host; they are counted too.

    matrices: those of the trained weights that GaLore projects. It keeps their moments in rank x larger side and the
    directions in rank x smaller side.
    """
    if recipe.optimizer == "galore_adamw":
        sides = [sorted((one.inputs, one.outputs)) for one in matrices if recipe.rank < min(one.inputs, one.outputs)]
        whole = trained - sum(smaller * larger for smaller, larger in sides)
        low = sum(recipe.rank * (2 * larger + smaller) for smaller, larger in sides)
        return trained_width(recipe) * (2 * whole + low)
    if recipe.optimizer == "paged_adamw_8bit":
        return int(2 * EIGHT_BIT_STATE * trained)
    return 2 * trained_width(recipe) * trained


def checkpoints_on_card(recipe: Recipe) -> bool:
    return not recipe.offload_checkpoints


def embeddings_on_card(recipe: Recipe) -> bool:
    return not recipe.embeddings_on_host


def head_is_packed(recipe: Recipe) -> bool:
    return recipe.quantise_head
