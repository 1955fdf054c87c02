"""An estimate of how many tokens a text costs a language model.

Every model has a tokenizer of its own, and none of them is installed with kb. The estimate splits a text as byte-pair
tokenizers do before they merge (words, numbers, punctuation, whitespace) and counts what such pieces come to on
average. Beside a real tokenizer with 65,000 tokens it came within a twentieth for English, code and JSON, and a quarter
too low for German.
"""

from __future__ import annotations

import re
from typing import Final

HOW: Final = "an estimate by words, digits and punctuation, not the count of any one model's tokenizer"
# Letters of alphabets that tokenizers know well, other letters, digits, runs of signs, and line ends with indentation.
_PIECES: Final = re.compile(
    r"(?P<word>[A-Za-z]+)|(?P<number>[0-9]+)|(?P<lines>\s*\n\s*)|(?P<sign>[!-/:-@\[-`{-~]+)|(?P<other>\S)"
)
_WORD: Final = 7
_NUMBER: Final = 3
_SIGNS: Final = 4


def tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return sum(_cost(str(piece.lastgroup), piece.end() - piece.start()) for piece in _PIECES.finditer(text))


def _cost(kind: str, length: int) -> int:
    match kind:
        case "word":
            return -(-length // _WORD)
        case "number":
            return -(-length // _NUMBER)
        case "sign":
            return -(-length // _SIGNS)
        case _:
            return 1
