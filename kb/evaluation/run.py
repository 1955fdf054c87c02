"""Asks a knowledge base judged questions, as anyone would ask it, and measures what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

from kb.errors import KbError, why
from kb.evaluation.measures import DEPTH, DEPTHS, Offsets, measured, measured_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kb.evaluation.judged import Judged, Span
    from kb.evaluation.measures import Measured
    from kb.records import Hit, KnownFile

# Runs in the form of TREC: question, Q0, document, rank, score, name of the run. Any evaluation tool reads them.


def run_text(rankings: Mapping[str, Sequence[str]], name: str) -> str:
    """A run as text, its fields divided by tabs, since names of files may have spaces.

    The score is one over the rank: other tools order by it, and hits of the modes that fuse are not in the order of
    their cosine.
    """
    return "".join(
        f"{question}\tQ0\t{document}\t{rank}\t{1 / rank:.6f}\t{name}\n"
        for question, ranking in rankings.items()
        for rank, document in enumerate(ranking, 1)
    )


def read_run(file: str) -> dict[str, tuple[str, ...]]:
    """The ranking of each question in a run of kb's or another tool's, ordered by score, then as written.

    Raises:
        KbError: The file cannot be read or is no run.
    """
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KbError(f"{file} cannot be read: {why(error)}") from error
    scored: dict[str, list[tuple[float, int, str]]] = {}
    for number, line in enumerate(lines, 1):
        columns = line.split("\t") if "\t" in line else line.split()
        try:
            question, _, document, _, score, _ = columns
            scored.setdefault(question, []).append((-float(score), number, document))
        except ValueError as error:
            raise KbError(
                f"line {number} of {file} is no line of a TREC run",
                "A line has: question, Q0, document, rank, score, name",
            ) from error
    return {question: tuple(document for _, _, document in sorted(found)) for question, found in scored.items()}


# Below every cosine there is: an evaluation sees the whole ranking, whatever the configuration leaves out.
LEAST: Final = -1.0


class Ask(Protocol):
    """One way to ask a question."""

    def __call__(self, question: str, *, limit: int, per_file: int) -> tuple[Hit, ...]:
        """The hits, best first: so many at most, and so many of one file; 0 for any number."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one mode made of the questions.

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
    """How judgements call the files of an index: by path, by name, or by either without its suffix.

    Args:
        files: The files of the index.
        documents: What the judgements name.

    Raises:
        KbError: A name means two files, or none of the names means any.
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
        """What a file is called: as in the judgements, else by its absolute path."""
        return self._of_file.get(file.key, f"{file.folder}/{file.path}")


def ask_all(
    name: str,
    ask: Ask,
    judged: Judged,
    names: Names,
    on_question: Callable[[int], None] | None = None,
) -> Result:
    """Ask every question and measure the answers.

    Args:
        name: What to call this way of asking.
        ask: The way.
        judged: The questions.
        names: How the judgements call files.
        on_question: Called after each question with how many have been asked.
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
    path = f"{passage.file.folder}/{passage.file.path}"
    if path not in offsets:
        offsets[path] = Offsets(Path(path))
    return offsets[path].place(names.of(passage.file), passage.text, passage.first_line)


def _calls(folder: str, path: str) -> tuple[str, ...]:
    """What a file may be called, the surest first."""
    pure = PurePosixPath(path)
    return (path, f"{folder}/{path}", str(pure.with_suffix("")), pure.name, pure.stem)
