"""The rerankers: bge-m3's ColBERT and lexical heads, and a registry that creates each kind on first use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from kb.embedding.encoder import Encoder
    from kb.embedding.runtime import Device, Precision
    from kb.embedding.torch_runtime import States
    from kb.ports import Reranker

# Scores of bge-m3's multi-vector (ColBERT) and lexical heads from token states, as functions of arrays. Formulas:
# J. Chen et al., "M3-Embedding", arXiv:2402.03216, section 3.2, and its code (FlagEmbedding).

COLBERT_FILE: Final = "colbert_linear.pt"
LEXICAL_FILE: Final = "sparse_linear.pt"

Linear = tuple["NDArray[np.float32]", "NDArray[np.float32]"]


def colbert_vectors(states: NDArray[np.float32], linear: Linear) -> NDArray[np.float32]:
    """A unit vector for each token but the first (``<s>``), shape (tokens - 1, size of the head).

    Args:
        states: The token states of one text, shape (tokens, hidden size), without padding.
        linear: Weight and bias of the head.
    """
    weight, bias = linear
    found = states[1:] @ weight.T + bias
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    units: NDArray[np.float32] = found / np.maximum(lengths, 1e-12)
    return units


def colbert_score(question: NDArray[np.float32], passage: NDArray[np.float32]) -> float:
    """The mean, over the question's tokens, of the highest cosine with a token of the passage, in -1..1."""
    return float((question @ passage.T).max(axis=1).mean())


def lexical_weights(
    ids: NDArray[np.int64], states: NDArray[np.float32], linear: Linear, skipped: Collection[int | None]
) -> dict[int, float]:
    """The positive weights of a text's tokens; a repeated token has its largest weight.

    Args:
        ids: The token ids.
        states: Their states.
        linear: Weight, shape (1, hidden size), and bias of the head.
        skipped: The ids of special tokens.
    """
    weight, bias = linear
    weights: dict[int, float] = {}
    for id_, value in zip(ids.tolist(), (states @ weight[0] + bias[0]).tolist(), strict=True):
        if value > 0 and id_ not in skipped:
            weights[id_] = max(value, weights.get(id_, 0.0))
    return weights


def lexical_score(question: Mapping[int, float], passage: Mapping[int, float]) -> float:
    """The sum of the products of weights over common tokens, 0 or more."""
    return sum(weight * passage[id_] for id_, weight in question.items() if id_ in passage)


# The special tokens of bge-m3.
_SPECIAL_TOKENS: Final = ("<s>", "</s>", "<pad>", "<unk>")


class HeadReranker:
    """Scores passages for a question by one of the heads.

    Args:
        encoder: The embedding model.
        head: ``colbert`` compares each token of the question with the nearest token of the passage, score -1..1;
            ``lexical`` sums learnt weights of common tokens, score 0 or more.

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
            ModelError: They cannot be loaded, or do not match.
        """
        self._linear = self._linear or self._head()
        with self._encoder.in_torch():
            pass

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Score how well each text answers the question; higher is better.

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
        from kb.embedding.torch_runtime import read_linear

        weight, bias = read_linear(self._file)
        size = self._tokens.spec.hidden_size
        rows = 1 if self.name == "lexical" else len(weight)
        if weight.shape != (rows, size) or bias.shape != (rows,):
            raise ModelError(
                f"{self._file} does not fit the model: {weight.shape} instead of ({rows}, {size})",
                "Replace it by a complete copy of the model",
            )
        return weight, bias

    def _weights(self, states: States, linear: Linear) -> dict[int, float]:
        skipped = {self._tokens.tokenizer.token_to_id(token) for token in _SPECIAL_TOKENS}
        return lexical_weights(*states, linear, skipped)


Kind: TypeAlias = Literal["cross-encoder", "colbert", "lexical"]


@dataclass
class Rerankers:
    """Rerankers by kind.

    Attributes:
        encoder: Returns the embedding model, for its heads.
        model: The cross-encoder: a name on the hub, or a directory.
        revision: Its revision; empty for the pinned one.
        offline: Never download it.
        device: The device to run it on.
        precision: The number format to compute in.
    """

    encoder: Callable[[], Encoder]
    model: str
    revision: str = ""
    offline: bool = False
    device: Device = "auto"
    precision: Precision = "auto"
    _made: dict[Kind, Reranker] = field(default_factory=dict)

    def get(self, kind: Kind) -> Reranker:
        """The reranker of a kind; its weights are loaded on first use.

        Raises:
            ModelError: It is not installed and cannot be downloaded.
        """
        if kind not in self._made:
            self._made[kind] = self._cross_encoder() if kind == "cross-encoder" else HeadReranker(self.encoder(), kind)
        return self._made[kind]

    def _cross_encoder(self) -> Reranker:
        from kb.embedding.cross_encoder import CrossEncoderReranker, locate_reranker

        located = locate_reranker(self.model, self.revision, offline=self.offline)
        return CrossEncoderReranker(located, device=self.device, precision=self.precision)
