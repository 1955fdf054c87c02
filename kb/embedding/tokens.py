"""Counts the tokens of texts without loading the model's weights.

The tokenizer library alone loads in milliseconds; the model takes seconds.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from kb.embedding.spec import REMEDY, read_spec
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer
    from tokenizers.normalizers import Normalizer

    from kb.embedding.spec import ModelSpec

# The most tokens of a question, and the most characters for each of them.
MOST_TOKENS: Final = 16384
_CHARACTERS: Final = 16
# A part of a long question ends at white space if there is any in its last tokens, this many.
_LOOK_BACK: Final = 32

# File names that are not UTF-8 put lone surrogates into texts, which tokenizers reject.
SURROGATE: Final = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD."""
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


class ModelTokens:
    """Counts tokens exactly as the loaded model does.

    Args:
        directory: The model's directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def spec(self) -> ModelSpec:
        """The description of the model."""
        return read_spec(self._directory)

    @property
    def limit(self) -> int:
        """The most tokens of a text, including special tokens."""
        return self.spec.limit

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, without truncation and padding."""
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
        """The special tokens as text; the model would interpret them if they occurred in a document."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        return tuple(token.content for token in added if token.special)

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each document in tokens, including special tokens and the model's prompt."""
        return self._lengths([self.spec.document_prompt + text for text in texts])

    def count_question(self, text: str) -> int:
        """The length of a question in tokens, including special tokens and the model's prompt."""
        return self._lengths([self.spec.query_prompt + text])[0]

    def parts_of_question(self, text: str) -> list[tuple[str, int]]:
        """Divide a question into parts within the model's limit, each with its length in tokens without special ones.

        A question within the limit is one part. The parts of a longer one have about the same length, and end at white
        space if possible.

        Raises:
            ModelError: The question is longer than ``MOST_TOKENS`` and than the model's limit.
        """
        most = max(MOST_TOKENS, self.limit)
        if len(text) > most * _CHARACTERS:
            raise _too_long(f"{len(text):,} characters", most)
        length = self.count_question(text)
        if length <= self.limit:
            return [(text, length)]
        if length > most:
            raise _too_long(f"{length:,} tokens", most)
        room = self.limit - self.count_question("")
        if room < 1:
            raise ModelError(f"the model reads {self.limit} tokens, and its prompt fills them", REMEDY)
        return self._cut(encodable(text), room)

    def _cut(self, text: str, room: int) -> list[tuple[str, int]]:
        """Divide a text into parts of at most ``room`` tokens."""
        offsets = self.tokenizer.encode(text, add_special_tokens=False).offsets
        # Several tokens may encode the same characters; a part begins at the first of them.
        starts = [first for first, _ in offsets]
        count = -(-len(starts) // room)
        while True:
            parts = [text[first:last].strip() for first, last in _pieces(text, starts, -(-len(starts) // count))]
            parts = [part for part in parts if part]
            lengths = [len(one) for one in self.tokenizer.encode_batch_fast(parts, add_special_tokens=False)]
            if max(lengths) <= room:
                return list(zip(parts, lengths, strict=True))
            # The parts of a divided word may have more tokens than the word.
            count += 1

    def _lengths(self, texts: list[str]) -> list[int]:
        encoded = self.tokenizer.encode_batch_fast([encodable(text) for text in texts])
        return [len(encoding) for encoding in encoded]


def _pieces(text: str, starts: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of pieces of at most ``size`` tokens; ``starts`` are the positions where tokens begin."""
    at = 0
    while at < len(starts):
        end = at + size
        if end < len(starts):
            backwards = range(end, max(at + size // 2, end - _LOOK_BACK), -1)
            end = next((place for place in backwards if text[starts[place] - 1 : starts[place]].isspace()), end)
        yield starts[at] if at else 0, starts[end] if end < len(starts) else len(text)
        at = end


def _too_long(length: str, most: int) -> ModelError:
    return ModelError(
        f"the question has {length}, over the limit of {most:,} tokens",
        "Ask a shorter question, or save the text in a folder of notes and run kb similar FILE",
    )


def _split_as_loaded(tokenizer: Tokenizer) -> None:
    """Split text for XLM-RoBERTa as transformers does, which rebuilds the tokenizer: at white space, which is dropped.

    With the published tokenizer.json of such models, a trailing space would be one token more.
    """
    from tokenizers import normalizers, pre_tokenizers

    words = pre_tokenizers.Metaspace(replacement="\N{LOWER ONE EIGHTH BLOCK}", prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), words])
    if not isinstance(tokenizer.normalizer, normalizers.Precompiled):
        tokenizer.normalizer = _precompiled(tokenizer)


def _precompiled(tokenizer: Tokenizer) -> Normalizer | None:
    """The only part of the normaliser that transformers keeps when it rebuilds the tokenizer."""
    from tokenizers import normalizers

    if isinstance(tokenizer.normalizer, normalizers.Sequence):
        for part in tokenizer.normalizer:  # type: ignore[attr-defined]
            if isinstance(part, normalizers.Precompiled):
                return part
    return None
