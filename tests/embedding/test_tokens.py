"""Token counts of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_bge_m3 import copy_model

from kb.embedding.tokens import ModelTokens, encodable
from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from kb.embedding.spec import Located

WORDS = st.sampled_from(
    ["water", "caf\u00e9", "Z\u00fcrich", "def f(x):", "```", "</s>", "[SEP]", "<mask>", "\n\n", "\t", "  ", "\u6c34"]
)
TEXTS = st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.lists(WORDS).map("".join))


def loaded_tokenizer(directory: Path) -> Any:
    """A model's tokenizer, as transformers loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(directory))


@pytest.fixture(scope="session")
def tiny_tokens(tiny: Path) -> ModelTokens:
    """The tiny model's token counter."""
    return ModelTokens(tiny)


@pytest.fixture(scope="session")
def minilm_tokens(minilm: Located) -> ModelTokens:
    """The bundled model's token counter."""
    return ModelTokens(minilm.directory)


@pytest.fixture(scope="session")
def tiny_loaded(tiny: Path) -> Any:
    """The tiny model's tokenizer as sentence-transformers loads it."""
    return loaded_tokenizer(tiny)


@pytest.fixture(scope="session")
def minilm_loaded(minilm: Located) -> Any:
    """The bundled model's tokenizer as sentence-transformers loads it."""
    return loaded_tokenizer(minilm.directory)


@given(text=TEXTS)
@example(text="a space at the end ")
@example(text="  \n ")
def test_tiny_counts_what_the_loaded_model_counts(tiny_tokens: ModelTokens, tiny_loaded: Any, text: str) -> None:
    """For a model of bge-m3's shape, counts are those of the tokenizer that is loaded with the model."""
    expected = tiny_loaded(text)["input_ids"]

    assert tiny_tokens.tokenizer.encode(text).ids == expected
    assert tiny_tokens.count([text]) == [len(expected)]


@given(texts=st.lists(TEXTS, max_size=4))
def test_minilm_counts_what_the_loaded_model_counts(
    minilm_tokens: ModelTokens, minilm_loaded: Any, texts: list[str]
) -> None:
    """The same for the bundled model, one text at a time or many at once."""
    expected = [len(minilm_loaded(text)["input_ids"]) for text in texts]

    assert minilm_tokens.count(texts) == expected


def test_counts_are_never_cut(minilm_tokens: ModelTokens) -> None:
    """A text far over the limit has its full count."""
    assert minilm_tokens.limit == 256
    assert minilm_tokens.count(["water " * 5000, "water"]) == [5002, 3]


def test_limit_leaves_out_positions_before_the_first(tiny_tokens: ModelTokens) -> None:
    """XLM-RoBERTa does not use its first two positions, so 514 positions read 512 tokens."""
    assert tiny_tokens.limit == 512


def test_special_tokens_are_listed(tiny_tokens: ModelTokens, minilm_tokens: ModelTokens) -> None:
    """The special tokens are given as text."""
    assert set(tiny_tokens.special_tokens) == {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}
    assert set(minilm_tokens.special_tokens) == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


def test_lone_surrogates_are_counted(minilm_tokens: ModelTokens) -> None:
    """A file name that is not UTF-8 puts a lone surrogate into a text, which counts as U+FFFD."""
    assert minilm_tokens.count(["caf\udce9"]) == minilm_tokens.count(["caf\ufffd"])
    assert encodable("caf\udce9") == "caf\ufffd"


def test_broken_tokenizer_is_one_error(tiny: Path, tmp_path: Path) -> None:
    """The error for an invalid tokenizer.json has its path."""
    model = copy_model(tiny, tmp_path)
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")

    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        ModelTokens(model).count(["water"])
