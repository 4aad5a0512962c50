"""What a lean recipe leaves out of the card: hyperparameters that not every recipe has, each with what it saves."""

from typing import Any

from bench.recipe import Recipe

SINGLE, HALF = 4, 2
EIGHT_BIT_STATE = 1 + 4 / 256  # bytes: a code, and a float32 scale for every 256


def said(recipe: Recipe, name: str, otherwise: Any) -> Any:
    return getattr(recipe, name, otherwise)


def chunk_tokens(recipe: Recipe) -> int:
    """Positions whose logits exist at once; 0: all."""
    return int(said(recipe, "loss_chunk_tokens", 0)) if said(recipe, "loss", "logits") == "chunked" else 0


def trained_width(recipe: Recipe) -> int:
    """Bytes of a weight that trains, and of its gradient."""
    return HALF if said(recipe, "adapter_precision", "float32") == "bfloat16" else SINGLE


def state_bytes(recipe: Recipe, trained: int) -> int:
    """Bytes of AdamW's two moments of so many weights. Paged ones may lie on the host; they are counted here."""
    if said(recipe, "optimizer", "adamw") == "paged_adamw_8bit":
        return int(2 * EIGHT_BIT_STATE * trained)
    return 2 * trained_width(recipe) * trained


def checkpoints_on_card(recipe: Recipe) -> bool:
    return not said(recipe, "offload_checkpoints", False)


def embeddings_on_card(recipe: Recipe) -> bool:
    return not said(recipe, "embeddings_on_host", False)


def head_is_packed(recipe: Recipe) -> bool:
    return bool(said(recipe, "quantise_head", False))
