"""A sample of somebody's notes: copies of some files, the texts a model would see, and questions taken from them."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kb.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kb.ports import Files, Reader
    from kb.records import Document, Passage, Source

# The same sample of the same files every time, so that two runs can be compared.
_SEED: Final = 1
_WORDS: Final = 2
_QUESTION_LENGTH: Final = 200
_QUESTIONS: Final = 100


@dataclass(slots=True)
class Sample:
    """Files read so far, of how many there are.

    ``texts`` holds each text once, with its length in tokens; ``questions`` each title and heading once.
    """

    total: int = 0
    files: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    questions: dict[str, None] = field(default_factory=dict)

    def add(self, document: Document, passages: Sequence[Passage]) -> None:
        """Take a file in."""
        self.files += 1
        self.texts.update((one.embedded, one.tokens) for one in passages)
        self.questions.update(dict.fromkeys(_questions(document, passages)))

    def asked(self, most: int = _QUESTIONS) -> list[str]:
        """So many of the questions, the same ones every time."""
        questions = list(self.questions)
        if len(questions) <= most:
            return questions
        return random.Random(_SEED).sample(questions, most)  # noqa: S311 - no secret


def drawn(files: Files, reader: Reader, keep: Callable[[Source], object], enough: Callable[[Sample], bool]) -> Sample:
    """Read files in an order of chance until there are enough, or none is left.

    Files that cannot be read are passed over, as an index run does.

    Args:
        files: The folders.
        reader: Turns bytes into passages.
        keep: Given each file of the sample, as it was read.
        enough: Asked before each file.
    """
    found = list(files.scan().files)
    sample = Sample(total=len(found))
    random.Random(_SEED).shuffle(found)  # noqa: S311 - no secret
    for file in found:
        if enough(sample):
            break
        try:
            source = files.load(file)
            document, passages = reader.read(source)
        except DocumentError:
            continue
        keep(source)
        sample.add(document, passages)
    return sample


def copied(source: Source, folder: Path) -> None:
    """Write a file as it was read to the same place below another folder, with its time."""
    target = folder / source.file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.data)
    os.utime(target, ns=(source.file.stat.mtime_ns, source.file.stat.mtime_ns))


def _questions(document: Document, passages: Sequence[Passage]) -> list[str]:
    """What a reader might ask for: title and headings of several words, else how the text begins."""
    named = [document.own_title, *(heading.text for heading in document.headings)]
    told = [" ".join(text.split()) for text in named if len(text.split()) >= _WORDS]
    if not told and passages:
        told = [" ".join(passages[0].text.split())]
    return [text[:_QUESTION_LENGTH] for text in told if text]
