"""How much of the very text that answers is found: recall, precision and intersection over union in characters.

As in B. Smith and A. Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024), over characters.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.evaluate.judged import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kb.evaluate.measures import Measured

DEPTHS: Final = (5, 10)


def measured_spans(retrieved: Sequence[Span], relevant: Sequence[Span]) -> Measured:
    """The measures of one question.

    Recall is the share of the relevant characters that are retrieved, precision the share of the retrieved that are
    relevant, IoU the relevant retrieved ones over all that are retrieved or relevant. What is retrieved twice counts
    twice as retrieved, once as found.

    Args:
        retrieved: What was retrieved, best first.
        relevant: What answers the question.
    """
    wanted = _characters(relevant)
    found: Measured = {}
    for depth in DEPTHS:
        first = retrieved[:depth]
        hit = len(wanted & _characters(first))
        length = sum(span.end - span.start for span in first)
        found[f"span recall@{depth}"] = hit / len(wanted)
        found[f"span precision@{depth}"] = hit / length if length else 0.0
        found[f"span IoU@{depth}"] = hit / (length + len(wanted) - hit)
    return found


def _characters(spans: Iterable[Span]) -> set[tuple[str, int]]:
    return {(span.document, at) for span in spans for at in range(span.start, span.end)}


class Offsets:
    r"""Where passages stand in a file, in characters of the file as it is, ``\r\n`` counting two.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            raw = file.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KbError(f"{file} has spans and cannot be read as UTF-8 ({error})") from error
        self._shift = int(raw.startswith("\ufeff"))
        self._text = raw[self._shift :].replace("\r\n", "\n").replace("\r", "\n")
        self._lines = [0, *(found.end() for found in re.finditer("\n", self._text))]
        # Places in the text where the file has one character more.
        ends = (found.start() for found in re.finditer("\r\n", raw[self._shift :]))
        self._longer = [place - before for before, place in enumerate(ends)]

    def place(self, document: str, text: str, first_line: int) -> Span:
        """The stretch that a passage takes up.

        Raises:
            KbError: The passage does not stand there: the file has changed since it was indexed.
        """
        start = self._text.find(text, self._lines[first_line - 1]) if first_line <= len(self._lines) else -1
        if start < 0:
            raise KbError(f"{self._file} has changed since it was indexed", "Run kb index first")
        return Span(document, self._in_file(start), self._in_file(start + len(text)))

    def _in_file(self, offset: int) -> int:
        return offset + self._shift + bisect_left(self._longer, offset)
