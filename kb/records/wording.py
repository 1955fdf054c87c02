"""What the command line, the page and the tools of agents say alike: numbers with their noun, and filters."""

from __future__ import annotations

from typing import Final

FILTER_PHRASES: Final = {
    "tag": "has the tag",
    "path": "matches the path",
    "type": "is of type",
    "lang": "is in the language",
    "since": "is dated since",
    "until": "is dated until",
    "all": "passes these filters together:",
}
"""What a filter says of a file, by the filter's name; its value follows."""


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 file``, ``1,204 passages``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
