"""Turns pickled weights into safetensors, which hold numbers only and are mapped into memory as they are."""

from __future__ import annotations

import pickle
import zipfile
from typing import TYPE_CHECKING, Any

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
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    for file in pickled:
        try:
            tensors |= torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(f"{file} cannot be read ({error})", REMEDY) from error
    if strange := [name for name, tensor in tensors.items() if not isinstance(tensor, torch.Tensor)]:
        raise ModelError(f"{pickled[0]} holds more than numbers, such as {strange[0]}", REMEDY)
    # Numbers with two names, and parts of one block, are written for each: the format has no notion of it.
    seen: set[int] = set()
    for name, tensor in tensors.items():
        block = tensor.untyped_storage().data_ptr()
        tensors[name] = (tensor.clone() if block in seen else tensor).contiguous()
        seen.add(block)
    try:
        save_file(tensors, target, metadata={"format": "pt"})
    except SafetensorError as error:
        raise ModelError(f"{target} cannot be written ({error})", "See to the room on the disk") from error
