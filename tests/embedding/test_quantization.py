"""Weights in eight bits: near what they were, and no sum of products leaves sixteen bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from kb.embedding.quantization import quantized_columns, quantized_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def weights(rows: int, seed: int = 1) -> NDArray[np.float32]:
    """Weights with outliers; in the first columns all have one sign, so that most pairs add up."""
    made = np.random.default_rng(seed).standard_t(3, size=(rows, 24)).astype(np.float32)
    made[:, :8] = np.abs(made[:, :8])
    return made


@pytest.mark.parametrize("rows", [2, 33, 384])
def test_no_pair_overflows(rows: int) -> None:
    """The largest unsigned byte times two neighbours stays within sixteen bits, whatever their signs."""
    rounded, _ = quantized_columns(weights(rows))

    pairs = rounded[: rows // 2 * 2].astype(np.int64).reshape(rows // 2, 2, -1)
    positive, negative = np.maximum(pairs, 0).sum(axis=1), np.minimum(pairs, 0).sum(axis=1)
    assert 255 * positive.max() < 2**15
    assert 255 * negative.min() >= -(2**15)


def test_columns_lose_less_than_in_seven_bits() -> None:
    """Each column comes back with less error than if all of it had seven bits, and keeps its shape."""
    given = weights(384)
    rounded, scale = quantized_columns(given)
    step = np.abs(given).max(axis=0) / 63

    error = np.square(rounded * scale - given).sum(axis=0)
    seven = np.square(np.rint(given / step) * step - given).sum(axis=0)

    assert rounded.shape == given.shape
    assert rounded.dtype == np.int8
    assert np.all(error <= seven)
    assert error.sum() < seven.sum() / 2


def test_all_eight_bits_are_used_where_they_fit() -> None:
    """Large weights without a large neighbour are not made smaller for the sake of others."""
    given = np.zeros((4, 1), np.float32)
    given[0] = 5.0
    given[3] = -5.0 * 64 / 127

    rounded, scale = quantized_columns(given)

    assert rounded[:, 0].tolist() == [127, 0, 0, -64]
    assert scale[0] == pytest.approx(5.0 / 127)


def test_what_is_all_zero_stays_so() -> None:
    """A column or row of zeros divides by nothing."""
    zeros = np.zeros((6, 3), np.float32)

    assert not quantized_columns(zeros)[0].any()
    assert not quantized_rows(zeros)[0].any()
    assert np.isfinite(quantized_columns(zeros)[1]).all()


def test_rows_have_scales_of_their_own() -> None:
    """A small row keeps its precision beside a large one."""
    given = np.array([[100.0, -50.0], [0.001, 0.0005]], np.float32)

    rounded, scale = quantized_rows(given)

    np.testing.assert_allclose(rounded * scale, given, rtol=0.01)
