"""The order of hits: exact cosine, ties broken by place. Functions of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kb.search.alike import Wording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from kb.records import Candidates, StoredPassage


def cosines(question: NDArray[np.float32], candidates: Candidates) -> NDArray[np.float64]:
    """The cosine of each candidate with the question, shape (number of candidates,), in -1..1.

    Computed in double precision over the lengths as they are, so that vectors a little off unit length, as a
    half-precision model makes them, still give a cosine.
    """
    vectors = candidates.vectors.astype(np.float64)
    target = question.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(target)
    found: NDArray[np.float64] = np.clip((vectors @ target) / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
    return found


def distance(cosine: float) -> float:
    """The Euclidean distance of two unit vectors with this cosine: sqrt(2 - 2 cos), in 0..2."""
    return float(np.sqrt(max(0.0, 2.0 - 2.0 * cosine)))


def ranked(scored: Iterable[tuple[StoredPassage, float]]) -> list[tuple[StoredPassage, float]]:
    """Best first; equal scores in the order of folder, path and line, so that the same question has one answer."""
    return sorted(scored, key=lambda one: (-one[1], *place(one[0])))


def place(passage: StoredPassage) -> tuple[str, str, int, int]:
    """Where a passage stands, as something that can be ordered."""
    return (passage.file.folder, passage.file.path, passage.first_line, passage.ordinal)


def taken(
    order: Iterable[tuple[StoredPassage, float]],
    *,
    limit: int,
    per_file: int,
    there: Callable[[StoredPassage], bool],
    fold: bool = False,
) -> list[list[StoredPassage]]:
    """The passages to show, behind each those folded under it that say the same, in the order they came.

    Args:
        order: Passages with their scores, best first; walked through only as far as needed.
        limit: How many at most.
        per_file: How many of one file at most; 0 for any number.
        there: Whether a passage's file still exists; asked only for passages that would be shown or named.
        fold: Whether a passage that says the same as one taken before goes under the first such one. It counts neither
            as a hit nor for its file. After the last hit, those like any of the hits are taken in until one is not.
    """
    hits: list[list[StoredPassage]] = []
    wordings: list[Wording] = []
    of_file: dict[int, int] = {}
    for passage, _ in order:
        count = of_file.get(passage.file.id, 0)
        if per_file and count >= per_file:
            continue
        wording = Wording(passage.text)
        same = next((at for at, other in enumerate(wordings) if wording.like(other)), None) if fold else None
        if same is None and len(hits) == limit:
            break
        if not there(passage):
            continue
        if same is not None:
            hits[same].append(passage)
            continue
        of_file[passage.file.id] = count + 1
        hits.append([passage])
        wordings.append(wording)
        if len(hits) == limit and not fold:
            break
    return hits
