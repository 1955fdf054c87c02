"""Keeps what a tool returns within a number of tokens, by cutting texts at the ends of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.mcp.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence


def beginning(text: str, most: int) -> str:
    """Return the beginning of a text, of at most that many tokens.

    It ends with a line where the first line fits, else within that line. Of a text that is not empty, it is at least
    one character.
    """
    if tokens(text) <= most:
        return text
    kept, left = [], most
    for line in text.splitlines(keepends=True):
        left -= tokens(line)
        if left < 0:
            break
        kept.append(line)
    return "".join(kept) or _within(text.splitlines(keepends=True)[0], most)


def _within(line: str, most: int) -> str:
    """Return as much of a line as fits, by bisection."""
    low, high = 1, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if tokens(line[:middle]) <= most:
            low = middle
        else:
            high = middle - 1
    return line[:low]


def shares(texts: Sequence[str], most: int) -> list[str]:
    """Return texts shortened so that they have at most that many tokens together.

    The longest are shortened, to one common length: what short ones leave over is for the others.
    """
    sizes = [tokens(text) for text in texts]
    left, limit = most, most
    for number, size in enumerate(sorted(sizes)):
        limit = left // (len(sizes) - number)
        if size > limit:
            break
        left -= size
    else:
        return list(texts)
    return [text if size <= limit else beginning(text, max(1, limit)) for text, size in zip(texts, sizes, strict=True)]
