"""Checks of what is installed: this kb, its libraries and extras, and the programs that it runs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.doctor.catalog_view import opened_catalog
from kb.doctor.finding import Plain, Remedy, Skipped, advice, failed, ok, warning, worst
from kb.errors import StoreError
from kb.formats.registry import REGISTRY, install_command
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

DISTRIBUTION: Final = "localkb"
_TESSERACT: Final = "tesseract"
_TESSERACT_SECONDS: Final = 10.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA: Final = re.compile(r"""extra\s*==\s*['"]""")
_LEAST: Final = (3, 11)

# The command that installs Tesseract, by platform.
_INSTALL: Final = {"win32": "winget install UB-Mannheim.TesseractOCR", "darwin": "brew install tesseract"}.get(
    sys.platform, "sudo apt install tesseract-ocr"
)


def installation(_: Case) -> Finding:
    """Whether Python is recent enough, and every library that kb requires is installed."""
    python = Plain(sys.version.split()[0])
    if sys.version_info < _LEAST:
        return failed(
            "Python {python} is too old: kb needs 3.11", advice("Install kb with a newer Python"), python=python
        )
    missing = [name for name in _required() if not _is_installed(name)]
    if missing:
        return failed(
            "{missing} is not installed, which kb needs" if len(missing) == 1 else "{missing} are not installed",
            f"{shell.quote(sys.executable)} -m pip install {' '.join(missing)}",
            missing=Plain(", ".join(missing)),
        )
    return ok("Python {python}, all libraries are here", python=python)


def _required() -> list[str]:
    """The distributions that kb requires, extras left out; none where kb is not installed but runs from its source."""
    try:
        listed = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [found[0] for one in listed if not _EXTRA.search(one) and (found := _NAME.match(one))]


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def program(case: Case) -> Finding:
    """Whether the ``kb`` that the shell finds first is the one that is running."""
    found = shutil.which("kb", path=case.environ.get("PATH", os.defpath))
    here = Path(sys.executable).parent
    add = shell.add_to_path(str(here))
    if found is None:
        return warning("the shell finds no kb, and this one is in {folder}", add, folder=str(here))
    if not _is_this(Path(found)):
        return warning("the shell finds another kb first: {found}", add, found=found).with_details(
            ("this one", sys.executable)
        )
    return ok("{found}", found=found)


def _is_this(script: Path) -> bool:
    """Whether a script runs the kb of this process."""
    candidates = [Path(sys.executable).with_name("kb.exe" if os.name == "nt" else "kb"), Path(sys.argv[0])]
    if any(one.name.startswith("kb") and one.is_file() and one.samefile(script) for one in candidates):
        return True
    try:
        with script.open("rb") as stream:
            first = stream.readline(1000).decode("utf-8", "replace").strip()
    except OSError:
        return False
    words = first.removeprefix("#!").split()
    # Not the real path: the Python of a virtual environment is a link to that of the system.
    return first.startswith("#!") and bool(words) and os.path.normpath(words[0]) == os.path.normpath(sys.executable)


def extras(case: Case) -> Finding:
    """Whether the extras that the files and the configuration need are installed."""
    needed = dict(_needed_by_configuration(case))
    needed |= _needed_by_files(case)
    found = []
    for extra, what in needed.items():
        # Without a model that is configured no question is answered; without a format its files alone are lacking.
        judged = failed if extra == "answer" else warning
        sentence = "{what}, for which the extra {extra} is missing"
        found.append(judged(sentence, _install(extra), what=Plain(what), extra=Plain(extra)))
    absent = sorted({row.extra for row in REGISTRY.rows if row.extra and not row.available})
    return worst(
        found,
        ok("whatever the files need is installed").with_details(("not installed", Plain(", ".join(absent) or "none"))),
    )


def _install(extra: str) -> str:
    """The command that installs an extra beside this kb."""
    return install_command(extra).replace("pip ", f"{shell.quote(sys.executable)} -m pip ", 1)


def _needed_by_configuration(case: Case) -> Iterator[tuple[str, str]]:
    if case.settings.config.answer.model and importlib.util.find_spec("llm") is None:
        yield "answer", "answer.model names a language model"


def _needed_by_files(case: Case) -> dict[str, str]:
    """The extras without which some files could not be read, with what those are."""
    try:
        with opened_catalog(case) as view:
            failing = [file.path for file in view.files() if file.state == "failed"]
    except (Skipped, StoreError):
        # What is wrong with the catalog is told by the check of it.
        return {}
    rows = [row for path in failing if (row := REGISTRY.of(path)) is not None and row.extra and not row.available]
    counts = {row.extra: sum(one.extra == row.extra for one in rows) for row in rows}
    return {extra: f"{count:,} files could not be read" for extra, count in counts.items()}


def tesseract(case: Case) -> Finding:
    """Whether Tesseract and its languages are there, if ``documents.ocr`` is on."""
    documents = case.settings.config.documents
    found = shutil.which(_TESSERACT)
    if not documents.ocr:
        return ok("not needed: documents.ocr is off").with_details(("installed", found is not None))
    if found is None:
        return failed("documents.ocr is on, and Tesseract is not installed", _INSTALL)
    listed = subprocess.run(
        [found, "--list-langs"], capture_output=True, text=True, errors="replace", timeout=_TESSERACT_SECONDS,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    missing = [one for one in documents.ocr_languages.split("+") if one not in listed.stdout.split()]
    if missing:
        return failed(
            "Tesseract has no data for {languages} (documents.ocr_languages)",
            _languages(missing),
            languages="+".join(missing),
        )
    return ok("Tesseract reads {languages}", languages=documents.ocr_languages)


def _languages(names: Sequence[str]) -> str | Remedy:
    """What installs the data for some languages of Tesseract."""
    match sys.platform:
        case "win32":
            return advice("Run the installer of Tesseract again, and choose them as additional language data")
        case "darwin":
            return "brew install tesseract-lang"
    packages = " ".join(f"tesseract-ocr-{one.replace('_', '-')}" for one in names)
    return f"sudo apt install {packages}"
