"""The centroid of each file's passages: as the catalog keeps it, else computed from the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kb.records import Candidates
from kb.records.centroid import leading_centroid
from kb.search.rank import cosines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from kb.ports import Catalog, Nearest


def file_of(passage_id: str) -> int:
    """Return the id of the file a passage belongs to, which its own id begins with."""
    return int(passage_id.partition("-")[0], 16)


def centroids_of(
    catalog: Catalog, index: Nearest, files: Iterable[int], dimension: int
) -> dict[int, NDArray[np.float32]]:
    """Return the centroid of each of these files that has several passages, as a unit vector.

    Args:
        catalog: Holds the centroids.
        index: Holds the vectors of files whose centroid is not in the catalog: those of a store that an earlier kb
            wrote and no run has completed since, and those of a file that is being changed.
        files: The ids of the files.
        dimension: The length of a vector.
    """
    distinct = list(dict.fromkeys(files))
    known = {id_: one for id_, one in catalog.centroids(distinct).items() if len(one) == dimension}
    if len(known) == len(distinct):
        return known
    lacking = catalog.files_without_centroid([id_ for id_ in distinct if id_ not in known])
    for file_id, states in (catalog.passage_ids(lacking) if lacking else {}).items():
        live = [id_ for id_, is_live in states.items() if is_live]
        own = index.vectors(live)
        if own:
            known[file_id] = leading_centroid([own[id_] for id_ in live if id_ in own])
    return known


def centroid_cosines(
    question: NDArray[np.float32],
    centroids: Mapping[int, NDArray[np.float32]],
    files: Iterable[int],
    own: Iterable[float],
) -> NDArray[np.float64]:
    """Return the cosine of a question with the centroid of each passage's file; where there is none, the passage's own.

    Args:
        question: The vector of the question.
        centroids: Centroids by file id.
        files: The file id of each passage.
        own: The cosine of each passage.
    """
    near = cosines(
        question,
        Candidates(
            tuple(map(str, centroids)), np.array(list(centroids.values()), np.float32).reshape(-1, len(question))
        ),
    )
    of_file = dict(zip(centroids, near.tolist(), strict=True))
    return np.array([of_file.get(file_id, cosine) for file_id, cosine in zip(files, own, strict=True)])
