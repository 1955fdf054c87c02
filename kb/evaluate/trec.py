"""Runs in the form of TREC: question, Q0, document, rank, score, name of the run. Any evaluation tool reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import KbError, why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
