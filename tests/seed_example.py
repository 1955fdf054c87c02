"""The four documents and the question that kb grew from."""

from __future__ import annotations

SEED = {
    "python.md": "Python is a high-level, general-purpose programming language.",
    "pytorch.md": "The PyTorch library is widely used for deep learning and neural networks.",
    "chromadb.md": "ChromaDB is an open-source vector database specialized for AI embeddings.",
    "openai.md": "OpenAI relies on cloud-hosted API architecture for model evaluation.",
}
SEED_QUESTION = "What tool should I use to store vector data locally?"
