"""Models that people often tune and no source here does, to learn what they cost and whether they fit.

The numbers are from each model's config.json on the Hub. These models have no `source_cases`: they run only when named.
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
    ("qwen3_17b", "1.7B", "70d244cc86ccca08cf5af4e1e306ecf908b1ad5e", "1.72 B", 28, 2048, 16, 6144, True),
    ("qwen3_4b", "4B", "1cfa9a7208912126459214e8b04321603b3df60c", "4.02 B", 36, 2560, 32, 9728, True),
    ("qwen3_8b", "8B", "b968826d9c46dd6066d109eabc6255188de91218", "8.19 B", 36, 4096, 32, 12288, False),
    ("qwen3_14b", "14B", "40c069824f4251a91eefaf281ebe4c544efd3e18", "14.8 B", 40, 5120, 40, 17408, False),
    ("qwen3_32b", "32B", "9216db5781bf21249d130ec9da846c4624c16137", "32.8 B", 64, 5120, 64, 25600, False),
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

for name, size, revision, count, layers, hidden, heads, head, inner in (
    ("llama32_1b", "1B", "4e20de362430cd3b72f300e6b0f18e50e7166e08", "1.24 B", 16, 2048, 32, 64, 8192),
    ("llama32_3b", "3B", "13afe5124825b4f3751f836b40dafda64c1ed062", "3.21 B", 28, 3072, 24, 128, 8192),
):
    add(
        ModelEntry(
            name=name,
            says=f"Llama 3.2 {size}, {count} parameters",
            family_name="llama",
            hub_id=f"meta-llama/Llama-3.2-{size}",
            revision=revision,
            config={
                "vocab_size": 128256,
                "hidden_size": hidden,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "num_key_value_heads": 8,
                "head_dim": head,
                "intermediate_size": inner,
                "max_position_embeddings": 131072,
                "rope_parameters": {
                    "rope_type": "llama3",
                    "rope_theta": 500000.0,
                    "factor": 32.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
                "rms_norm_eps": 1e-5,
                "tie_word_embeddings": True,
                "bos_token_id": 128000,
                "eos_token_id": 128001,
            },
            tokenizer_stand_in="smollm2_135m",
        )
    )

add(
    ModelEntry(
        name="qwen25_3b",
        says="Qwen2.5 3B, 3.09 B parameters",
        family_name="qwen2",
        hub_id="Qwen/Qwen2.5-3B",
        revision="3aab1f1954e9cc14eb9509a215f9e5ca08227a9b",
        config={
            **QWEN,
            "vocab_size": 151936,
            "hidden_size": 2048,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "intermediate_size": 11008,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
            "eos_token_id": 151643,
        },
        tokenizer_stand_in="smollm2_135m",
    )
)

add(
    ModelEntry(
        name="smollm3_3b",
        says="SmolLM3 3B, 3.08 B parameters",
        family_name="smollm3",
        hub_id="HuggingFaceTB/SmolLM3-3B",
        revision="a07cc9a04f16550a088caea529712d1d335b0ac1",
        config={
            "vocab_size": 128256,
            "hidden_size": 2048,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "intermediate_size": 11008,
            "max_position_embeddings": 65536,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5000000.0},
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": True,
            "bos_token_id": 128000,
            "eos_token_id": 128012,
            "pad_token_id": 128004,
        },
        tokenizer_stand_in="smollm2_135m",
    )
)
