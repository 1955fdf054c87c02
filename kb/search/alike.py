"""Whether two passages say the same: copies of a text, and texts that hardly differ. Functions of values."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from kb.records.scripts import SPACELESS

# Of the runs of three tokens that either of two texts has, so many must be in both: in 150 words, two may differ.
LEAST_SHARED: Final = 0.9
_RUN: Final = 3
# Each sign of a script without spaces is a token.
_TOKEN: Final = re.compile(rf"[^\W{SPACELESS}]+|\S")
_NUMBER: Final = re.compile(r"\d+")


class Wording:
    """A text as it is compared with others; what that needs is worked out when it is needed.

    Args:
        text: The text of a passage.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Its numbers, in their order."""
        return tuple(_NUMBER.findall(self._text))

    @cached_property
    def runs(self) -> frozenset[tuple[str, ...]]:
        """Each three tokens in a row (Broder's shingles), all of them together where there are fewer."""
        tokens = _TOKEN.findall(self._text)
        if len(tokens) < _RUN:
            return frozenset({tuple(tokens)})
        return frozenset(zip(*(tokens[at:] for at in range(_RUN)), strict=False))

    def like(self, other: Wording) -> bool:
        """Whether two texts are the same but for white space and a word here and there; their numbers must be equal.

        White space apart, nearly the same means a Jaccard coefficient of their runs of at least ``LEAST_SHARED``
        (A. Broder, On the resemblance and containment of documents, 1997). A version, a date or an amount that
        differs makes another text: it may be all that was asked for.
        """
        if self.numbers != other.numbers:
            return False
        fewer, more = sorted((self.runs, other.runs), key=len)
        if len(fewer) < LEAST_SHARED * len(more):
            return False
        shared = len(fewer & more)
        return shared >= LEAST_SHARED * (len(fewer) + len(more) - shared)
