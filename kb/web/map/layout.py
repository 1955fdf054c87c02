"""Where files lie on the map, and which of them form a cluster. Functions of values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LANDMARKS: Final = 3_000
"""As many files at most are laid out together; all others lie beside those that they are nearest to."""
SIZE: Final = 10_000
"""Positions are whole numbers from 0 to this."""
_DIMENSIONS: Final = 50
_ITERATIONS: Final = 500
_ANGLE: Final = 0.6
_PERPLEXITY: Final = 30
# t-SNE needs neighbours.
_FEWEST: Final = 8
_NEIGHBOURS: Final = 5
_AT_ONCE: Final = 512
_MOST_CLUSTERS: Final = 40
# How far a file lies from the place between its neighbours, so that equal files do not cover one another.
_SPREAD: Final = 30


def landmarks_of(ids: Sequence[int]) -> list[int]:
    """Return the positions, in a sequence of ids, of those that are laid out together: all, or a sample of them."""
    if len(ids) <= LANDMARKS:
        return list(range(len(ids)))
    order = np.argsort([_mixed(id_) for id_ in ids], kind="stable")
    return sorted(order[:LANDMARKS].tolist())


def laid_out(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the positions of unit vectors, so that near ones lie near one another.

    Args:
        vectors: The vectors, one a row.
    """
    from sklearn.decomposition import PCA

    count = len(vectors)
    if count < 2:  # noqa: PLR2004 - one file lies in the middle
        return np.full((count, 2), SIZE / 2)
    # Equal vectors have no directions in which they differ.
    noise = np.random.default_rng(0).normal(scale=1e-4, size=vectors.shape)
    noisy = vectors.astype(np.float64) + noise
    few = count < _FEWEST
    dimensions = 2 if few else min(_DIMENSIONS, count, vectors.shape[1])
    reduced = PCA(dimensions, svd_solver="randomized" if dimensions == _DIMENSIONS else "full", random_state=0)
    found = reduced.fit_transform(noisy)
    if not few:
        from sklearn.manifold import TSNE

        perplexity = min(_PERPLEXITY, (count - 1) / 3)
        drawn = TSNE(
            2, perplexity=perplexity, init="pca", max_iter=_ITERATIONS, angle=_ANGLE, random_state=0, n_jobs=-1
        )
        found = drawn.fit_transform(found)
    return _scaled(found)


def beside(
    vectors: NDArray[np.float32], ids: Sequence[int], known: NDArray[np.float32], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return positions between those of the nearest known vectors.

    Args:
        vectors: The vectors, one a row.
        ids: The ids of their files, by which they are spread a little.
        known: The vectors whose positions are known.
        places: Their positions.
    """
    found = np.empty((len(vectors), 2))
    neighbours = min(_NEIGHBOURS, len(known))
    for start in range(0, len(vectors), _AT_ONCE):
        cosines = vectors[start : start + _AT_ONCE] @ known.T
        near = np.argpartition(-cosines, neighbours - 1, axis=1)[:, :neighbours]
        # The nearest one counts most: the others may lie in another part of the map.
        weights = np.exp(20.0 * (np.take_along_axis(cosines, near, axis=1) - cosines.max(axis=1, keepdims=True)))
        middle = (places[near] * weights[:, :, None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
        nearest = places[np.argmax(cosines, axis=1)]
        # Between places far apart there is nothing that it belongs to.
        apart = np.linalg.norm(middle - nearest, axis=1, keepdims=True) > SIZE / 20
        found[start : start + _AT_ONCE] = np.where(apart, nearest, middle)
    angles = np.array([_mixed(id_) % 3600 / 3600 * 2 * math.pi for id_ in ids])
    radii = _SPREAD * np.array([0.4 + 0.6 * (_mixed(id_ + 1) % 1000) / 1000 for id_ in ids])
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    return np.asarray(np.clip(found + around, 0, SIZE), dtype=np.float64)


def clustered(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the cluster of each position, numbered from the largest one on."""
    from sklearn.cluster import KMeans

    count = min(len(np.unique(places, axis=0)), max(1, min(_MOST_CLUSTERS, round(math.sqrt(len(places)) / 2.5))))
    labels = KMeans(count, n_init=1, random_state=0).fit_predict(places)
    sizes = np.bincount(labels, minlength=count)
    ranks = np.empty(count, np.int64)
    ranks[np.argsort(-sizes, kind="stable")] = np.arange(count)
    return np.asarray(ranks[labels], dtype=np.int64)


def nearest_clusters(places: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the cluster of each position: that with the nearest centre."""
    squares = ((places[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(np.argmin(squares, axis=1), dtype=np.int64)


def centres_of(places: NDArray[np.float64], clusters: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return the middle of each cluster."""
    sizes = np.maximum(np.bincount(clusters, minlength=count), 1)
    sums = [np.bincount(clusters, weights=places[:, axis], minlength=count) for axis in (0, 1)]
    return np.asarray(np.stack(sums, axis=1) / sizes[:, None], dtype=np.float64)


def _scaled(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit positions into the map, with as much room at each side, in both directions to the same scale."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = float((high - low).max()) or 1.0
    return np.asarray((places - (low + high) / 2) / span * SIZE * 0.96 + SIZE / 2, dtype=np.float64)


def _mixed(number: int) -> int:
    """Mix the bits of a number (Knuth's multiplicative hash), so that consecutive ones are far apart."""
    return (number * 2_654_435_761) & 0xFFFFFFFF
