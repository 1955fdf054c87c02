"""How near unrelated passages come in an index, or a choice of files, that is too small for a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kb.search.background import FEW
from kb.search.probes import PROBES

if TYPE_CHECKING:
    from kb.ports import Catalog, Embedder, Nearest
    from kb.search.background import Background

# A first question is not to wait for more; their vectors are kept for the day when all of them are needed.
SOME_PROBES: Final = PROBES[::4]


def usual_cosine(embedder: Embedder, catalog: Catalog, index: Nearest, background: Background) -> float:
    """The cosine up to which most unrelated passages come: mean and one deviation, five of six of a normal law.

    A small index is asked some of the questions about anything each time: their vectors are remembered, and so few
    passages are compared in no time.
    """
    if catalog.count() >= FEW:
        unrelated = background.unrelated(index)
        return unrelated.mean + unrelated.deviation
    vectors = index.vectors(catalog.sample(FEW))
    rows = np.array(list(vectors.values()), np.float64).reshape(len(vectors), embedder.dimension)
    probes = np.array([embedder.embed_query(probe) for probe in SOME_PROBES], np.float64)
    cosines = rows @ probes.T
    return float(cosines.mean() + cosines.std()) if cosines.size else 1.0
