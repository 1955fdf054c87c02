"""Builds a model of bge-m3's shape with random weights, file by file as the hub has it, so that real code loads it."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

SHA = "5617a9f61b028005a4858fdac845db406aefb181"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
WORDS = (
    "water",
    "stone",
    "river",
    "database",
    "vector",
    "python",
    "library",
    "search",
    "notes",
    "folder",
    "passage",
    "a",
    "the",
    "of",
    "and",
    "in",
    "is",
    "to",
    "for",
    "with",
    "caf\u00e9",
    "Z\u00fcrich",
    "def",
    "return",
    "done",
    "x",
    "f",
)
DIMENSION = 32
PAIRS = 22


def build_tiny_bge_m3(directory: Path, *, pooling: str = "cls", seed: int = 7, positions: int = 514) -> Path:
    """Write a tiny model with the files, names and keys of ``BAAI/bge-m3``.

    Args:
        directory: Where to write it; it is made.
        pooling: ``cls`` as in bge-m3, or ``mean``.
        seed: Of the random weights.
        positions: How many positions it has; two fewer are usable.
    """
    directory.mkdir(parents=True)
    rows = _write_tokenizer(directory, positions - 2)
    _write_weights(directory, rows, seed, positions)
    parts = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(parts)
    ]
    _write(directory / "modules.json", modules)
    (directory / "1_Pooling").mkdir()
    _write(
        directory / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": DIMENSION,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    _write(directory / "sentence_bert_config.json", {"max_seq_length": positions - 2, "do_lower_case": False})
    versions = {"sentence_transformers": "2.2.2", "transformers": "4.33.0", "pytorch": "2.1.2+cu121"}
    _write(directory / "config_sentence_transformers.json", {"__version__": versions})
    return directory


def fake_hub_cache(cache: Path, model: Path, *, name: str = "BAAI/bge-m3", sha: str = SHA) -> Path:
    """Lay a model out as the hub's cache has it, links and all, and return the snapshot's folder."""
    root = cache / f"models--{name.replace('/', '--')}"
    snapshot = root / "snapshots" / sha
    (root / "blobs").mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(sha, encoding="ascii")
    for number, file in enumerate(sorted(file for file in model.rglob("*") if file.is_file())):
        blob = root / "blobs" / f"{number:040x}"
        blob.write_bytes(file.read_bytes())
        link = snapshot / file.relative_to(model)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    return snapshot


def copy_model(model: Path, parent: Path) -> Path:
    """A copy of a model below a folder, to be broken by a test."""
    return Path(shutil.copytree(model, parent / "copy"))


def _write_tokenizer(directory: Path, limit: int) -> int:
    """A Unigram tokenizer of the words above, with special tokens where XLM-RoBERTa has them. Returns its size."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    vocabulary = [*((token, 0.0) for token in SPECIAL), *_pieces(), ("<mask>", 0.0)]

    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([*SPECIAL, AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.save(str(directory / "tokenizer.json"))
    names = {
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
        "cls_token": "<s>", "mask_token": {"content": "<mask>", "lstrip": True, "normalized": True,
                                           "rstrip": False, "single_word": False},
    }  # fmt: skip
    _write(directory / "special_tokens_map.json", names)
    config = {"model_max_length": limit, "tokenizer_class": "XLMRobertaTokenizer", "clean_up_tokenization_spaces": True}
    _write(directory / "tokenizer_config.json", config | names | {"mask_token": "<mask>"})
    return len(vocabulary)


def _pieces() -> list[tuple[str, float]]:
    """The letters and the commonest pairs of letters of the words, with their scores, the commonest first.

    They are counted here since a trainer's differ from process to process. Letters that do not occur count once.
    """
    words = [f"\u2581{word}" for word in WORDS]
    pairs = Counter(first + second for word in words for first, second in pairwise(word))
    counts = Counter("".join(words)) + Counter(chr(code) for code in range(33, 127))
    counts.update(dict(sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:PAIRS]))
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda piece: (-piece[1], piece[0]))
    return [(piece, math.log(count / total)) for piece, count in ordered]


def _write_weights(directory: Path, rows: int, seed: int, positions: int) -> None:
    """Random weights as a pickle, no safetensors, with the two extra heads of bge-m3 beside it."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=rows, hidden_size=DIMENSION, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=positions, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5, initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = XLMRobertaModel(config)
        sparse = {"weight": torch.randn(1, DIMENSION).half(), "bias": torch.zeros(1).half()}
        colbert = {"weight": torch.randn(DIMENSION, DIMENSION).half(), "bias": torch.zeros(DIMENSION).half()}
    torch.save(model.state_dict(), directory / "pytorch_model.bin")
    torch.save(sparse, directory / "sparse_linear.pt")
    torch.save(colbert, directory / "colbert_linear.pt")
    written = config.to_dict() | {"architectures": ["XLMRobertaModel"], "torch_dtype": "float32"}
    written.pop("dtype", None)
    _write(directory / "config.json", written)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
