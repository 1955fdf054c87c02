"""The centroid of vectors, which represents a file with several passages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def centroid_of(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The normalised mean of unit vectors; all zeros if they cancel out."""
    return _normalised_mean(vectors, None)


def leading_centroid(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The same, with the n-th vector weighted by 1/n: files say at the top what they are about.

    Args:
        vectors: The unit vectors of the passages of a file, in their order.
    """
    return _normalised_mean(vectors, [1 / place for place in range(1, len(vectors) + 1)])


def _normalised_mean(vectors: Sequence[NDArray[np.float32]], weights: Sequence[float] | None) -> NDArray[np.float32]:
    import numpy as np

    mean = np.average(np.stack(vectors).astype(np.float64), axis=0, weights=weights)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)
