"""The passages that a language model is given: hits joined with their neighbours, as many as there is room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kb.records import Hit, StoredPassage


@dataclass(frozen=True, slots=True)
class SourceText:
    """A numbered text for a language model.

    Attributes:
        number: Its number, from 1.
        rank: The rank of its hit.
        path: The path of its file below its folder.
        heading: Its headings, outermost first, or the title of its file.
        passages: Its passages, in the order of the file and without gaps.
    """

    number: int
    rank: int
    path: str
    heading: str
    passages: tuple[StoredPassage, ...]

    @property
    def text(self) -> str:
        """The text of its passages."""
        return "\n".join(one.text.rstrip("\n") for one in self.passages)

    def line_at(self, offset: int) -> int:
        """Return the line in the file at an offset of ``text``."""
        for passage in self.passages:
            text = passage.text.rstrip("\n")
            if offset <= len(text):
                return passage.first_line + text.count("\n", 0, offset)
            offset -= len(text) + 1
        return self.passages[-1].last_line


def sources_for(
    hits: Sequence[Hit], passages_of: Callable[[StoredPassage], Sequence[StoredPassage]], room: int
) -> list[SourceText]:
    """Return the texts for a model: every hit that there is room for, then the neighbours of each, best hit first.

    Args:
        hits: The hits, best first, each with its near duplicates folded under it.
        passages_of: Returns the passages of a passage's file, in the order of the file.
        room: How many characters there is room for; the best hit is always there, cut if it must be.
    """
    chosen: dict[str, Hit] = {}
    used = 0
    for hit in hits:
        size = len(hit.passage.text)
        if chosen and used + size > room:
            continue
        chosen[hit.passage.id] = hit
        used += size
    groups: list[SourceText] = []
    taken = set(chosen)
    for number, hit in enumerate(chosen.values(), 1):
        passages, used = _with_neighbours(hit.passage, passages_of(hit.passage), taken, used, room)
        heading = " > ".join(hit.passage.heading) or hit.passage.file.title
        groups.append(SourceText(number, hit.rank, hit.passage.file.path, heading, tuple(passages)))
    return groups


def _with_neighbours(
    passage: StoredPassage, others: Sequence[StoredPassage], taken: set[str], used: int, room: int
) -> tuple[Iterable[StoredPassage], int]:
    """Return a passage with the one before and the one after it where there is room, and the characters used."""
    ids = [one.id for one in others]
    if passage.id not in ids:
        return (passage,), used
    at = ids.index(passage.id)
    found = [passage]
    for place in (at + 1, at - 1):
        if not 0 <= place < len(others) or others[place].id in taken:
            continue
        size = len(others[place].text)
        if used + size <= room:
            found.insert(0 if place < at else len(found), others[place])
            taken.add(others[place].id)
            used += size
    return found, used
