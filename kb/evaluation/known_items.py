"""Known-item questions from the user's own notes: titles and headings, removed from the files they are to find.

A heading left in its file would find it by its exact words, so it is removed from the text, from the headings of the
passages below it, and from the title. It stays in other files, which may quote it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from kb.evaluation.judged import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kb.records import Document, FoundFile, KnownFile, Shown, StoredPassage

# Names in source code occur in its text and cannot be removed.
_CODE: Final = "code"
_NAMES: Final = re.compile(r"^(?:title|alias|aliases)[ \t]*[:=].*(?:\n(?:[ \t]|- ).*)*", re.MULTILINE | re.IGNORECASE)
_SAID: Final = re.compile(r"[^\n]")
# Shorter headings are too unspecific: "Usage", "See also".
_LEAST_WORDS: Final = 3
_LEAST_LETTERS_WITHOUT_SPACES: Final = 6


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A question, and where it was taken from: the line of the heading, or 1 for a title in front matter."""

    question: str
    file: KnownFile
    line: int

    @property
    def document(self) -> str:
        """The file's absolute path, by which it is judged."""
        return self.file.absolute_path


def known_items(
    files: Sequence[KnownFile], show: Callable[[KnownFile], Shown], count: int, seed: int
) -> tuple[KnownItem, ...]:
    """Return one question each for randomly chosen files; the same ones for the same seed and notes.

    Args:
        files: The files of the index.
        show: Returns the passages of a file.
        count: How many questions at most; source code and files without a suitable heading give none.
        seed: The random seed.
    """
    chance = random.Random(seed)  # noqa: S311 - the same questions every time are wanted
    titles = Counter(file.title.casefold() for file in files)
    found: dict[str, KnownItem] = {}
    asked = [file for file in files if file.kind != _CODE]
    for file in chance.sample(asked, len(asked)):
        if len(found) == count:
            break
        shown = show(file)
        usable = [
            (text, line)
            for text, line in _headings(file, shown.passages)
            if titles[text.casefold()] <= int(text == file.title) and text.casefold() not in found
        ]
        if usable and not shown.changed:
            text, line = chance.choice(usable)
            found[text.casefold()] = KnownItem(text, file, line)
    return tuple(found.values())


def judged(items: Iterable[KnownItem]) -> Judged:
    """Return the questions as judged questions, each with one relevant file."""
    listed = {f"{number:04}": item for number, item in enumerate(items, 1)}
    return Judged(
        {id_: item.question for id_, item in listed.items()},
        {id_: {item.document: 1} for id_, item in listed.items()},
    )


class Withheld:
    """Removes the questions from the documents they were taken from.

    Args:
        items: The questions.
    """

    def __init__(self, items: Iterable[KnownItem]) -> None:
        self._texts: Mapping[tuple[str, str], str] = {item.file.key: item.question for item in items}

    def __call__(self, file: FoundFile, document: Document, /) -> Document:
        """Return the document without its question; line numbers stay."""
        text = self._texts.get(file.key)
        return document if text is None else without(document, text)


def without(document: Document, text: str) -> Document:
    """Return a document without a heading: its lines blank, and removed from trails, title and front matter."""
    lines = document.text.split("\n")
    if text in {document.title, *document.aliases}:
        front = "\n".join(lines[: document.body_line - 1])
        lines[: document.body_line - 1] = _NAMES.sub(lambda found: _blank(found[0]), front).split("\n") if front else []
    headings = []
    for heading in document.headings:
        if heading.text == text:
            blank = range(heading.first_line - 1, heading.last_line)
            for at in blank:
                lines[at] = _blank(lines[at])
            headings.append(replace(heading, text=""))
        else:
            headings.append(heading)
    left = "\n".join(lines)
    return replace(
        document,
        text=left,
        substitutions=tuple(
            (start, end, replacement)
            for start, end, replacement in document.substitutions
            # What is read at the end of a line belongs to the text before it.
            if left[start - (start == end) : end] == document.text[start - (start == end) : end]
        ),
        context=tuple(one for one in document.context if one.text != text),
        headings=tuple(headings),
        title="" if document.title == text else document.title,
        own_title="" if document.own_title == text else document.own_title,
        aliases=tuple(alias for alias in document.aliases if alias != text),
    )


def _blank(text: str) -> str:
    """Return a blank text with the same length and lines."""
    return _SAID.sub(" ", text)


def _headings(file: KnownFile, passages: Iterable[StoredPassage]) -> list[tuple[str, int]]:
    """Return possible questions for a file: its headings with their lines, and its own title, if any."""
    found: dict[str, int] = {}
    if file.title not in {PurePosixPath(file.path).stem, PurePosixPath(file.path).name}:
        found[file.title] = 1
    for passage in passages:
        for heading in passage.heading[-1:]:
            if found.get(heading, 1) == 1:
                found[heading] = passage.first_line
    return [(text, line) for text, line in found.items() if _says_enough(text)]


def _says_enough(text: str) -> bool:
    spaceless = not text.isascii() and len(text) >= _LEAST_LETTERS_WITHOUT_SPACES
    return len(text.split()) >= _LEAST_WORDS or spaceless
