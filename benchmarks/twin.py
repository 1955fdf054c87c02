"""Builds a model of bge-m3's size and speed with random weights, without a download."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>")
ROWS: Final = 250_002
LAYERS: Final = 24
HIDDEN: Final = 1024
INNER: Final = 4096
HEADS: Final = 16
LIMIT: Final = 8192
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def build_twin(directory: Path, layers: int = LAYERS) -> Path:
    """Write the model with files and keys as sentence-transformers saves them.

    Args:
        directory: The directory to create, about 2.3 GB.
        layers: The number of layers; fewer for a quick test.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import XLMRobertaConfig, XLMRobertaModel

    directory.mkdir(parents=True)
    _write_tokenizer(directory)
    config = XLMRobertaConfig(
        vocab_size=ROWS,
        hidden_size=HIDDEN,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=LIMIT + 2,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        layer_norm_eps=1e-5,
    )
    torch.manual_seed(5)
    model = XLMRobertaModel(config, add_pooling_layer=False)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    _write(directory / "config.json", config.to_dict() | {"architectures": ["XLMRobertaModel"]})
    kinds = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(kinds)
    ]
    _write(directory / "modules.json", modules)
    (directory / "1_Pooling").mkdir()
    _write(
        directory / "1_Pooling" / "config.json", {"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": True}
    )
    _write(directory / "sentence_bert_config.json", {"max_seq_length": LIMIT, "do_lower_case": False})
    return directory


def _write_tokenizer(directory: Path) -> None:
    """A Unigram vocabulary of the full size: every letter, and generated words."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    chance = random.Random(5)  # noqa: S311 - the same every time is wanted
    words = {f"\u2581{letter}" for letter in _LETTERS} | set(_LETTERS)
    while len(words) < ROWS - len(SPECIAL) - 1:
        words.add("\u2581" + "".join(chance.choices(_LETTERS, k=chance.randint(3, 9))))
    scored = [(word, -10.0) for word in sorted(words)]
    vocabulary = [*((token, 0.0) for token in SPECIAL), *scored, ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([*SPECIAL, AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.save(str(directory / "tokenizer.json"))
    roles = ("bos", "pad", "eos", "unk", "cls", "sep", "mask")
    marks = (*SPECIAL, "<s>", "</s>", "<mask>")
    names: dict[str, Any] = {f"{role}_token": mark for role, mark in zip(roles, marks, strict=True)}
    names |= {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": LIMIT}
    _write(directory / "tokenizer_config.json", names)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), "utf-8")
