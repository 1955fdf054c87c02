"""Where a model's ONNX form is kept, and what is known of it. Nothing heavy is imported to find one.

Each model has a folder of its own, named by the digest of its name and revision, so a model that changed never meets
the form of an older one. ``export.json`` is written last and says which files belong, how long they are, and the
vector of a probe, by which a file that was exchanged or damaged shows itself when it is loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kb.embedding.spec import Located

Form: TypeAlias = Literal["float32", "int8"]
FORMS: Final[tuple[Form, ...]] = ("float32", "int8")
PLACE_VARIABLE: Final = "KB_MODELS"
MANIFEST: Final = "export.json"
# Raised whenever the exported graph changes, so that forms of older versions are made again.
FORMAT: Final = 1
# Raised whenever int8 vectors change: they would not mix with those of the older way.
INT8: Final = 1


@dataclass(frozen=True, slots=True)
class Export:
    """The ONNX form of a model, in one precision.

    Attributes:
        directory: Where its files are.
        graph: The file to load.
        form: The precision of its weights.
        files: The length in bytes of each file.
        checksums: The SHA-256 of each file.
        probe: The vector of the probe text by this form.
        measured: What was measured when it was made, by name: ``largest_difference`` from the original's vectors, the
            ``mean_cosine`` and ``least_cosine`` with them.
        made_by: The versions it was made with.
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
        """The bytes of its files."""
        return sum(self.files.values())

    def whole(self) -> bool:
        """Whether every file is there in its full length."""
        return all(_length(self.directory / name) == length for name, length in self.files.items())

    def damaged(self) -> list[str]:
        """The files that are not, byte by byte, what was written; reads them all."""
        return [name for name, checksum in self.checksums.items() if file_digest(self.directory / name) != checksum]


def models_folder(named: Path | None = None) -> Path:
    """Where kb keeps models and their ONNX forms: as named, else ``$KB_MODELS``, else in the user's data folder."""
    if named is not None:
        return named
    if place := os.environ.get(PLACE_VARIABLE):
        return Path(place).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("kb", appauthor=False)) / "models"


def export_folder(located: Located, models: Path | None = None) -> Path:
    """Where the ONNX forms of one model lie."""
    name = located.name if located.published else "local"
    key = hashlib.sha256(f"{name}@{located.revision} {FORMAT}".encode()).hexdigest()[:16]
    return models_folder(models) / "onnx" / f"{slug(Path(located.name).name)}-{key}"


def find_export(located: Located, form: Form, models: Path | None = None) -> Export | None:
    """The ONNX form of a model in this precision, if it is there and whole by its files' lengths."""
    found = next((one for one in read_exports(export_folder(located, models)) if one.form == form), None)
    return found if found is not None and found.whole() else None


def read_exports(directory: Path) -> Iterator[Export]:
    """The forms that lie in a folder, as their manifest says."""
    try:
        told = json.loads((directory / MANIFEST).read_text("utf-8"))
        if told["format"] != FORMAT:
            return
        for form, value in told["forms"].items():
            if form in FORMS and (form != "int8" or value["int8"] == INT8):
                yield _export(directory, form, value, told["made_by"])
    except (OSError, ValueError, KeyError, TypeError):
        return


def write_manifest(directory: Path, model: str, revision: str, exports: list[Export]) -> None:
    """Say what lies in a folder, when all of it does."""
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
    told = {"format": FORMAT, "model": model, "revision": revision, "forms": forms, "made_by": exports[0].made_by}
    draft = directory / f"{MANIFEST}.new"
    draft.write_text(json.dumps(told, indent=2), "utf-8")
    draft.replace(directory / MANIFEST)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file; empty where it is not there."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def slug(name: str) -> str:
    """A name as part of a file name."""
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


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
