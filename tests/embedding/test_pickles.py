"""Pickled weights become safetensors with the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.embedding.fetch import to_safetensors
from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


def test_tied_and_sliced_weights_are_written_each(tmp_path: Path) -> None:
    """Two names for one tensor, two halves of a block, and a transposed one."""
    import torch
    from safetensors.torch import load_file

    block = torch.arange(12.0)
    given = {"a": block[:6], "b": block[6:], "again": block[:6], "turned": torch.arange(6.0).reshape(2, 3).T}
    torch.save(given, tmp_path / "pytorch_model.bin")

    to_safetensors([tmp_path / "pytorch_model.bin"], tmp_path / "model.safetensors")

    found = load_file(tmp_path / "model.safetensors")
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], given[name]) for name in given)


def test_pickles_with_more_than_numbers_are_refused(tmp_path: Path) -> None:
    """Checkpoints of a training run also contain its settings."""
    import torch

    torch.save({"state": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "pytorch_model.bin")

    with pytest.raises(ModelError, match="contains more than numbers"):
        to_safetensors([tmp_path / "pytorch_model.bin"], tmp_path / "model.safetensors")


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    """A full disk is reported in the same way."""
    import torch

    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model.bin")

    with pytest.raises(ModelError, match=r"cannot be written|cannot be read"):
        to_safetensors([tmp_path / "pytorch_model.bin"], tmp_path / "nowhere" / "model.safetensors")
