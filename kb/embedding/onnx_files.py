"""Finds and records the ONNX forms of models. Imports no heavy library.

Each model has its own folder, named by a digest of its name and revision, so a changed model never uses the form of an
older one. ``export.json``, written last, lists the files, their lengths and the vector of a probe text, which reveals a
replaced or damaged file when the form is loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from kb.location import expanded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kb.embedding.spec import Located

Form: TypeAlias = Literal["float32", "int8"]
FORMS: Final[tuple[Form, ...]] = ("float32", "int8")
PLACE_VARIABLE: Final = "KB_MODELS"
MANIFEST: Final = "export.json"
# Increase this whenever the exported graph changes, so that older forms are exported again.
FORMAT: Final = 1
# Increase this whenever int8 vectors change, since they cannot be mixed with older ones.
INT8: Final = 2
_SOFTWARE: Final = {
    "kb": "localkb",
    **{name: name for name in ("torch", "transformers", "onnx", "onnxscript", "onnxruntime")},
}


@dataclass(frozen=True, slots=True)
class Export:
    """The ONNX form of a model, in one precision.

    Attributes:
        directory: Where its files are.
        graph: The file to load.
        form: The precision of its weights.
        files: The length in bytes of each file.
        checksums: The SHA-256 of each file.
        probe: The vector of the probe text; empty for files of the publisher.
        measured: The result of the comparison with the original: the ``largest_difference`` in any component,
            ``mean_cosine`` and ``least_cosine``.
        made_by: The versions of the software that exported it.
    """

    directory: Path
    graph: str
    form: Form
    files: Mapping[str, int]
    checksums: Mapping[str, str]
    probe: tuple[float, ...]
    measured: Mapping[str, float] = field(default_factory=dict)
    made_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The graph's path."""
        return self.directory / self.graph

    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(self.files.values())

    def is_complete(self) -> bool:
        """Whether all files exist with their full length."""
        return all(file_size(self.directory / name) == length for name, length in self.files.items())

    def damaged(self) -> list[str]:
        """The files with a wrong checksum; reads all files."""
        return [name for name, checksum in self.checksums.items() if file_digest(self.directory / name) != checksum]


def models_folder(named: Path | None = None) -> Path:
    """The directory of models and ONNX forms: ``named``, else ``$KB_MODELS``, else one in the user's data directory."""
    if named is not None:
        return named
    if place := os.environ.get(PLACE_VARIABLE):
        return Path(expanded(place))
    import platformdirs

    return Path(platformdirs.user_data_dir("kb", appauthor=False)) / "models"


def export_folder(located: Located, models: Path | None = None) -> Path:
    """The directory of the ONNX forms of a model."""
    name = located.name if located.published else "local"
    key = hashlib.sha256(f"{name}@{located.revision} {FORMAT}".encode()).hexdigest()[:16]
    return models_folder(models) / "onnx" / f"{slug(Path(located.name).name)}-{key}"


def find_export(located: Located, form: Form, models: Path | None = None) -> Export | None:
    """The ONNX form of a model in a precision, if it exists and its files have their full length."""
    found = next((one for one in read_exports(export_folder(located, models)) if one.form == form), None)
    return found if found is not None and found.is_complete() else None


def read_exports(directory: Path) -> Iterator[Export]:
    """The forms in a directory, according to its manifest."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
        if manifest["format"] != FORMAT:
            return
        for form, value in manifest["forms"].items():
            if form in FORMS and (form != "int8" or value["int8"] == INT8):
                yield _export(directory, form, value, manifest["made_by"])
    except (OSError, ValueError, KeyError, TypeError):
        return


def write_manifest(directory: Path, model: str, revision: str, exports: list[Export]) -> None:
    """Write the manifest of a directory, once all files are in it."""
    forms = {
        one.form: {
            "int8": INT8,
            "graph": one.graph,
            "files": dict(one.files),
            "checksums": dict(one.checksums),
            "probe": list(one.probe),
            "measured": dict(one.measured),
        }
        for one in exports
    }
    manifest = {"format": FORMAT, "model": model, "revision": revision, "forms": forms, "made_by": exports[0].made_by}
    draft = directory / f"{MANIFEST}.new"
    draft.write_text(json.dumps(manifest, indent=2), "utf-8")
    draft.replace(directory / MANIFEST)


def read_failure(located: Located, models: Path | None = None) -> str:
    """Why the last export of a model failed; empty if none did, or if kb or a library has changed since."""
    try:
        record = json.loads(_failure_file(located, models).read_text("utf-8"))
        return str(record["message"]) if record["made_by"] == software() else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def write_failure(located: Located, message: str, models: Path | None = None) -> None:
    """Record that the export of a model failed, so that it is not tried again with the same software."""
    file = _failure_file(located, models)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"message": message, "made_by": software()}, indent=2), "utf-8")


def forget_failure(located: Located, models: Path | None = None) -> None:
    """Remove the record of a failure."""
    _failure_file(located, models).unlink(missing_ok=True)


def software() -> dict[str, str]:
    """The versions of what exports models; packages that are not installed are left out."""
    found = {}
    for name, package in _SOFTWARE.items():
        with suppress(PackageNotFoundError):
            found[name] = version(package)
    return found


def _failure_file(located: Located, models: Path | None) -> Path:
    folder = export_folder(located, models)
    return folder.with_name(f"{folder.name}.failed.json")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def file_size(path: Path) -> int:
    """The size of a file in bytes; -1 if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def slug(name: str) -> str:
    """The name in a form that is safe in a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "model"


def _export(directory: Path, form: Form, value: dict[str, Any], made_by: Mapping[str, str]) -> Export:
    return Export(
        directory=directory,
        graph=value["graph"],
        form=form,
        files=value["files"],
        checksums=value["checksums"],
        probe=tuple(value["probe"]),
        measured=value["measured"],
        made_by=made_by,
    )
