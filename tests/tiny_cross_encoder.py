"""Builds a cross-encoder of bge-reranker-v2-m3's shape with random weights, so that real code loads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tiny_bge_m3 import build_tiny_bge_m3

if TYPE_CHECKING:
    from pathlib import Path

_OWN = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json")
_HEADS = ("pytorch_model.bin", "sparse_linear.pt", "colbert_linear.pt")


def build_tiny_cross_encoder(directory: Path, *, labels: int = 1, seed: int = 11) -> Path:
    """Write a tiny cross-encoder with the files of ``BAAI/bge-reranker-v2-m3``.

    Args:
        directory: Where to write it; it is made.
        labels: How many numbers it gives for a pair.
        seed: Of the random weights.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    build_tiny_bge_m3(directory)
    for name in (*_OWN, *_HEADS):
        (directory / name).unlink()
    (directory / "1_Pooling").rmdir()
    told = json.loads((directory / "config.json").read_text("utf-8"))
    config = XLMRobertaConfig(**{key: value for key, value in told.items() if key != "architectures"})
    config.num_labels = labels
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = XLMRobertaForSequenceClassification(config)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, directory / "model.safetensors")
    written = config.to_dict() | {
        "architectures": ["XLMRobertaForSequenceClassification"],
        "torch_dtype": "float32",
        "id2label": {str(at): f"LABEL_{at}" for at in range(labels)},
        "label2id": {f"LABEL_{at}": at for at in range(labels)},
    }
    written.pop("dtype", None)
    (directory / "config.json").write_text(json.dumps(written, indent=2), "utf-8")
    return directory
