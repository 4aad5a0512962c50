"""The choice of a model's tokenizer, and the byte tokenizer for models that have none.

Byte ids need no download: 0-7 are special, byte b is b + 8. tiny_* models always use them.
"""

from pathlib import Path
from typing import Any

from bench.models import MODELS, ModelEntry
from bench.sources import SourceError, find_weights
from bench.sources.snapshot import read_json

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<cls>", "<sep>", "<mask>", "<extra>")
BYTES = "bytes"  # the name_or_path of the stand-in tokenizer when none was found


def byte_tokenizer() -> Any:
    """A fast tokenizer of 264 ids: eight special tokens, then the 256 bytes."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"(?=\s)"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, name_or_path=BYTES, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        cls_token="<cls>",
    )  # fmt: skip


def tokenizer_for(entry: ModelEntry, folder: Path | None, mirror: Path | None) -> tuple[Any, list[str]]:
    """The tokenizer, and the reasons if it is not the model's own; folder is that of the weights, if there is one.

    A synthetic model uses its own tokenizer from a mirror that has nothing else of it, or its stand-in's. The ids must
    fit: a larger id is taken modulo the vocabulary.
    """
    if folder:
        return load(folder), []
    if folder := mirror_folder(entry, mirror):
        return load(folder), []
    if entry.tokenizer_stand_in:
        stand_in = MODELS[entry.tokenizer_stand_in]
        if folder := mirror_folder(stand_in, mirror):
            return load(folder), [stand_in_text(stand_in)]
        try:
            found = find_weights(stand_in, mirror)
        except SourceError as error:
            return byte_tokenizer(), [f"text is split into bytes: {error}"]
        if found.folder:
            return load(found.folder), [stand_in_text(stand_in)]
    reasons = [] if entry.tiny else ["text is split into bytes: no tokenizer was found"]
    return byte_tokenizer(), reasons


def mirror_folder(entry: ModelEntry, mirror: Path | None) -> Path | None:
    """The user's folder of the model, or the mirror's, if it has a tokenizer, with or without weights."""
    in_mirror = mirror / "models" / entry.hub_id if mirror and entry.hub_id else None
    folder = Path(entry.folder) if entry.folder else in_mirror
    return folder if folder and (folder / "tokenizer.json").is_file() else None


def stand_in_text(stand_in: ModelEntry) -> str:
    return f"text is split by the tokenizer of {stand_in.name}, ids modulo the vocabulary"


def load(folder: Path) -> Any:
    """A fast tokenizer from a transformers folder."""
    from transformers import AutoTokenizer

    extra = {"add_prefix_space": True} if is_roberta(folder) else {}  # its word pieces start with a space
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, **extra)


def is_roberta(folder: Path) -> bool:
    return read_json(folder / "config.json").get("model_type") == "roberta"
