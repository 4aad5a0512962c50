"""The models of the sources, taken from a mirror or the Hub, otherwise built with random weights.

`source_cases` says with which tasks and methods a source ran the model; these become GPU cases.
"""

from bench.models import ModelEntry, add

TAGGING = {"pos": ("full", "lora", "lora_after_full")}  # source 001
SOURCE_003 = ("lora", "qlora", "qlora_lean", "dora", "adalora", "olora", "hira")  # those that it ran or names

add(
    ModelEntry(
        name="bert_base",
        says="source 001's BERT, 108 M parameters, cased",
        family_name="bert",
        hub_id="google-bert/bert-base-cased",
        revision="cd5ef92a9fb2f889e972770a36d4ed042daf221e",
        config={
            "vocab_size": 28996,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-12,
        },
        tokenizer_stand_in="minilm_l6",
        source_cases=TAGGING,
    )
)

add(
    ModelEntry(
        name="roberta_base",
        says="source 001's RoBERTa, 124 M parameters",
        family_name="roberta",
        hub_id="FacebookAI/roberta-base",
        revision="e2da8e2f811d1448a5b465c236feacd80ffbac7b",
        config={
            "vocab_size": 50265,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
        tokenizer_stand_in="minilm_l6",
        source_cases=TAGGING,
    )
)

add(
    ModelEntry(
        name="gpt2",
        says="source 002's GPT-2, 124 M parameters",
        family_name="gpt2",
        hub_id="openai-community/gpt2",
        revision="607a30d783dfa663caf39e06633721c8d4cfcd7e",
        config={
            "vocab_size": 50257,
            "n_embd": 768,
            "n_layer": 12,
            "n_head": 12,
            "n_positions": 1024,
            "bos_token_id": 50256,
            "eos_token_id": 50256,
        },
        tokenizer_stand_in="smollm2_135m",
        source_cases={"support": ("lora",)},
    )
)

add(
    ModelEntry(
        name="llama2_7b",
        says="source 000's Llama 2, 6.74 B parameters",
        family_name="llama",
        hub_id="meta-llama/Llama-2-7b-hf",
        revision="01c7f73d771dfac7d292323805ebc428287df4f9",
        config={
            "vocab_size": 32000,
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "intermediate_size": 11008,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        tokenizer_stand_in="smollm2_135m",
        source_cases={"medqa": ("full", "lora", "qlora")},
    )
)

LLAMA31_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LLAMA31 = {
    "vocab_size": 128256,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rope_parameters": LLAMA31_ROPE,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
}

add(
    ModelEntry(
        name="llama31_8b",
        says="source 003's Llama 3.1, 8.03 B parameters",
        family_name="llama",
        hub_id="meta-llama/Llama-3.1-8B",
        revision="d04e592bb4f6aa9cfee91e2e20afa771667e1d4b",
        config={
            **LLAMA31,
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "intermediate_size": 14336,
        },
        tokenizer_stand_in="smollm2_135m",
        source_cases={"alpaca": SOURCE_003, "alpaca_worst": SOURCE_003},
    )
)

add(
    ModelEntry(
        name="llama31_70b",
        says="source 003's large Llama 3.1, 70.6 B parameters",
        family_name="llama",
        hub_id="meta-llama/Llama-3.1-70B",
        revision="349b2ddb53ce8f2849a6c168a81980ab25258dac",
        config={
            **LLAMA31,
            "hidden_size": 8192,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
            "intermediate_size": 28672,
        },
        tokenizer_stand_in="smollm2_135m",
        source_cases={"alpaca": ("qlora",), "alpaca_worst": ("qlora",)},
    )
)

for name, revision, width, layers, heads, count in (
    ("gpt2_medium", "6dcaa7a952f72f9298047fd5137cd6e4f05f41da", 1024, 24, 16, "355 M"),
    ("gpt2_large", "32b71b12589c2f8d625668d2335a01cac3249519", 1280, 36, 20, "774 M"),
):  # from the LoRA paper's Table 3; no source_cases, so they run only when named
    add(
        ModelEntry(
            name=name,
            says=f"the LoRA paper's GPT-2, {count} parameters",
            family_name="gpt2",
            hub_id=f"openai-community/{name.replace('_', '-')}",
            revision=revision,
            config={
                "vocab_size": 50257,
                "n_embd": width,
                "n_layer": layers,
                "n_head": heads,
                "n_positions": 1024,
                "bos_token_id": 50256,
                "eos_token_id": 50256,
            },
            tokenizer_stand_in="smollm2_135m",
        )
    )
