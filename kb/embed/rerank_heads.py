"""Reranks by bge-m3's own heads, where the embedding model comes with their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from kb.embed.heads import (
    COLBERT_FILE,
    LEXICAL_FILE,
    Linear,
    colbert_score,
    colbert_vectors,
    lexical_score,
    lexical_weights,
)
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.embed.encoder import Encoder
    from kb.embed.load import States

# Tokens of bge-m3 that carry no word.
_WORDLESS: Final = ("<s>", "</s>", "<pad>", "<unk>")


class HeadReranker:
    """Scores passages for a question by one of the heads.

    Args:
        encoder: The embedding model.
        head: ``colbert``: each token of the question beside the nearest of the passage, in -1..1. ``lexical``: the
            words that both have, by learnt weights, 0 or more.

    Raises:
        ModelError: The model has no such head.
    """

    def __init__(self, encoder: Encoder, head: Literal["colbert", "lexical"]) -> None:
        self.name = head
        self._encoder = encoder
        self._tokens = encoder.tokens
        self._file = encoder.located.directory / (COLBERT_FILE if head == "colbert" else LEXICAL_FILE)
        self._linear: Linear | None = None
        if not self._file.is_file():
            raise ModelError(
                f"{encoder.located.name} has no {head} head ({self._file.name})",
                "BAAI/bge-m3 has one. Set search.rerank to cross-encoder, or embed.model to BAAI/bge-m3",
            )

    def load(self) -> None:
        """Load model and head now.

        Raises:
            ModelError: They cannot be loaded, or do not fit each other.
        """
        self._linear = self._linear or self._head()
        with self._encoder.in_torch():
            pass

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question; higher is better.

        Raises:
            ModelError: The model cannot be used.
        """
        linear = self._linear = self._linear or self._head()
        with self._encoder.in_torch() as model:
            asked = model.states([question], self._tokens.spec.query_prompt)[0]
            read = model.states(texts, self._tokens.spec.document_prompt)
        if self.name == "colbert":
            vectors = colbert_vectors(asked[1], linear)
            return [colbert_score(vectors, colbert_vectors(states, linear)) for _, states in read]
        weights = self._weights(asked, linear)
        return [lexical_score(weights, self._weights(one, linear)) for one in read]

    def _head(self) -> Linear:
        from kb.embed.load import read_linear

        weight, bias = read_linear(self._file)
        size = self._tokens.spec.hidden_size
        rows = 1 if self.name == "lexical" else len(weight)
        if weight.shape != (rows, size) or bias.shape != (rows,):
            raise ModelError(
                f"{self._file} does not fit the model: {weight.shape} in place of ({rows}, {size})",
                "Put a whole copy of the model in its place.",
            )
        return weight, bias

    def _weights(self, states: States, linear: Linear) -> dict[int, float]:
        skipped = {self._tokens.tokenizer.token_to_id(token) for token in _WORDLESS}
        return lexical_weights(*states, linear, skipped)
