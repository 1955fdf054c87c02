"""The middle of some vectors: what a whole file is about, where each of its passages has a vector of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def middle_of(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The unit vector in the direction of the mean of some unit vectors; all zeros where they cancel out."""
    import numpy as np

    mean = np.mean(np.stack(vectors), axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)
