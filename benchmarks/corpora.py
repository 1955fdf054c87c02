"""Texts for benchmarks: collections with judged questions, or notes generated from a seed."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CONSONANTS: Final = "bcdfghjklmnprstvwz"
_VOWELS: Final = "aeiou"
_SYLLABLES: Final = tuple(a + b for a in _CONSONANTS for b in _VOWELS)


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents with questions and judgements: ``docs/<id>.<ext>``, ``queries.tsv`` and ``qrels.tsv``.

    Attributes:
        name: The collection.
        docs: The folder of the documents.
        questions: Question by its id.
        relevant: For each question that has any, the grade of each relevant document.
    """

    name: str
    docs: Path
    questions: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, float]]


def read_collection(folder: Path) -> Collection:
    """Read a collection; questions without a relevant document are omitted."""
    relevant: dict[str, dict[str, float]] = {}
    for question, document, grade in _lines(folder / "qrels.tsv"):
        if float(grade) > 0:
            relevant.setdefault(question, {})[document] = float(grade)
    questions = {id_: text for id_, text in _lines(folder / "queries.tsv") if id_ in relevant}
    return Collection(folder.name, folder / "docs", questions, relevant)


def write_small_notes(folder: Path, count: int) -> None:
    """Write notes of one short sentence, a hundred per folder, dated an hour ago."""
    chance = random.Random(1)  # noqa: S311 - the same notes every time are wanted
    words = _words(chance, 4000)
    an_hour_ago = time.time() - 3600
    for number in range(count):
        file = folder / f"{number // 100:03}" / f"note-{number:05}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{_sentence(chance, words, 6)}\n", "utf-8")
        os.utime(file, (an_hour_ago, an_hour_ago))


def write_documents(folder: Path, count: int) -> None:
    """Write Markdown documents with several sections, if there is no collection."""
    chance = random.Random(2)  # noqa: S311 - see above
    words = _words(chance, 4000)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        parts = [f"# {_sentence(chance, words, 4)}"]
        for _ in range(chance.randint(2, 8)):
            parts.append(f"## {_sentence(chance, words, 3)}")
            parts += [_paragraph(chance, words) for _ in range(chance.randint(1, 4))]
        (folder / f"document-{number:04}.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def write_paragraphs(folder: Path, count: int, seed: int = 5) -> None:
    """Write notes of one paragraph; another seed gives other texts with the same names."""
    chance = random.Random(seed)  # noqa: S311 - see above
    words = _words(chance, 4000)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"paragraph-{number:05}.md").write_text(f"{_paragraph(chance, words)}\n", "utf-8")


def _lines(file: Path) -> list[list[str]]:
    return [line.split("\t") for line in file.read_text("utf-8").split("\n") if line]


def _words(chance: random.Random, count: int) -> list[str]:
    return ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(count)]


def _sentence(chance: random.Random, words: list[str], count: int) -> str:
    return " ".join(chance.choices(words, k=count)).capitalize() + "."


def _paragraph(chance: random.Random, words: list[str]) -> str:
    return " ".join(_sentence(chance, words, chance.randint(5, 20)) for _ in range(chance.randint(2, 6)))
