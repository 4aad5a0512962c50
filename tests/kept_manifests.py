"""A manifest of kept weights, made up for tests that need no torch."""

from bench.records.kept import Base, Facts, Kept

CASE, OTHER = "support-gpt2-lora-cpu-s0", "support-gpt2-prompt-cpu-s0"
BASE = Base("gpt2", "openai-community/gpt2", "607a30d", "hub", "sha256:1", "from the Hub", "MIT")
FACTS = Facts(
    method="lora", says="LoRA on query and value", paper="arXiv:2106.09685", quality={"loss": 2.5},
    quality_before={"loss": 4.0}, quality_judged=True, data={"reason": "the sample", "train_examples": 90,
    "held_out_examples": 10, "identity": "sha256:9"}, hub_data="bitext/support", prompt="Customer: hello\nAgent: ",
    auto_class="AutoModelForCausalLM", dtype="float32", storage="plain", only_peft="",
)  # fmt: skip
KEPT = Kept(CASE, "adapter", BASE, {"rank": 8, "max_steps": 60}, FACTS)
