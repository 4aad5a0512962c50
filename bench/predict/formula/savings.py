"""The memory that a recipe's hyperparameters save on the card."""

from bench.core.recipe import Recipe

SINGLE, HALF = 4, 2
EIGHT_BIT_STATE = 1 + 4 / 256  # bytes: a code, and a float32 scale for every 256


def chunk_tokens(recipe: Recipe) -> int:
    """The number of positions whose logits exist at once; 0: all."""
    return recipe.loss_chunk_tokens if recipe.loss == "chunked" else 0


def trained_width(recipe: Recipe) -> int:
    """Bytes of a trained weight, and of its gradient."""
    return HALF if recipe.adapter_precision == "bfloat16" else SINGLE


def state_bytes(recipe: Recipe, trained: int) -> int:
    """Bytes of AdamW's two moments for `trained` weights. Paged moments may be on the host; they are counted too."""
    if recipe.optimizer == "paged_adamw_8bit":
        return int(2 * EIGHT_BIT_STATE * trained)
    return 2 * trained_width(recipe) * trained


def checkpoints_on_card(recipe: Recipe) -> bool:
    return not recipe.offload_checkpoints


def embeddings_on_card(recipe: Recipe) -> bool:
    return not recipe.embeddings_on_host


def head_is_packed(recipe: Recipe) -> bool:
    return recipe.quantise_head
