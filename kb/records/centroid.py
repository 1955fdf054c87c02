"""The centroid of vectors, which represents a file with several passages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def centroid_of(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The normalised mean of unit vectors; all zeros if they cancel out."""
    import numpy as np

    mean = np.mean(np.stack(vectors), axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)
