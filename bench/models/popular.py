"""Models that people tune much and no source of ours does: for what they cost and whether they fit.

Numbers are those of each model's config.json on the Hub. They have no `source_cases`, so they run only when named.
"""

from bench.models import ModelEntry, add

QWEN = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
    "rms_norm_eps": 1e-6,
    "bos_token_id": 151643,
}

add(
    ModelEntry(
        name="mistral_7b",
        says="Mistral 7B v0.3, 7.25 B parameters",
        family_name="mistral",
        hub_id="mistralai/Mistral-7B-v0.3",
        revision="caa1feb0e54d415e2df31207e5f4e273e33509b1",
        config={
            "vocab_size": 32768,
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "intermediate_size": 14336,
            "max_position_embeddings": 32768,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
            "rms_norm_eps": 1e-5,
            "sliding_window": None,
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        tokenizer_stand_in="smollm2_135m",
    )
)

add(
    ModelEntry(
        name="qwen25_7b",
        says="Qwen2.5 7B, 7.62 B parameters",
        family_name="qwen2",
        hub_id="Qwen/Qwen2.5-7B",
        revision="d149729398750b98c0af14eb82c78cfe92750796",
        config={
            **QWEN,
            "vocab_size": 152064,
            "hidden_size": 3584,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18944,
            "max_position_embeddings": 131072,
            "tie_word_embeddings": False,
            "eos_token_id": 151643,
        },
        tokenizer_stand_in="smollm2_135m",
    )
)

add(
    ModelEntry(
        name="gemma3_1b",
        says="Gemma 3 1B, 1.00 B parameters",
        family_name="gemma3",
        hub_id="google/gemma-3-1b-pt",
        revision="fcf18a2a879aab110ca39f8bffbccd5d49d8eb29",
        config={
            "vocab_size": 262144,
            "hidden_size": 1152,
            "num_hidden_layers": 26,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "intermediate_size": 6912,
            "max_position_embeddings": 32768,
            "query_pre_attn_scalar": 256,
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
            "rms_norm_eps": 1e-6,
            "sliding_window": 512,
            "sliding_window_pattern": 6,
            "bos_token_id": 2,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
        tokenizer_stand_in="smollm2_135m",
    )
)

for name, size, revision, count, layers, hidden, heads, inner, tied in (
    ("qwen3_06b", "0.6B", "c1899de289a04d12100db370d81485cdf75e47ca", "596 M", 28, 1024, 16, 3072, True),
    ("qwen3_8b", "8B", "b968826d9c46dd6066d109eabc6255188de91218", "8.19 B", 36, 4096, 32, 12288, False),
):
    add(
        ModelEntry(
            name=name,
            says=f"Qwen3 {size}, {count} parameters",
            family_name="qwen3",
            hub_id=f"Qwen/Qwen3-{size}",
            revision=revision,
            config={
                **QWEN,
                "vocab_size": 151936,
                "hidden_size": hidden,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "num_key_value_heads": 8,
                "head_dim": 128,
                "intermediate_size": inner,
                "max_position_embeddings": 40960,
                "tie_word_embeddings": tied,
                "eos_token_id": 151645,
            },
            tokenizer_stand_in="smollm2_135m",
        )
    )
