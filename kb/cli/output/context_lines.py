"""The lines of a file around a passage, taken from the disk only where the passage still stands there."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from kb.cli.output.render import ContextLines

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_lines(path: str) -> list[str]:
    """The lines of a file, or none where it cannot be read."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return []
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    text = data.decode(encoding, "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def around(lines: list[str], text: str, first: int, last: int, count: int) -> ContextLines:
    """Up to ``count`` lines before and after a passage; none unless the passage stands at its lines."""
    if text.strip("\n") not in "\n".join(lines[first - 1 : last]):
        return ContextLines()
    after = lines[last : last + count]
    if last + count >= len(lines) and after and not after[-1]:
        after.pop()
    return ContextLines(tuple(lines[max(0, first - 1 - count) : first - 1]), tuple(after))
