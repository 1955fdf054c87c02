"""The four documents and the question that kb grew from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SEED = {
    "python.md": "Python is a high-level, general-purpose programming language.",
    "pytorch.md": "The PyTorch library is widely used for deep learning and neural networks.",
    "chromadb.md": "ChromaDB is an open-source vector database specialized for AI embeddings.",
    "openai.md": "OpenAI relies on cloud-hosted API architecture for model evaluation.",
}
SEED_QUESTION = "What tool should I use to store vector data locally?"


def write_seed(folder: Path) -> Path:
    """Make a folder with the documents, and return it."""
    folder.mkdir()
    for name, text in SEED.items():
        (folder / name).write_text(f"{text}\n", "utf-8")
    return folder
