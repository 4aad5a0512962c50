"""Models with random weights, one for each architecture, for quick tests without downloads.

They have two layers and the byte tokenizer's vocabulary. The wide ones run by default, so that every method is tried on
these architectures. They have one layer, because a case of one takes little more than half of the time. At the rank of
their recipe an adapter's matrices have the 4,096 numbers from which on bitsandbytes keeps optimizer states in 8 bits.
"""

from bench.models import ModelEntry, add

VOCABULARY = 264  # 256 bytes and eight special tokens; a multiple of 8
BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 514,
}

add(ModelEntry("tiny_bert", "two-layer BERT", "bert", BERT))
add(ModelEntry("tiny_roberta", "two-layer RoBERTa", "roberta", {**BERT, "type_vocab_size": 1, "pad_token_id": 1}))
add(ModelEntry("tiny_mpnet", "two-layer MPNet", "mpnet", {**BERT, "pad_token_id": 1}))
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512}
add(ModelEntry("tiny_gpt2", "two-layer GPT-2", "gpt2", GPT2))
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
add(ModelEntry("tiny_llama", "two-layer Llama", "llama", LLAMA))
add(ModelEntry("tiny_mistral", "two-layer Mistral", "mistral", {**LLAMA, "sliding_window": 512}))
add(ModelEntry("tiny_qwen2", "two-layer Qwen2", "qwen2", LLAMA))
add(ModelEntry("tiny_qwen3", "two-layer Qwen3", "qwen3", {**LLAMA, "head_dim": 32}))
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}  # SmolLM3's own are beyond this vocabulary
add(ModelEntry("tiny_smollm3", "two-layer SmolLM3", "smollm3", {**LLAMA, **IDS}))
add(
    ModelEntry(
        "tiny_gemma3",
        "two-layer Gemma 3",
        "gemma3",
        {
            **LLAMA,
            "head_dim": 32,
            "query_pre_attn_scalar": 32,
            "sliding_window": 512,
            "sliding_window_pattern": 2,
            "tie_word_embeddings": True,
        },
    )
)

WIDE = {**LLAMA, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1}
WIDE_GPT2 = {**GPT2, "n_embd": 128, "n_layer": 1}
SUPPORT = "support"
add(ModelEntry("tiny_llama_wide", "one wider layer of Llama", "llama", WIDE, default_task=SUPPORT))
add(ModelEntry("tiny_qwen3_wide", "one wider layer of Qwen3", "qwen3", {**WIDE, "head_dim": 32}, default_task=SUPPORT))
add(ModelEntry("tiny_gpt2_wide", "one wider layer of GPT-2", "gpt2", WIDE_GPT2, default_task=SUPPORT))
