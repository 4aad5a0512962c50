"""The model card of kept weights: what they are, from which case, base and data, how good, and how to load them.

The lines that load them use peft and transformers, and for an adapter of this project's own its module; tests run them
as they are printed.
"""

from bench.core.outside_text import for_markdown
from bench.records.kept import ADAPTER, MANIFEST, MERGED, Facts, Kept

KINDS = {
    ADAPTER: "an adapter",
    MERGED: "a model with its adapter merged into it, in bfloat16",
    "model": "a whole model",
}
QUANTISATION = {
    "nf4": 'load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, '
    "bnb_4bit_compute_dtype=torch.{dtype}",
    "int8": "load_in_8bit=True",
}
IDENTITY = "identity"
RANDOM_BASE = "The base's random weights are nowhere to be loaded from: name a folder with them as BASE."
FOLDER_BASE = "The base is not on the Hub: name the folder that has it as BASE."
PACKED_HEAD = (
    "The case packed the head and the embeddings too (quantise_head), which transformers cannot do. These lines load "
    "them unpacked, so the answers differ from the case's; `python -m bench ask` packs them as the case did."
)
TUNERS = "bench.worker.build.tuners"  # importing it makes peft know this project's adapters
BEFORE_MERGING = "These figures were measured before the adapter was merged and rounded to bfloat16."


def model_card(kept: Kept) -> str:
    """The README.md of a kept folder, with the Hub's metadata first."""
    facts = kept.facts
    return "\n".join([*metadata(kept, facts), "", *introduction(kept, facts), "", *quality_lines(kept), "",
                      *loading_lines(kept, facts), ""])  # fmt: skip


def metadata(kept: Kept, facts: Facts) -> list[str]:
    found = {
        "base_model": kept.base.hub_id,
        "datasets": facts.hub_data and f"[{facts.hub_data}]",
        "license": kept.base.licence.lower(),
        "library_name": "peft" if kept.what == ADAPTER else "transformers",
        "tags": "[lorabench]",
    }
    return ["---", *(f"{name}: {value}" for name, value in found.items() if value), "---"]


def introduction(kept: Kept, facts: Facts) -> list[str]:
    base = kept.base
    place = f"[{base.hub_id}](https://huggingface.co/{base.hub_id}), revision `{base.revision}`" if base.hub_id else (
        "no model of the Hub"
    )  # fmt: skip
    licence = base.licence or "not stated by lorabench; see the base's own page"
    paper = f" ({facts.paper})" if facts.paper else ""
    steps = kept.recipe.get("max_steps") or "all of the data's"
    data = facts.data
    return [
        f"# {kept.case}",
        "",
        f"This is {KINDS[kept.what]}, which lorabench's case `{kept.case}` trained with the method "
        f"`{facts.method}`{paper}: {for_markdown(facts.says)}",
        "",
        f"- Base: `{base.model}`, {place}. The case started from these weights: {for_markdown(base.reason)}, "
        f"`{base.identity}`. Other weights under the same name give other answers.",
        f"- Data: {for_markdown(str(data.get('reason', '')))}; {data.get('train_examples')} examples to train on, "
        f"{data.get('held_out_examples')} held out, `{data.get(IDENTITY)}`.",
        f"- Licence of the base: {licence}. The data has its own.",
        f"- Steps: {steps}. The whole recipe, and the sha256 of every file, are in `{MANIFEST}`.",
    ]


def quality_lines(kept: Kept) -> list[str]:
    facts = kept.facts
    judged = [] if facts.quality_judged else ["The base has random weights, so these figures say nothing.", ""]
    judged += [BEFORE_MERGING, ""] if kept.what == MERGED else []
    before = {name: f"{value:.4f}" for name, value in facts.quality_before.items()}
    rows = [f"| {name} | {before.get(name, '')} | {value:.4f} |" for name, value in facts.quality.items()]
    return ["## Quality on held-out examples", "", *judged, "| metric | before | after |", "|---|---:|---:|", *rows]


def loading_lines(kept: Kept, facts: Facts) -> list[str]:
    """The sections that load the weights, from inside the folder."""
    if kept.what != ADAPTER:
        return ["## Load it in plain transformers", "", *block(whole_lines(kept, facts))]
    if facts.only_peft:
        own = [f"Load it with peft: {facts.only_peft}."]
    else:
        own = block([*base_lines(kept, facts, peft=False), 'model.load_adapter(".")', *use_lines(kept, facts)])
    adapted = [*base_lines(kept, facts, peft=True), 'model = PeftModel.from_pretrained(model, ".")']
    return [
        " ".join(["Run these lines in this folder.", *base_notes(kept, facts)]),
        "",
        "## Load it in peft, with lorabench's adapter" if facts.own_tuner else "## Load it in plain peft",
        "",
        *block([*([f"import {TUNERS}"] if facts.own_tuner else []), *adapted, *use_lines(kept, facts)]),
        "",
        "## Load it in plain transformers",
        "",
        *own,
    ]


def base_notes(kept: Kept, facts: Facts) -> list[str]:
    """What a reader must know of the base before the lines run."""
    place = RANDOM_BASE if not facts.quality_judged else "" if kept.base.hub_id else FOLDER_BASE
    return [note for note in (place, PACKED_HEAD if kept.recipe.get("quantise_head") else "") if note]


def block(lines: list[str]) -> list[str]:
    return ["```python", *lines, "```"]


def import_lines(facts: Facts, *more: str) -> list[str]:
    return [f"from transformers import {', '.join(sorted([facts.auto_class, 'AutoTokenizer', *more]))}"]


def base_lines(kept: Kept, facts: Facts, peft: bool) -> list[str]:
    """The lines that load the base as the case stored it, and its tokenizer."""
    packed = facts.storage in QUANTISATION
    pinned = ["revision=REVISION"] if kept.base.hub_id else []  # a folder has none
    place = ["BASE", *pinned]
    words = [*place, f"dtype=torch.{facts.dtype}", *classifier_words(kept)]
    if packed:
        skip = ', llm_int8_skip_modules=["classifier"]' if kept.labels else ""  # which the case kept in full precision
        settings = QUANTISATION[facts.storage].format(dtype=facts.dtype) + skip
        words.append("quantization_config=quantization")
    return [
        "import torch",
        *(["from peft import PeftModel"] if peft else []),
        *import_lines(facts, *(["BitsAndBytesConfig"] if packed else [])),
        "",
        f'BASE, REVISION = "{kept.base.hub_id}", "{kept.base.revision}"' if pinned else 'BASE = "folder/of/the/base"',
        *([f"quantization = BitsAndBytesConfig({settings})"] if packed else []),
        f"model = {facts.auto_class}.from_pretrained({', '.join(words)})",
        f"tokenizer = AutoTokenizer.from_pretrained({', '.join(place)})",
    ]


def whole_lines(kept: Kept, facts: Facts) -> list[str]:
    dtype = "bfloat16" if kept.what == MERGED else "float32"
    return [
        "import torch",
        *import_lines(facts),
        "",
        f'model = {facts.auto_class}.from_pretrained(".", dtype=torch.{dtype})',
        'tokenizer = AutoTokenizer.from_pretrained(".")',
        *use_lines(kept, facts),
    ]


def classifier_words(kept: Kept) -> list[str]:
    return [f"id2label=dict(enumerate({list(kept.labels)!r}))"] if kept.labels else []


def use_lines(kept: Kept, facts: Facts) -> list[str]:
    """The lines that ask the model something, in the form in which it was trained."""
    if kept.labels:
        return [
            'inputs = tokenizer("A sentence to label.", return_tensors="pt").to(model.device)',
            "labels = model(**inputs).logits.argmax(-1)[0].tolist()",
            "print([model.config.id2label[label] for label in labels])",
        ]
    return [
        f"prompt = {facts.prompt!r}",
        'inputs = tokenizer(prompt, return_tensors="pt").to(model.device)',
        "said = model.generate(**inputs, max_new_tokens=64, do_sample=False, use_cache=True)",  # peft's prefix needs it
        "print(tokenizer.decode(said[0, inputs.input_ids.shape[1] :], skip_special_tokens=True))",
    ]
