"""The length of texts in the model's own tokens, without its weights.

The tokenizer library alone starts in milliseconds; the model's own start takes seconds.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from kb.embed.spec import REMEDY, read_spec
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenizers import Tokenizer
    from tokenizers.normalizers import Normalizer

    from kb.embed.spec import ModelSpec

# File names that are no valid UTF-8 reach texts as lone surrogates, which no tokenizer takes.
SURROGATE: Final = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """The text as the model gets it: lone surrogates become the replacement character."""
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


class ModelTokens:
    """Counts tokens exactly as the model that is loaded from the same directory does.

    Args:
        directory: The model's directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def spec(self) -> ModelSpec:
        """What the model says about itself."""
        return read_spec(self._directory)

    @property
    def limit(self) -> int:
        """The most tokens the model reads, special tokens included."""
        return self.spec.limit

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, which neither cuts nor pads."""
        from tokenizers import Tokenizer

        path = self._directory / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            # The library raises nothing more precise than Exception.
            raise ModelError(f"{path} cannot be read ({error})", REMEDY) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if self.spec.model_type == "xlm-roberta":
            _split_as_loaded(tokenizer)
        return tokenizer

    @cached_property
    def special_tokens(self) -> tuple[str, ...]:
        """The special tokens as they would stand in a text, where the model would take them for its own."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        return tuple(token.content for token in added if token.special)

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each document in tokens, with special tokens and the model's prompt, never cut."""
        return self._lengths([self.spec.document_prompt + text for text in texts])

    def count_question(self, text: str) -> int:
        """The length of a question in tokens, with special tokens and the model's prompt for questions."""
        return self._lengths([self.spec.query_prompt + text])[0]

    def _lengths(self, texts: list[str]) -> list[int]:
        encoded = self.tokenizer.encode_batch_fast([encodable(text) for text in texts])
        return [len(encoding) for encoding in encoded]


def _split_as_loaded(tokenizer: Tokenizer) -> None:
    """Split XLM-RoBERTa's text as transformers does when it rebuilds the tokenizer: at white space, which is dropped.

    The published tokenizer.json of such models makes a token more of a space at the end.
    """
    from tokenizers import normalizers, pre_tokenizers

    words = pre_tokenizers.Metaspace(replacement="\N{LOWER ONE EIGHTH BLOCK}", prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), words])
    if not isinstance(tokenizer.normalizer, normalizers.Precompiled):
        tokenizer.normalizer = _precompiled(tokenizer)


def _precompiled(tokenizer: Tokenizer) -> Normalizer | None:
    """The one part of the normaliser that is kept when the tokenizer is rebuilt."""
    from tokenizers import normalizers

    if isinstance(tokenizer.normalizer, normalizers.Sequence):
        for part in tokenizer.normalizer:  # type: ignore[attr-defined]
            if isinstance(part, normalizers.Precompiled):
                return part
    return None
