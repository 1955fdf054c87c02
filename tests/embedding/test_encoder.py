"""The encoder: batches, turns of threads, long questions, precision and prompts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb.embedding.encoder import TURN_TOKENS, Encoder, batches
from kb.embedding.locate import locate
from kb.embedding.runtime import OutOfMemory
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LENGTHS = st.lists(st.integers(min_value=1, max_value=300), max_size=60)
BUDGETS = st.integers(min_value=1, max_value=2000)


@given(tokens=LENGTHS, budget=BUDGETS)
def test_batches_hold_every_text_once(tokens: list[int], budget: int) -> None:
    """Each position is in exactly one batch, and no batch is empty."""
    groups = batches(tokens, budget)

    assert sorted(position for group in groups for position in group) == list(range(len(tokens)))
    assert all(groups)


@given(tokens=LENGTHS, budget=BUDGETS)
def test_batches_keep_to_the_budget(tokens: list[int], budget: int) -> None:
    """Padded to its longest text, a batch is within the budget, unless it has only one text."""
    for group in batches(tokens, budget):
        assert len(group) == 1 or len(group) * max(tokens[position] for position in group) <= budget


@given(tokens=LENGTHS, budget=BUDGETS)
@example(tokens=[5, 5, 5, 5], budget=10)
def test_batches_go_from_long_to_short_and_are_full(tokens: list[int], budget: int) -> None:
    """Texts are ordered by length, and the first text of a batch did not fit into the previous one."""
    groups = batches(tokens, budget)
    order = [tokens[position] for group in groups for position in group]

    assert order == sorted(tokens, reverse=True)
    for group in groups[:-1]:
        assert (len(group) + 1) * tokens[group[0]] > budget


class FakeModel:
    """A model whose vectors depend on the text, with memory for a number of texts at once."""

    def __init__(self, room: int = 1000, dimension: int = 384) -> None:
        self.where = "a small device"
        self.shared = False
        self.budget = 2048
        self.room = room
        self.dimension = dimension
        self.sizes: list[int] = []
        self.texts: list[list[str]] = []
        self.begun = threading.Event()
        self.gate: threading.Event | None = None
        self.inside = 0
        self.most_inside = 0
        self._counting = threading.Lock()

    def encode(self, texts: Sequence[str], prompt: str) -> Any:  # noqa: ARG002 - the fake has none
        """One number of each vector is the length of the text."""
        with self._counting:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.sizes.append(len(texts))
        self.texts.append(list(texts))
        self.begun.set()
        if self.gate:
            assert self.gate.wait(120)
        with self._counting:
            self.inside -= 1
        if len(texts) > self.room:
            raise OutOfMemory
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        vectors[:, 0] = [len(text) for text in texts]
        return vectors


@pytest.fixture
def small(tiny: Path) -> tuple[Encoder, FakeModel]:
    """An encoder with memory for three texts."""
    encoder = Encoder(locate(str(tiny)), batch_tokens=1000)
    model = FakeModel(room=3, dimension=32)
    encoder._loaded = model
    return encoder, model


def test_full_memory_halves_the_batch_and_continues(
    small: tuple[Encoder, FakeModel], caplog: pytest.LogCaptureFixture
) -> None:
    """All vectors are computed in order, and the smaller batch size is kept and logged."""
    encoder, model = small
    texts = ["x" * (i + 1) for i in range(20)]

    vectors = encoder.embed_documents(texts, [10] * 20)

    assert vectors[:, 0].tolist() == list(range(1, 21))
    assert model.sizes == [20, 10, 5, *[2] * 10]
    assert "Set embed.batch_tokens to 25" in caplog.text


def test_no_room_for_one_text_is_an_error(small: tuple[Encoder, FakeModel]) -> None:
    """If not even one text fits, the error has a remedy."""
    encoder, model = small
    model.room = 0

    with pytest.raises(ModelError, match="not even one text"):
        encoder.embed_documents(["water", "stone"], [3, 3])
    with pytest.raises(ModelError, match="not even one text"):
        encoder.embed_query("water")


def test_question_waits_for_one_batch_only(small: tuple[Encoder, FakeModel]) -> None:
    """A question during a long run is embedded right after the current batch, not concurrently."""
    encoder, model = small
    model.gate = threading.Event()
    run = threading.Thread(target=encoder.embed_documents, args=(["water"] * 50, [501] * 50))
    asking = threading.Thread(target=encoder.embed_query, args=("stone",))
    run.start()
    assert model.begun.wait(120)
    asking.start()
    until = time.monotonic() + 120
    while not encoder._next.locked() and model.inside == 1:
        assert time.monotonic() < until, "the question never came"
        time.sleep(0.002)

    model.gate.set()
    run.join(120)
    asking.join(120)

    assert model.most_inside == 1
    assert len(model.texts) == 51
    assert model.texts.index(["stone"]) == 1


def test_shared_model_takes_short_turns_and_lets_others_go_first(
    small: tuple[Encoder, FakeModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches start small and adapt to their speed; ``give_way`` is called before each."""
    encoder, model = small
    model.room, encoder._batch_tokens = 10_000, 4_000
    asked: list[int] = []
    now = [0.0]
    monkeypatch.setattr("kb.embedding.encoder.time.perf_counter", lambda: now[0])
    speed = 20_000.0

    def encode(texts: Sequence[str], prompt: str) -> Any:
        now[0] += len(texts) * 10 / speed
        return FakeModel.encode(model, texts, prompt)

    model.encode = encode  # type: ignore[method-assign]  # one that takes time
    encoder.share(lambda: asked.append(len(model.sizes)))
    texts = ["x" * (at + 1) for at in range(2_000)]

    vectors = encoder.embed_documents(texts, [10] * len(texts))
    fast, model.sizes = model.sizes, []
    speed = 1_000.0
    encoder.embed_documents(texts, [10] * len(texts))

    assert vectors[:, 0].tolist() == list(range(1, len(texts) + 1))
    assert asked[: len(fast)] == list(range(len(fast)))
    assert fast[0] == TURN_TOKENS // 10
    # 20,000 tokens a second are 1,200 in a turn, more or less: batches change only where that is worth it.
    assert all(800 <= size * 10 <= 1_300 for size in fast[6:-1])
    assert model.sizes[-1] * 10 <= TURN_TOKENS * 1.4


def test_no_texts_give_no_vectors_and_load_nothing(tiny: Path) -> None:
    """An empty list gives shape (0, dimension) without loading the weights."""
    encoder = Encoder(locate(str(tiny)))

    assert encoder.embed_documents([], []).shape == (0, 32)
    assert not encoder.loaded


def test_too_long_text_is_refused_and_not_truncated(minilm_encoder: Encoder) -> None:
    """The error for a document over the limit names both lengths."""
    text = "water " * 255

    with pytest.raises(ModelError, match=r"257 tokens is longer than the 256"):
        minilm_encoder.embed_documents([text], minilm_encoder.tokens.count([text]))


def test_a_long_question_is_the_mean_of_its_parts(minilm_encoder: Encoder) -> None:
    """Weighted by tokens and normalised, and no part is lost."""
    text = "water flows down the river. " * 50 + "music of a violin " * 60

    parts = minilm_encoder.tokens.parts_of_question(text)
    vector = minilm_encoder.embed_query(text)

    assert minilm_encoder.question_parts(text) == len(parts) == 3
    assert "".join("".join(part for part, _ in parts).split()) == "".join(text.split())
    mean = sum(tokens * minilm_encoder.embed_query(part).astype(np.float64) for part, tokens in parts)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    for word in ("river water", "violin music"):
        assert float(vector @ minilm_encoder.embed_query(word)) > 0.3
    assert minilm_encoder.question_parts("water " * 254) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5000,
        "\u65e5\u672c\u8a9e" * 300,
        "a b " * 300,
        "\u00fcn\u00ef\n\n" * 400,
        "-" * 3000,
        "caf\udce9 " * 400,
        "\ufdfa" * 200,
    ],
)
def test_any_long_question_is_read_in_parts_within_the_limit(minilm_encoder: Encoder, text: str) -> None:
    """Even without white space, no character is lost and no part is too long."""
    parts = minilm_encoder.tokens.parts_of_question(text)

    assert all(minilm_encoder.tokens.count_question(part) <= 256 for part, _ in parts)
    kept = "".join("".join(part for part, _ in parts).split())
    assert kept == "".join(text.replace("\udce9", "\ufffd").split())


def test_a_question_as_long_as_a_book_is_refused(minilm_encoder: Encoder) -> None:
    """The error says what to do instead."""
    for text in ("water " * 20_000, "x" * 300_000):
        with pytest.raises(ModelError, match="over the limit of 16,384 tokens") as error:
            minilm_encoder.embed_query(text)
        assert "kb similar" in error.value.remedy


def test_text_at_the_limit_is_read_to_its_last_word(minilm_encoder: Encoder) -> None:
    """At exactly the limit, the last word affects the vector."""
    texts = ["water " * 253 + last for last in ("stone", "music")]

    one, two = minilm_encoder.embed_documents(texts, minilm_encoder.tokens.count(texts))

    assert minilm_encoder.tokens.count(texts) == [256, 256]
    assert float(one @ two) < 0.9999


def test_wrong_count_never_leads_to_truncation(minilm_encoder: Encoder) -> None:
    """Even if the given length is too small, a text is embedded as a whole or refused."""
    texts = ["water " * 300 + last for last in ("stone", "music")]

    one, two = minilm_encoder.embed_documents(texts, [10, 10])
    with pytest.raises(ModelError, match="longer than the model reads"):
        minilm_encoder.embed_documents(["water " * 600], [10])

    assert float(one @ two) < 0.999999


def test_vectors_do_not_depend_on_their_batch(minilm_encoder: Encoder) -> None:
    """Each text has the same vector as alone, and vectors have the order of the texts."""
    texts = ["water", "a much longer text about rivers, stones and the sea " * 4, "stone", "notes on databases"]

    together = minilm_encoder.embed_documents(texts, minilm_encoder.tokens.count(texts))
    alone = [minilm_encoder.embed_documents([text], minilm_encoder.tokens.count([text]))[0] for text in texts]

    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_golden_cosines_of_the_bundled_model(minilm_encoder: Encoder) -> None:
    """The example of sentence-transformers gives its published cosines."""
    documents = [
        "Venus is often called Earth's twin because of its similar size and proximity.",
        "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
        "Jupiter, the largest planet in our solar system, has a prominent red spot.",
        "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
    ]

    vectors = minilm_encoder.embed_documents(documents, minilm_encoder.tokens.count(documents))
    cosines = vectors @ minilm_encoder.embed_query("Which planet is known as the Red Planet?")

    np.testing.assert_allclose(cosines, [0.46469, 0.81146, 0.72792, 0.75019], atol=2e-3)


def test_seed_example_ranks_the_vector_database_first(minilm_encoder: Encoder) -> None:
    """A question about storing vectors finds the note on ChromaDB."""
    documents = [
        "Python is a high-level, general-purpose programming language.",
        "The PyTorch library is widely used for deep learning and neural networks.",
        "ChromaDB is an open-source vector database specialized for AI embeddings.",
        "OpenAI relies on cloud-hosted API architecture for model evaluation.",
    ]

    vectors = minilm_encoder.embed_documents(documents, minilm_encoder.tokens.count(documents))
    cosines = vectors @ minilm_encoder.embed_query("What tool should I use to store vector data locally?")

    assert int(np.argmax(cosines)) == 2


def test_question_with_undecodable_bytes_is_embedded(minilm_encoder: Encoder) -> None:
    """A question from a terminal in another encoding has a vector, and white space around it has no effect."""
    broken = minilm_encoder.embed_query("caf\udce9")

    np.testing.assert_allclose(broken, minilm_encoder.embed_query("  caf\ufffd\n"), atol=1e-6)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_the_same_space(tiny: Path, tiny_encoder: Encoder, precision: Any) -> None:
    """float16 runs on the CPU, has the same fingerprint, and gives unit vectors."""
    encoder = Encoder(locate(str(tiny)), precision=precision, threads=1)

    vector = encoder.embed_query("water of the river")

    assert encoder.load() == f"torch cpu ({precision})"
    assert encoder.fingerprint == tiny_encoder.fingerprint
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-6)
    assert float(vector @ tiny_encoder.embed_query("water of the river")) > 0.99


def test_missing_device_is_reported(tiny: Path) -> None:
    """It is an error, and no other device is used instead."""
    import torch

    device: Any = next(
        d for d in ("mps", "cuda") if not getattr(torch.backends if d == "mps" else torch, d).is_available()
    )

    with pytest.raises(ModelError, match=f"embed.device is {device}"):
        Encoder(locate(str(tiny)), device=device).load()


def test_prompts_are_used_and_counted(tiny: Path, tiny_encoder: Encoder, tmp_path: Path) -> None:
    """A model with prompts gets them before questions and documents, and their tokens count."""
    import json

    from tiny_bge_m3 import copy_model

    model = copy_model(tiny, tmp_path)
    prompts = {"prompts": {"query": "search ", "passage": "notes "}}
    (model / "config_sentence_transformers.json").write_text(json.dumps(prompts), encoding="utf-8")

    encoder = Encoder(locate(str(model)))
    document = encoder.embed_documents(["water"], encoder.tokens.count(["water"]))[0]

    np.testing.assert_allclose(encoder.embed_query("water"), tiny_encoder.embed_query("search water"), atol=1e-6)
    np.testing.assert_allclose(document, tiny_encoder.embed_query("notes water"), atol=1e-6)
    assert encoder.tokens.count(["water"]) == tiny_encoder.tokens.count(["notes water"])
    assert encoder.fingerprint != tiny_encoder.fingerprint
    assert encoder.fingerprint.endswith('prompts=["search ", "notes "]')
