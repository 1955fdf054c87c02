"""Rounds weights to eight bits, symmetrically around 0 and with a scale for each row or column.

Processors with AVX2 and no VNNI multiply unsigned by signed bytes and add two neighbouring products in sixteen bits,
which saturate: two large neighbours of the same sign would give a wrong sum, and another one than on other
processors. So no two of a column may add up to more than ``_MOST_OF_PAIR``. That costs less than a bit of every
weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST: Final = 127
# 255, the largest unsigned byte, times this is less than 2**15.
_MOST_OF_PAIR: Final = 128
# The largest weights of a column become one of these: below 65, no pair has to be cut.
_LARGEST: Final = (127, 106, 89, 75, 64)


def quantized_rows(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounded values and the scale of each row, shape (rows, 1). For tables that are looked up, not multiplied."""
    largest = np.max(np.abs(values), axis=1, keepdims=True)
    scale = np.where(largest > 0, largest / _MOST, 1.0).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def quantized_columns(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounded values and the scale of each column, shape (columns,), for the right side of a multiplication.

    The sums of two neighbours in a column, the first and second, third and fourth and so on, stay within sixteen bits
    when multiplied by unsigned bytes. Of several scales, each column gets the one with the least error.
    """
    largest = np.max(np.abs(values), axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    rounded = np.zeros(values.shape, np.int8)
    scales = np.ones(values.shape[1], np.float32)
    least = np.full(values.shape[1], np.inf)
    for most in _LARGEST:
        scale = (largest / most).astype(np.float32)
        tried = _without_overflow(np.rint(values / scale).astype(np.int16))
        error = np.sum(np.square(tried * scale - values), axis=0)
        better = error < least
        rounded[:, better], scales[better], least[better] = tried[:, better], scale[better], error[better]
    return rounded, scales


def _without_overflow(values: NDArray[np.int16]) -> NDArray[np.int16]:
    """The values, with both of each pair brought nearer to 0 where their sum is too large."""
    even = values.shape[0] // 2 * 2
    first, second = values[0:even:2], values[1:even:2]
    sign = np.sign(first)
    excess = np.where(sign == np.sign(second), np.maximum(np.abs(first + second) - _MOST_OF_PAIR, 0), 0)
    made = values.copy()
    made[0:even:2] = first - sign * (excess // 2)
    made[1:even:2] = second - sign * (excess - excess // 2)
    return made
