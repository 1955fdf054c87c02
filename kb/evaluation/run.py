"""Evaluation runs: judged questions are searched for, and the rankings measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

from kb.errors import KbError, reason_of
from kb.evaluation.measures import DEPTH, DEPTHS, Offsets, measured, measured_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kb.evaluation.judged import Judged, Span
    from kb.evaluation.measures import Measured
    from kb.records import Hit, KnownFile

# Runs in the TREC format: question, Q0, document, rank, score, name of the run.


def run_text(rankings: Mapping[str, Sequence[str]], name: str) -> str:
    """Return a run as text, with fields separated by tabs, since file names may contain spaces.

    The score is one over the rank: other tools order by it, and hits are not ordered by cosine in all modes.
    """
    return "".join(
        f"{question}\tQ0\t{document}\t{rank}\t{1 / rank:.6f}\t{name}\n"
        for question, ranking in rankings.items()
        for rank, document in enumerate(ranking, 1)
    )


def read_run(file: str) -> dict[str, tuple[str, ...]]:
    """Read the ranking of each question from a run of kb or another tool, ordered by score, then as written.

    Raises:
        KbError: The file cannot be read or is not a run.
    """
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KbError(f"{file} cannot be read: {reason_of(error)}") from error
    scored: dict[str, list[tuple[float, int, str]]] = {}
    for number, line in enumerate(lines, 1):
        columns = line.split("\t") if "\t" in line else line.split()
        try:
            question, _, document, _, score, _ = columns
            scored.setdefault(question, []).append((-float(score), number, document))
        except ValueError as error:
            raise KbError(
                f"line {number} of {file} is not a line of a TREC run",
                "A line has: question, Q0, document, rank, score, name",
            ) from error
    return {question: tuple(document for _, _, document in sorted(found)) for question, found in scored.items()}


# Below any cosine: an evaluation uses the whole ranking, whatever the configuration leaves out.
LEAST: Final = -1.0


class SearchFunction(Protocol):
    """A function that searches for a question."""

    def __call__(self, question: str, *, limit: int, per_file: int) -> tuple[Hit, ...]:
        """Return at most ``limit`` hits, best first, and at most ``per_file`` of one file; 0 for any number."""


@dataclass(frozen=True, slots=True)
class Result:
    """The results of one search mode.

    Attributes:
        name: The mode.
        rankings: For each question its documents, best first.
        values: For each question the value of each measure.
        best: The first hit of each question that has one.
    """

    name: str
    rankings: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Measured]
    best: Mapping[str, Hit] = field(default_factory=dict)


class Names:
    """The names of files in judgements: their path or file name, with or without the suffix.

    Args:
        files: The files of the index.
        documents: The documents that the judgements name.

    Raises:
        KbError: A name is ambiguous, or no name is a file of the index.
    """

    def __init__(self, files: Iterable[KnownFile], documents: frozenset[str]) -> None:
        self._of_file: dict[tuple[str, str], str] = {}
        named: dict[str, str] = {}
        for file in files:
            name = next((one for one in _calls(file.folder, file.path) if one in documents), None)
            if name is None:
                continue
            if name in named:
                raise KbError(
                    f"the judgements name {name}, which may be {named[name]} or {file.path}",
                    "Write the paths of files in the judgements, relative to their folder",
                )
            named[name] = file.path
            self._of_file[file.key] = name
        if not named:
            raise KbError(
                "no document of the judgements is in the index",
                "Documents are named by the path of their file, or its name, with or without the suffix",
            )
        self.missing = len(documents) - len(named)

    def of(self, file: KnownFile) -> str:
        """Return the name of a file in the judgements, else its absolute path."""
        return self._of_file.get(file.key, file.absolute_path)


def run_questions(
    name: str,
    ask: SearchFunction,
    judged: Judged,
    names: Names,
    on_question: Callable[[int], None] | None = None,
) -> Result:
    """Search for every question and measure the rankings.

    Args:
        name: The name of the result, such as the search mode.
        ask: Searches for a question.
        judged: The questions with their relevant documents.
        names: The names of files in the judgements.
        on_question: Called after each question with the number of questions so far.
    """
    rankings: dict[str, tuple[str, ...]] = {}
    passages: dict[str, list[Span]] = {}
    best: dict[str, Hit] = {}
    offsets: dict[str, Offsets] = {}
    for number, (id_, question) in enumerate(judged.questions.items(), 1):
        hits = ask(question, limit=DEPTH, per_file=1)
        rankings[id_] = tuple(names.of(hit.passage.file) for hit in hits)
        if hits:
            best[id_] = hits[0]
        if id_ in judged.spans:
            found = ask(question, limit=max(DEPTHS), per_file=0)
            passages[id_] = [_placed(hit, names, offsets) for hit in found]
        if on_question:
            on_question(number)
    values = measured(rankings, judged.relevant)
    for id_, spans in passages.items():
        values[id_] |= measured_spans(spans, judged.spans[id_])
    return Result(name, rankings, values, best)


def _placed(hit: Hit, names: Names, offsets: dict[str, Offsets]) -> Span:
    passage = hit.passage
    path = passage.file.absolute_path
    if path not in offsets:
        offsets[path] = Offsets(Path(path))
    return offsets[path].place(names.of(passage.file), passage.text, passage.first_line)


def _calls(folder: str, path: str) -> tuple[str, ...]:
    """Return the possible names of a file, the most specific first."""
    pure = PurePosixPath(path)
    return (path, f"{folder}/{path}", str(pure.with_suffix("")), pure.name, pure.stem)
