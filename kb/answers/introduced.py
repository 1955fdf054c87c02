"""What a sentence introduces: code, a list or a paragraph; and what introduces a line of those. Functions of values."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from kb.search.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kb.records import Sentence

MOST_LINES: Final = 16
_MORE: Final = "…"
_COLON: Final = re.compile(r"[:\uff1a][*_\"'”»)\]]*\Z")
_FENCE: Final = re.compile(r"\s*(`{3,}|~{3,})")
_HEADING: Final = re.compile(r"[#=]{1,6}\s")
_INDENTED: Final = re.compile(r" {4}|\t")
_ITEM: Final = re.compile(r"\s*(?:[-*+•]|\d{1,4}[.)])\s")
# The blocks of code of Org, AsciiDoc (with what says its language) and reStructuredText (with its options).
_ORG: Final = re.compile(r"#\+begin_(\w+)", re.IGNORECASE)
_ATTRIBUTES: Final = re.compile(r"\[[^\[\]]+\]\s*\Z")
_DELIMITER: Final = re.compile(r"([-.])\1{3,}\s*\Z")
_DIRECTIVE: Final = re.compile(r"\.\. (?:code|code-block|sourcecode|parsed-literal)::")
_OPTION: Final = re.compile(r"\s+:[\w-]+:")
# What introduces nothing that can be read: rules, pictures, comments and directives.
_SAYS_NOTHING: Final = re.compile(r"\s*(?:([-=_*.~^+])\1{2,}\s*\Z|!\[[^\[\]]*\]\([^()]*\)\s*\Z|<!--|\.\. |#\+)")


@dataclass(frozen=True, slots=True)
class Introduced:
    """Lines of a passage that a sentence introduces.

    Attributes:
        text: The lines, without fences and common indent; where there are more than ``MOST_LINES``, the last one is
            an ellipsis.
        first: The number of the first of them in the passage, from 0.
        last: The number of the last one that is shown.
    """

    text: str
    first: int
    last: int


def introduced(passage: str, sentence: str, line: int) -> Introduced | None:
    """Return what a sentence introduces; None if it does not end with a colon, or is code itself, or nothing follows.

    Args:
        passage: The text of the passage.
        sentence: The sentence, with single spaces.
        line: The line of the passage on which it begins, from 0.
    """
    lines = _lines(passage)
    if not _COLON.search(sentence) or _is_code(lines, line):
        return None
    return _shown(*_block(lines, _filled(lines, _end(lines, sentence, line) + 1), lines[line]))


def lead_in(passage: str, line: int, kind: str = "") -> tuple[Sentence, Introduced] | None:
    """Return the sentence that introduces a line of code or of a list, with what is shown of the block.

    A sentence introduces what follows it if it ends with a colon, or stands right above a block of code.

    Args:
        passage: The text of the passage.
        line: The line of the passage, from 0.
        kind: The kind of its file.

    Returns:
        None where nothing introduces the line. A block that is shown from the line on begins with an ellipsis.
    """
    for sentence, first, block in reversed(list(_introductions(passage, kind))):
        if not first <= line < first + len(block):
            continue
        shown = _shown(first, block)
        if shown is not None and line > shown.last:
            rest = _shown(line, block[line - first :][: MOST_LINES - 1])
            shown = replace(rest, text=f"{_MORE}\n{rest.text}") if rest else None
        return (sentence, shown) if shown else None
    return None


def has_block(passage: str, kind: str = "") -> Callable[[str, int], bool]:
    """Return a function of a sentence of a passage and its line, from 0: whether it is shown with a block.

    It introduces one with a colon, or stands in one that another sentence introduces.
    """
    lead_ins: set[tuple[str, int]] = set()
    inside: set[int] = set()
    for sentence, first, block in _introductions(passage, kind):
        inside.update(range(first, first + len(block)))
        if _COLON.search(sentence.text):
            lead_ins.add((sentence.text, sentence.line))
    return lambda sentence, line: line in inside or (sentence, line) in lead_ins


def _introductions(passage: str, kind: str) -> Iterator[tuple[Sentence, int, list[str]]]:
    """Yield each sentence that introduces a block, the number of its first line, and its lines."""
    lines = _lines(passage)
    for sentence in sentences(passage, kind):
        after = _filled(lines, _end(lines, sentence.text, sentence.line) + 1)
        has_colon = _COLON.search(sentence.text)
        if after == len(lines) or _is_code(lines, sentence.line):
            continue
        delimited = _delimited(lines, after)
        if has_colon or delimited:
            first, block = delimited or _block(lines, after, lines[sentence.line])
            if block:
                yield sentence, first, block


def _lines(passage: str) -> list[str]:
    """Return the lines of a passage as its sentences are read."""
    return [one.removesuffix("\r") for one in unicodedata.normalize("NFC", passage).split("\n")]


def _shown(first: int, block: Sequence[str]) -> Introduced | None:
    """Return what is shown of the lines of a block; None if they have no text."""
    is_cut = len(block) > MOST_LINES
    shown = block[: MOST_LINES - 1] if is_cut else block
    text = textwrap.dedent("\n".join(shown)).strip("\n")
    if not text.strip():
        return None
    return Introduced(f"{text}\n{_MORE}" if is_cut else text, first, first + len(shown) - 1)


def _block(lines: Sequence[str], at: int, sentence: str) -> tuple[int, list[str]]:
    """Return the number of the first line of the block that begins at a line, and its lines; none if it is no block.

    Args:
        lines: The lines of the passage.
        at: Where the block begins, with its fence if it has one.
        sentence: The line on which the sentence begins that introduces it.
    """
    if delimited := _delimited(lines, at):
        return delimited
    if at == len(lines) or _HEADING.match(lines[at]) or _SAYS_NOTHING.match(lines[at]):
        return at, []
    indent, own = _indent(lines[at]), _indent(sentence)
    if indent > own:
        return at, _deeper(lines[at:], own)
    if not _ITEM.match(lines[at]):
        return at, list(takewhile(lambda one: one.strip() and not _ends_paragraph(one), lines[at:]))
    # After an item, those that are indented as it is are the next ones.
    return at, [] if indent < own or _ITEM.match(sentence) else _items(lines, at)


def _delimited(lines: Sequence[str], at: int) -> tuple[int, list[str]] | None:
    """Return a block of code as ``_block`` does; None if neither a fence nor a directive begins at the line."""
    if at < len(lines) - 1 and _ATTRIBUTES.match(lines[at]) and _DELIMITER.match(lines[at + 1]):
        at += 1
    if at == len(lines):
        return None
    line, inside = lines[at].strip(), lines[at + 1 :]
    if fence := _FENCE.match(line):
        return at + 1, list(takewhile(lambda one: not one.lstrip().startswith(fence[1]), inside))
    if org := _ORG.match(line):
        end = f"#+end_{org[1]}".casefold()
        return at + 1, list(takewhile(lambda one: one.strip().casefold() != end, inside))
    if _DELIMITER.match(line) and line in map(str.strip, inside):
        return at + 1, list(takewhile(lambda one: one.strip() != line, inside))
    if _DIRECTIVE.match(line):
        options = sum(1 for _ in takewhile(_OPTION.match, inside))
        first = _filled(lines, at + 1 + options)
        return first, _deeper(lines[first:], _indent(lines[at]))
    return None


def _items(lines: Sequence[str], at: int) -> list[str]:
    """Return the lines of a list: its items, and what is indented below them, with empty lines between."""
    own = _indent(lines[at])
    found: list[str] = []
    for line in lines[at:]:
        goes_on = _indent(line) > own or (_indent(line) == own and _ITEM.match(line))
        # What is not indented still belongs to the item right above it.
        if line.strip() and not goes_on and (not found[-1].strip() or _ends_paragraph(line)):
            break
        found.append(line)
    return _without_end(found)


def _deeper(lines: Sequence[str], indent: int) -> list[str]:
    """Return the first lines that are indented by more than so many columns, with empty lines between."""
    return _without_end(list(takewhile(lambda one: not one.strip() or _indent(one) > indent, lines)))


def _without_end(lines: list[str]) -> list[str]:
    """Return lines without the empty ones at their end."""
    filled = (number for number in range(len(lines), 0, -1) if lines[number - 1].strip())
    return lines[: next(filled, 0)]


def _indent(line: str) -> int:
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip())


def _ends_paragraph(line: str) -> bool:
    return bool(_FENCE.match(line) or _HEADING.match(line) or _ORG.match(line.strip()))


def _filled(lines: Sequence[str], at: int) -> int:
    """Return the first line with a text from one on; the number of lines if there is none."""
    return next((number for number in range(at, len(lines)) if lines[number].strip()), len(lines))


def _end(lines: Sequence[str], sentence: str, line: int) -> int:
    """Return the line on which a sentence ends."""
    read = ""
    for at in range(line, len(lines)):
        read = f"{read} {' '.join(lines[at].split())}"
        if sentence in read:
            return at
    return line


def _is_code(lines: Sequence[str], at: int) -> bool:
    """Whether a line is code, by its indent or the fences above it."""
    fences = sum(1 for one in lines[:at] if _FENCE.match(one))
    return fences % 2 == 1 or bool(_INDENTED.match(lines[at]))
