"""Judged questions: with relevant documents or spans, in the formats of TREC and BEIR."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import KbError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_QUERY_FILES: Final = ("queries.tsv", "queries.jsonl")
# BEIR has its judgements in a folder, one file per split.
_QRELS_FILES: Final = ("qrels.tsv", "qrels/test.tsv", "qrels.txt")
_SPANS_FILE: Final = "spans.tsv"
_REMEDY: Final = (
    "A line has: question, document, grade (BEIR); or question, 0, document, grade (TREC); whole grades, "
    "fields divided by tabs"
)
_TREC_COLUMNS: Final = 4
_BEIR_COLUMNS: Final = 3


@dataclass(frozen=True, slots=True)
class Span:
    """A span of a document, as character offsets into its decoded text with unchanged line ends."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Judged:
    """Questions with their relevant documents.

    Attributes:
        questions: The text of each question that has a relevant document, by its id.
        relevant: For each question, the grade of each relevant document: 1 or more.
        spans: For each question with spans, those that answer it.
        unjudged: How many questions were left out because they have no relevant document.
    """

    questions: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, int]]
    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    unjudged: int = 0

    @property
    def documents(self) -> frozenset[str]:
        """All documents in the judgements."""
        named = {document for grades in self.relevant.values() for document in grades}
        return frozenset(named | {span.document for spans in self.spans.values() for span in spans})


def read_judged(queries: str, qrels: str | None = None, spans: str | None = None) -> Judged:
    """Read a test collection.

    Args:
        queries: ``queries.tsv`` (id, tab, text) or ``queries.jsonl`` (``_id`` and ``text``), or the folder it is in.
        qrels: The judgements in BEIR's three columns, with or without a header, or in TREC's four; None for those next
            to the questions.
        spans: Question, document, first and last character offset (exclusive) and optionally the text of the span;
            None for ``spans.tsv`` next to the questions, if it exists.

    Raises:
        KbError: A file is missing or malformed; the message names the line.
    """
    place = Path(queries)
    folder = place if place.is_dir() else place.parent
    if place.is_dir():
        place = _first(folder, _QUERY_FILES)
    asked = dict(_jsonl(place) if place.suffix == ".jsonl" else _tsv(place))
    relevant = _grades(Path(qrels) if qrels else _first(folder, _QRELS_FILES))
    default_spans = folder / _SPANS_FILE
    spans_file = Path(spans) if spans else default_spans if default_spans.is_file() else None
    questions = {id_: text for id_, text in asked.items() if id_ in relevant}
    if not questions:
        raise KbError(f"none of the {len(asked)} questions of {place} has a relevant document", _REMEDY)
    found = _spans(spans_file) if spans_file else {}
    return Judged(
        questions,
        {id_: relevant[id_] for id_ in questions},
        {id_: found[id_] for id_ in questions if id_ in found},
        len(asked) - len(questions),
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise KbError(f"there is no {' or '.join(names)} in {folder}", "Name the file")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KbError(f"{file} cannot be read: {reason_of(error)}") from error
    yield from ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _tsv(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in _lines(file):
        id_, tab, text = line.partition("\t")
        if not tab:
            raise _malformed(file, number, "A line has: id, a tab, the question")
        if number == 1 and text.strip().lower() in {"text", "query"}:
            continue
        yield id_, text.strip()


def _jsonl(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in _lines(file):
        try:
            row = json.loads(line)
            yield str(row["_id"]), str(row["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise _malformed(file, number, 'A line has: {"_id": ..., "text": ...}') from error


def _grades(file: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    for number, line in _lines(file):
        columns = line.split("\t") if "\t" in line else line.split()
        if len(columns) == _TREC_COLUMNS:
            del columns[1]
        if len(columns) != _BEIR_COLUMNS:
            raise _malformed(file, number, _REMEDY)
        question, document, value = (column.strip() for column in columns)
        try:
            grade = float(value)
        except ValueError as error:
            if number == 1:
                continue  # BEIR's heading
            raise _malformed(file, number, _REMEDY) from error
        if not grade.is_integer():
            raise _malformed(file, number, _REMEDY)
        if grade > 0:
            grades.setdefault(question, {})[document] = int(grade)
    return grades


def _spans(file: Path) -> dict[str, tuple[Span, ...]]:
    spans: dict[str, tuple[Span, ...]] = {}
    for number, line in _lines(file):
        try:
            question, document, start, end = line.split("\t")[:4]
            span = Span(document, int(start), int(end))
        except ValueError as error:
            raise _malformed(file, number, "A line has: question, document, first offset, last offset") from error
        if not 0 <= span.start < span.end:
            raise _malformed(file, number, "A span begins before it ends")
        spans[question] = (*spans.get(question, ()), span)
    return spans


def _malformed(file: Path, number: int, remedy: str) -> KbError:
    return KbError(f"line {number} of {file} cannot be understood", remedy)
