"""Distinctive words: those that are frequent in the files of one cluster and rare in all others."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from kb.search.words import content_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Apostrophes and hyphens belong to a word.
_JOINS: Final = "'\u2019-"
_WORD: Final = re.compile(rf"[^\W\d_][\w{_JOINS}]{{2,30}}")
# Addresses, and what begins the lines of drawers and keywords of Org: they say nothing of what a text is about.
_MARKUP: Final = re.compile(r"https?://\S+|^[ \t]*(?::[\w-]+:|#\+\w+:?)", re.IGNORECASE | re.MULTILINE)
_LONGEST: Final = 2_000
_WORDS: Final = 3
# Words that begin like this many letters of another one are taken for the same.
_STEM: Final = 5


def words_of_text(text: str) -> frozenset[str]:
    """Return the words of the beginning of a text that can name a cluster, in lower case."""
    found = {word.strip(_JOINS) for word in _WORD.findall(_MARKUP.sub(" ", text[:_LONGEST]).casefold())}
    return frozenset(content_words(" ".join(found)).split())


def distinctive_words(words: Sequence[frozenset[str]], clusters: Sequence[int], count: int) -> list[tuple[str, ...]]:
    """Return the most distinctive words of each cluster, at most three; none where its files share no word.

    Args:
        words: The words of each file.
        clusters: The cluster of each file.
        count: How many clusters there are.
    """
    everywhere: Counter[str] = Counter()
    inside: list[Counter[str]] = [Counter() for _ in range(count)]
    sizes = Counter(clusters)
    for own, cluster in zip(words, clusters, strict=True):
        everywhere.update(own)
        inside[cluster].update(own)
    return [_told(inside[one], sizes[one], everywhere, len(words)) for one in range(count)]


def _told(inside: Counter[str], size: int, everywhere: Counter[str], files: int) -> tuple[str, ...]:
    def gain(word: str) -> float:
        share = inside[word] / size
        return share * math.log(share / (everywhere[word] / files))

    shared = [word for word, number in inside.items() if number > 1 or size == 1]
    return tuple(_distinct(sorted(shared, key=lambda word: (-gain(word), word))))


def _distinct(words: Iterable[str]) -> list[str]:
    """Return the first words of which none is a form of another."""
    kept: list[str] = []
    for word in words:
        if all(word[:_STEM] != one[:_STEM] for one in kept):
            kept.append(word)
        if len(kept) == _WORDS:
            break
    return kept
