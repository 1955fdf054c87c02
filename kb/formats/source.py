"""Makes sections of source code: each function, method and class, with the comments right above it.

A child process finds where they begin and end (``kb.formats.source_tree``). The line of a definition is part of its
passage, so headings of code have no lines of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from kb.errors import DocumentBusy, DocumentError
from kb.formats.markup import one_line
from kb.formats.registry import REGISTRY
from kb.records import Heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.records import Document
    from kb.sandbox.protocol import Extracts

# The module that finds the structure, in the child process.
PARSER: Final = "kb.formats.source_tree"
# A file over these limits is generated or minified, and its structure is of no use.
LONGEST_TEXT: Final = 500_000
LONGEST_LINE: Final = 20_000
# Up to this many lines between definitions belong to the definition below them.
_FEW: Final = 2
_CLOSER: Final = re.compile(r"\s*(?:[\]})]+[;,)]*|end|#endif\b.*)?\s*")


@dataclass(slots=True)
class _Definition:
    """A definition with its first and last line, counting from 0, and the definitions inside it."""

    name: str
    first: int
    last: int
    inside: list[_Definition] = field(default_factory=list)


class SourceCode:
    """Adds headings to documents of source code.

    Args:
        sandbox: Where it is parsed.
    """

    def __init__(self, sandbox: Extracts) -> None:
        self._sandbox = sandbox
        parsed = (one for one in REGISTRY.rows if one.grammar and one.available)
        self._suffixes = {suffix for one in parsed for suffix in one.suffixes}

    def outlined(self, path: str, document: Document) -> Document:
        """Return a document with its definitions as headings, nested like the definitions.

        If no grammar is installed or the parser fails, the document is unchanged and is split at blank lines: code
        that crashes the parser is still text.

        Raises:
            DocumentBusy: It cannot be parsed now, for a reason that lies outside the file.
        """
        name, text = PurePosixPath(path), document.text
        if name.suffix.lower() not in self._suffixes:
            return document
        data, lines = text.encode("utf-8", "replace"), text.split("\n")
        if len(data) > LONGEST_TEXT or max(map(len, lines)) > LONGEST_LINE:
            return document
        try:
            found = _nested(self._sandbox.extract(PARSER, name.name, data).headings, len(lines))
        except DocumentBusy:
            raise
        except DocumentError:
            return document
        return replace(document, headings=tuple(_headings(lines, found, 0, len(lines), 1)))


def _nested(definitions: Sequence[tuple[str, int, int, int]], count: int) -> list[_Definition]:
    """Nest definitions by their levels; return none if they are invalid.

    The child process that returned them has read untrusted code, so they are not trusted either.
    """
    whole = _Definition("", 0, count - 1)
    open_ = [whole]
    for text, level, first, last in definitions:
        del open_[max(1, level) :]
        one = _Definition(one_line(text), first - 1, last - 1)
        if level != len(open_) or not open_[-1].first <= one.first <= one.last <= open_[-1].last:
            return []
        open_[-1].inside.append(one)
        open_.append(one)
    return whole.inside


def _headings(lines: Sequence[str], found: Sequence[_Definition], low: int, high: int, level: int) -> Iterator[Heading]:
    """Yield the headings of a range of lines; text between definitions gets an empty one, or joins the next.

    A definition of one line is not a section: several of them read like a table.
    """
    at = low
    for one in found:
        if one.first < at or one.first == one.last:
            continue
        start = one.first
        between = _first_said(lines, at, start)
        # The head of a file is a section; the line that opens a class belongs to the first definition in it.
        if between < start and (at > low or level > 1):
            few = _said(lines, between, start) <= _FEW
            if few:
                start = between
            elif at > low:
                yield Heading("", level, between + 1, between)
        yield Heading(one.name, level, start + 1, start)
        yield from _headings(lines, one.inside, start, one.last + 1, level + 1)
        at = one.last + 1
    between = _first_said(lines, at, high)
    if at > low and _said(lines, between, high) > _FEW:
        yield Heading("", level, between + 1, between)


def _said(lines: Sequence[str], low: int, high: int) -> int:
    """Count the lines with more than closing brackets."""
    return sum(1 for at in range(low, high) if not _CLOSER.fullmatch(lines[at]))


def _first_said(lines: Sequence[str], low: int, high: int) -> int:
    return next((at for at in range(low, high) if not _CLOSER.fullmatch(lines[at])), high)
