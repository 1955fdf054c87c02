"""Turns pickled weights into safetensors, which hold numbers only and are mapped into memory as they are."""

from __future__ import annotations

import pickle
import zipfile
from typing import TYPE_CHECKING

from kb.embed.spec import REMEDY
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def to_safetensors(pickled: Sequence[Path], target: Path) -> None:
    """Write pickled weights as safetensors, tensor by tensor as they are. No code in a pickle is run.

    Raises:
        ModelError: They cannot be read.
    """
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    for file in pickled:
        try:
            tensors |= torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(f"{file} cannot be read ({error})", REMEDY) from error
    # Two names for the same numbers are written twice: the format has no notion of it.
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensors[name] = tensor.clone() if tensor.data_ptr() in seen else tensor.contiguous()
        seen.add(tensor.data_ptr())
    save_file(tensors, target, metadata={"format": "pt"})
