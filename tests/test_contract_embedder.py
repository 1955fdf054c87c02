"""What every ``kb.ports.Embedder`` keeps to: the real encoder with the bundled model in each runtime, and the fake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kb.embedding.encoder import Encoder
from kb.testing import FakeEmbedder, FakeTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kb.ports import Embedder, TokenCounter

BREAD = "Sourdough bread rises slowly: flour, water, salt and a starter."
TEXTS = [
    BREAD,
    "To undo the last git commit, run git reset --soft HEAD~1.",
    "The river Rhine flows from the Alps to the North Sea.",
    "x",
    "A long note. " + "It says many things about gardens, tools and the weather. " * 6,
    "Tomatoes need sun, water and a stake to climb.",
    "ünïcödé 😀 \u200b 日本語",
]


@dataclass(frozen=True)
class Model:
    """An embedder and the token counter that belongs to it."""

    embedder: Embedder
    counter: TokenCounter

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of documents, whose tokens are counted first."""
        return self.embedder.embed_documents(texts, self.counter.count(texts))


@pytest.fixture(scope="module", params=["fake", "torch", "onnx", "onnx int8"])
def model(request: pytest.FixtureRequest) -> Model:
    """An embedder of each kind; the real ones load their weights once."""
    if request.param == "fake":
        return Model(FakeEmbedder(), FakeTokens())
    minilm = request.getfixturevalue("minilm")
    if request.param == "torch":
        encoder = Encoder(minilm, device="cpu", runtime="torch")
    else:
        forms = request.getfixturevalue("forms")
        encoder = Encoder(minilm, runtime="onnx", precision="int8" if "int8" in request.param else "auto", models=forms)
    return Model(encoder, encoder.tokens)


@pytest.fixture(scope="module")
def vectors(model: Model) -> NDArray[np.float32]:
    """The vectors of the texts. Not to be written to."""
    return model.embed(TEXTS)


class TestEmbedder:
    """The contract."""

    def test_the_fingerprint_is_one_line(self, model: Model) -> None:
        """It is kept with the store and shown to people."""
        assert model.embedder.fingerprint
        assert model.embedder.fingerprint.isprintable()
        assert model.embedder.fingerprint == model.embedder.fingerprint.strip()

    def test_each_document_has_a_unit_vector(self, model: Model, vectors: NDArray[np.float32]) -> None:
        """Shape, type, finite, length 1."""
        assert vectors.shape == (len(TEXTS), model.embedder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_a_question_has_a_unit_vector(self, model: Model) -> None:
        """Of the same length as the documents'."""
        vector = model.embedder.embed_query("How do I bake bread?")

        assert vector.shape == (model.embedder.dimension,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)

    def test_a_long_question_has_a_unit_vector(self, model: Model) -> None:
        """However many parts it is read in."""
        question = "How do I bake bread? " * 60
        vector = model.embedder.embed_query(question)

        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert model.embedder.question_parts(question) >= model.embedder.question_parts("How do I bake bread?") == 1

    def test_sentences_have_the_vectors_of_documents(self, model: Model, vectors: NDArray[np.float32]) -> None:
        """In the order given, once the model is there."""
        model.embedder.embed_query("Is it there?")

        found = model.embedder.embed_sentences(TEXTS)

        assert found is not None
        np.testing.assert_allclose(found, vectors, atol=1e-4)

    def test_no_document_gives_no_vector(self, model: Model) -> None:
        """With the right shape still."""
        assert model.embed([]).shape == (0, model.embedder.dimension)

    def test_a_text_is_embedded_the_same_in_any_company(self, model: Model, vectors: NDArray[np.float32]) -> None:
        """Alone, in any order, beside longer texts: a vector from the cache is as good as a new one."""
        backwards = model.embed(TEXTS[::-1])[::-1]
        alone = np.concatenate([model.embed([text]) for text in TEXTS[:4]])

        np.testing.assert_allclose(backwards, vectors, atol=2e-6)
        np.testing.assert_allclose(alone, vectors[:4], atol=2e-6)

    def test_equal_texts_have_equal_vectors_and_different_texts_do_not(self, model: Model) -> None:
        """Which is what a digest of the text stands for."""
        vectors = model.embed([TEXTS[0], TEXTS[1], TEXTS[0]])

        np.testing.assert_allclose(vectors[0], vectors[2], atol=2e-6)
        assert vectors[0] @ vectors[1] < 0.95

    def test_what_shares_words_is_nearer(self, model: Model, vectors: NDArray[np.float32]) -> None:
        """A question finds its text among others by cosine."""
        for question, place in (("sourdough bread", 0), ("undo the last git commit", 1), ("tomatoes need sun", 5)):
            assert int(np.argmax(vectors @ model.embedder.embed_query(question))) == place

    def test_lengths_must_be_given_for_each_text(self, model: Model) -> None:
        """One number too few is a mistake in the calling code."""
        with pytest.raises(ValueError, match="2 texts, and lengths of 1"):
            model.embedder.embed_documents(["a", "b"], [3])

    def test_a_lone_surrogate_can_be_embedded(self, model: Model) -> None:
        """File names that are no text get into titles."""
        vectors = model.embed(["caf\udce9 notes"])

        assert np.isfinite(vectors).all()


class TestTokenCounter:
    """The contract of ``kb.ports.TokenCounter``."""

    def test_every_text_has_its_special_tokens(self, model: Model) -> None:
        """An empty text is as long as they are, and more text is more tokens."""
        empty, short, longer = model.counter.count(["", "one", "one two three four"])

        assert 0 < empty < short < longer

    def test_a_length_is_never_cut(self, model: Model) -> None:
        """Beyond the limit it is still the true one, so that what is too long can be seen."""
        words = model.counter.limit * 3

        assert model.counter.count(["word " * words])[0] > words

    def test_no_text_has_no_length(self, model: Model) -> None:
        """Empty lists of work are no error."""
        assert model.counter.count([]) == []
