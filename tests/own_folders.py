"""What a person has in a folder of their own: small models with random weights, and tickets as JSON lines."""

import json
from pathlib import Path
from typing import Any

import numpy
from safetensors.numpy import save_file

from bench.models import ModelEntry
from bench.models.shapes import layer
from bench.sources.tokenizer import byte_tokenizer

LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 264, "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128,
    "max_position_embeddings": 512, "tie_word_embeddings": False, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
DISTILBERT = {
    "model_type": "distilbert", "architectures": ["DistilBertModel"], "vocab_size": 264, "dim": 64, "hidden_dim": 128,
    "n_layers": 2, "n_heads": 4, "max_position_embeddings": 512, "pad_token_id": 0,
}  # fmt: skip
BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "vocab_size": 264, "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 512,
}  # fmt: skip
DEVIATION = 0.05


def write_model(folder: Path, config: dict[str, Any], weights: bool = True) -> None:
    """A folder as a model on the Hub has one; the weights of a Llama or a DistilBERT, drawn from one seed."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    byte_tokenizer().save_pretrained(folder)
    if not weights:
        return
    shapes = llama_shapes(config) if config["model_type"] == "llama" else distilbert_shapes(config)
    rng = numpy.random.default_rng(0)
    tensors = {
        name: numpy.ones(shape, "float32") if "norm" in name.lower() and name.endswith("weight")
        else numpy.zeros(shape, "float32") if name.endswith("bias")
        else rng.normal(0, DEVIATION, shape).astype("float32")
        for name, shape in shapes.items()
    }  # fmt: skip
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def llama_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    words, hidden = config["vocab_size"], config["hidden_size"]
    entry = ModelEntry("own", "", "llama", config)
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (words, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (words, hidden),
    }  # fmt: skip
    for number in range(config["num_hidden_layers"]):
        own = f"model.layers.{number}."
        found |= {f"{own}{one.name}.weight": (one.outputs, one.inputs) for one in layer(entry)}
        found |= {f"{own}{norm}.weight": (hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
    return found


def distilbert_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["dim"], config["hidden_dim"]
    found: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "embeddings.LayerNorm.weight": (hidden,), "embeddings.LayerNorm.bias": (hidden,),
    }  # fmt: skip
    linear = {**{f"attention.{name}_lin": (hidden, hidden) for name in ("q", "k", "v", "out")},
              "ffn.lin1": (inner, hidden), "ffn.lin2": (hidden, inner)}  # fmt: skip
    for number in range(config["n_layers"]):
        own = f"transformer.layer.{number}."
        for name, shape in linear.items():
            found |= {f"{own}{name}.weight": shape, f"{own}{name}.bias": shape[:1]}
        for norm in ("sa_layer_norm", "output_layer_norm"):
            found |= {f"{own}{norm}.weight": (hidden,), f"{own}{norm}.bias": (hidden,)}
    return found


def write_tickets(folder: Path, rows: int = 60) -> None:
    things = ("parcel", "invoice", "refund", "order", "account", "password")
    lines = [
        {"question": f"Where is the {things[n % 6]} number {n * 17} of mine?", "answer": f"Your {things[n % 6]} is on its way."}
        for n in range(rows)
    ]  # fmt: skip
    (folder / "tickets.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
