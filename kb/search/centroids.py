"""The middle of each file's passages, as a question needs it: as it is kept, or from the vectors themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kb.records import Candidates
from kb.records.centroid import middle_of
from kb.search.rank import cosines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from kb.ports import Catalog, Nearest


def file_of(passage_id: str) -> int:
    """The id of the file a passage belongs to: what stands first in its own."""
    return int(passage_id.partition("-")[0], 16)


def middles_of(
    catalog: Catalog, index: Nearest, files: Iterable[int], dimension: int
) -> dict[int, NDArray[np.float32]]:
    """The unit vector in the middle of each of these files; none for one that has a single passage.

    Args:
        catalog: Keeps the middles.
        index: Has the vectors of files whose middle is not kept: of a store that an earlier kb wrote and no run has
            gone over since, or of a file that is being changed.
        files: The ids of the files.
        dimension: The length of a vector.
    """
    distinct = list(dict.fromkeys(files))
    known = {id_: one for id_, one in catalog.middles(distinct).items() if len(one) == dimension}
    if len(known) == len(distinct):
        return known
    lacking = catalog.without_middle([id_ for id_ in distinct if id_ not in known])
    for file_id, states in (catalog.passage_ids(lacking) if lacking else {}).items():
        own = index.vectors([id_ for id_, live in states.items() if live])
        if own:
            known[file_id] = middle_of(list(own.values()))
    return known


def middle_cosines(
    question: NDArray[np.float32], middles: Mapping[int, NDArray[np.float32]], own: Mapping[str, float]
) -> NDArray[np.float64]:
    """The cosine of a question with the middle of each passage's file; its own where the file has no middle.

    Args:
        question: Its vector.
        middles: By file.
        own: The passages, each with its own cosine.
    """
    near = cosines(
        question,
        Candidates(tuple(map(str, middles)), np.array(list(middles.values()), np.float32).reshape(-1, len(question))),
    )
    of_file = dict(zip(middles, near.tolist(), strict=True))
    return np.array([of_file.get(file_of(id_), cosine) for id_, cosine in own.items()])
