"""After a change, files of the affected formats are read again, and no others."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kb.formats import fingerprint
from kb.formats.fingerprint import Fingerprints, Import, distributions, imports_in
from kb.formats.registry import REGISTRY, Format, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
# One file of each kind of format, and one whose name says nothing.
FILES = (
    *("a.md", "a.txt", "a.csv", "a.py", "a.kt", "a.pdf", "a.docx", "a.xlsx", "a.eml", "a.ics", "a.png", "a.xml"),
    "README",
)
TEXTS = {"a.md", "a.txt", "a.csv", "a.py", "a.kt", "a.xml", "README"}
# Modules beside the readers, none of which decides what a file says.
DECIDE_NO_TEXT = {
    *("kb.formats", "kb.chunking", "kb.sandbox", "kb.formats.registry", "kb.formats.fingerprint"),
    *("kb.sandbox.worker", "kb.sandbox.pool", "kb.sandbox.confine", "kb.sandbox.confine"),
    *("kb.sandbox.seccomp", "kb.sandbox.syscalls", "kb.sandbox.limits", "kb.sandbox.pipes", "kb.sandbox.endings"),
}


@pytest.fixture(scope="module")
def before() -> str:
    """The current versions."""
    return Fingerprints("settings").formats()


def read_again(after: Fingerprints, before: str | None) -> set[str]:
    """The files that have to be read again."""
    return set(filter(after.changed(before), FILES))


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, in which a test changes a module and brings it back."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(ROOT / "kb", folder / "kb", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def edited(copied: Path) -> Iterator[Callable[..., Fingerprints]]:
    """The versions after a change to a module."""
    before: dict[Path, str] = {}

    def edit(path: str, old: str, new: str) -> Fingerprints:
        file = copied / path
        text = before[file] = file.read_text("utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), "utf-8")
        return Fingerprints("settings", root=copied)

    yield edit
    for file, text in before.items():
        file.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("path", "old", "new", "again"),
    [
        ("kb/formats/csv_tables.py", "_SAMPLE: Final = 20", "_SAMPLE: Final = 30", {"a.csv", "a.txt", "README"}),
        ("kb/formats/csv_tables.py", "_SAMPLE: Final = 20", "# More tells nothing new.\n_SAMPLE: Final =   20", set()),
        ("kb/formats/csv_tables.py", '"""Reads the rows', '"""Tables in text', set()),
        ("kb/formats/pdf.py", "import re\n", "import re\n\nX = 1\n", {"a.pdf"}),
        (
            "kb/formats/dates.py",
            "import re\n",
            "import re\n\nX = 1\n",
            {"a.pdf", "a.docx", "a.xlsx", "a.eml", "a.ics", "a.xml", "README"},
        ),
        (
            "kb/formats/builder.py",
            "import re\n",
            "import re\n\nX = 1\n",
            {*FILES} - TEXTS | {"a.py", "a.xml", "README"},
        ),
        ("kb/formats/source_tree.py", "_SHORT: Final = 12", "_SHORT: Final = 13", {"a.py"}),
        ("kb/formats/text.py", "import re\n", "import re\n\nX = 1\n", TEXTS),
        ("kb/formats/mailbox.py", "_HEAD: Final = 1 << 16", "_HEAD: Final = 1 << 15", {"a.eml", "README"}),
        ("kb/formats/feed.py", "_ROOTS: Final", "X = 1\n_ROOTS: Final", {"a.xml", "README"}),
        ("kb/chunking/split.py", "import math\n", "import math\n\nX = 1\n", {*FILES}),
        ("kb/records/characters.py", "from typing", "X = 1\nfrom typing", {*FILES}),
        ("kb/records/reports.py", "from dataclasses", "X = 1\nfrom dataclasses", set()),
        ("kb/sandbox/seccomp.py", "import os\n", "import os\n\nX = 1\n", set()),
    ],
)
def test_change_affects_its_formats_only(
    edited: Callable[..., Fingerprints], before: str, *, path: str, old: str, new: str, again: set[str]
) -> None:
    """Code counts, for all modules that import it; comments, docstrings and layout do not."""
    after = edited(path, old, new)

    assert read_again(after, before) == again


def test_unchanged_version_needs_no_comparison(edited: Callable[..., Fingerprints]) -> None:
    """The total version is the same for the same sources at any path, and differs for others."""
    here = Fingerprints("settings")

    assert Fingerprints("settings", root=ROOT).version == here.version
    assert Fingerprints("other").version != here.version
    assert edited("kb/formats/csv_tables.py", "_SAMPLE: Final = 20", "_SAMPLE: Final = 21").version != here.version


def test_versions_of_libraries_count(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a library is updated, installed or removed, files of its formats are read again."""
    version = fingerprint._version
    monkeypatch.setattr(fingerprint, "_version", lambda name: "absent" if name == "xberg" else version(name))
    assert read_again(Fingerprints("settings"), before) == {"a.docx"}

    monkeypatch.setattr(fingerprint, "_version", lambda name: "99" if name == "tree-sitter-python" else version(name))
    assert read_again(Fingerprints("settings"), before) == {"a.py"}


def test_settings_count(before: str) -> None:
    """OCR affects formats with images, all other settings every file."""
    assert read_again(Fingerprints("settings", "eng 600s"), before) == {"a.pdf", "a.png"}
    assert read_again(Fingerprints("other settings"), before) == {*FILES}


def test_rows_count(before: str) -> None:
    """A new, removed or changed row has its files read again; changes that affect only docs do not."""
    text = REGISTRY.text

    def version(*rows: Format) -> Fingerprints:
        return Fingerprints("settings", registry=Registry(rows, text))

    table = REGISTRY.by_suffix[".csv"]
    others = [row for row in REGISTRY.rows if row is not table]
    assert read_again(version(*others), before) == {"a.csv"}
    assert read_again(version(*others, replace(table, titled=True)), before) == {"a.csv"}
    assert read_again(version(*others, replace(table, about="rows", prose=True)), before) == set()

    new = version(*REGISTRY.rows, Format(("recipe",), (".rcp",), "recipe", "recipes"))
    assert new.changed(before)("a.rcp")
    assert Fingerprints("settings").changed(new.formats())("a.rcp")
    assert read_again(new, before) == set()


@pytest.mark.parametrize("stored", [None, "", "6 max_tokens=800", "[1]", '{"a": 1}', "null"])
def test_unknown_versions_are_read_again(stored: str | None) -> None:
    """With versions of an earlier kb or invalid ones, all files are read again."""
    assert read_again(Fingerprints("settings"), stored) == {*FILES}


def test_common_versions(edited: Callable[..., Fingerprints], before: str) -> None:
    """While some formats are read again, only the others are stored."""
    after = edited("kb/formats/csv_tables.py", "_SAMPLE: Final = 20", "_SAMPLE: Final = 30")

    kept = after.common(before)

    assert read_again(Fingerprints("settings"), kept) == read_again(after, kept) == {"a.csv", "a.txt", "README"}


def test_versions_are_the_same_in_every_process(before: str) -> None:
    """No order that differs between processes affects a digest."""
    code = "from kb.formats.fingerprint import Fingerprints as F; f = F('settings'); print(f.version, f.formats())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )

    assert done.stdout.strip() == f"{Fingerprints('settings').version} {before}"


def covered() -> set[str]:
    """The modules that decide the text of any format."""
    return {name for _, closure in Fingerprints("")._rules.values() for name in closure.modules}


def test_every_reader_counts() -> None:
    """A module of the readers is found by what imports it, or is named here as one that decides no text."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for folder in ("formats", "chunking", "sandbox")
        for path in (ROOT / "kb" / folder).glob("*.py")
    }

    assert covered() >= modules - DECIDE_NO_TEXT
    assert not covered() & DECIDE_NO_TEXT


def test_imports_are_found_as_a_syntax_tree_finds_them() -> None:
    """The quick way of finding imports misses none of them."""
    for name in covered():
        path = ROOT.joinpath(*name.split("."))
        source = (path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py").read_text(
            "utf-8"
        )
        expected = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                expected |= {Import(alias.name, ()) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                expected.add(Import(node.module, tuple(alias.name for alias in node.names)))

        assert set(imports_in(source)) == expected, name


def test_every_library_has_a_version() -> None:
    """What readers import is found among the distributions, under the names that are known for it."""
    packages = {name for _, closure in Fingerprints("")._rules.values() for name in closure.packages}

    assert packages >= {"markdown_it", "yaml", "fasttext", "semantic_text_splitter", "pypdfium2", "tree_sitter_php"}
    for package in packages:
        assert "absent" not in map(fingerprint._version, distributions(package)), package
