"""The registry of formats: lookups, and that a new format is a module and a row."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from kb.errors import DocumentError
from kb.formats.registry import REGISTRY, Format, Registry, load
from kb.formats.text import extract

ROOT = Path(__file__).parents[2]
RECIPE = Format(("recipe",), (".rcp",), "recipe", "recipes", reader="kb.formats.data:parse_toml", names=("menu",))


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("a.md", ".md"),
        ("deep.d/A.PDF", ".pdf"),
        ("a.tar.gz", ".gz"),
        ("Makefile", ".mk"),
        ("notes.d/README", ""),
        (".env", ""),
        ("a.", ""),
        ("x.unheard-of", ""),
    ],
)
def test_format_is_found_by_name(path: str, suffix: str) -> None:
    """By the last suffix, ignoring case, else by the whole name."""
    assert REGISTRY.of(path) is REGISTRY.by_suffix.get(suffix)


def test_rows_are_complete() -> None:
    """Suffixes are in lower case, readers exist, and required descriptions are present."""
    for row in REGISTRY.rows:
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in row.suffixes), row
        assert row.noun
        assert row.about or row.how == "unread" or row.suffixes == (".key",), row
        assert bool(row.extra) == bool(row.packages), row
        if row.in_child:
            module = import_module(row.reader)
            assert callable(module.prepare)
            assert callable(module.extract)
        elif row.reader:
            assert callable(load(row.reader))
        if row.recognise:
            assert callable(load(row.recognise))


def test_a_suffix_is_in_one_format() -> None:
    """Two rows with one suffix are an error."""
    with pytest.raises(ValueError, match=r"\.rcp is in two formats"):
        Registry((*REGISTRY.rows, RECIPE, replace(RECIPE, types=("cookbook",))), REGISTRY.text)


def test_row_appears_in_every_view() -> None:
    """Types, kinds, limits, links and what a child loads come from the same row."""
    told = replace(RECIPE, prose=False, anchors=True)
    child = Format(
        ("plant",), (".hrb",), "plant", "herbaria", "child", "kb.formats.html", packages=("no_such",), extra="x"
    )
    registry = Registry((*REGISTRY.rows, told, child), REGISTRY.text)

    assert registry.of("b/Menu") is registry.of("soup.RCP") is told
    assert registry.types["recipe"] == {"rcp"}
    assert {"recipe", "rcp", "plant", "hrb"} <= registry.words
    assert "recipe" in registry.by_line & registry.anchored
    assert registry.notes[-1] == ".rcp"
    assert registry.documents - REGISTRY.documents == {".hrb"}
    assert registry.is_extracted("a.hrb", "plant")
    assert not REGISTRY.is_extracted("a.hrb", "plant")
    assert registry.extras == (*REGISTRY.extras, "x")
    assert not child.available
    assert registry.parsers() == REGISTRY.parsers()


@pytest.mark.parametrize(
    ("name", "data", "extracted"),
    [
        ("mill.wiki", b"== Mill ==\n\nIt grinds.\n", False),
        ("mill.mediawiki", b"== Mill ==\n\nIt grinds.\n", False),
        ("mill.xml", b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"></mediawiki>', True),
        ("mill.pdf", b"%PDF-1.7", True),
        ("mill.html", b"<html><body>x", True),
        ("mill.md", b"# Mill", False),
    ],
)
def test_lines_of_a_page_of_a_wiki_are_those_of_the_file(name: str, data: bytes, *, extracted: bool) -> None:
    """It is opened in the editor, at its line, though an export of a wiki is of the same kind."""
    row = REGISTRY.of_content(name, data)

    assert row is not None
    assert REGISTRY.is_extracted(f"notes/{name}", row.kind) is extracted


# What somebody who adds formats writes: a module for each, and a row.
PLAIN = '''
"""Recipes: a line that begins with an equals sign is the name of a dish."""

from kb.formats.markup import Outline, one_line
from kb.records import Heading


def parse_recipe(text: str, first_line: int = 1) -> Outline:
    """The dishes."""
    lines = list(enumerate(text.split("\\n"), 1))[first_line - 1 :]
    return Outline(headings=tuple(Heading(one_line(line[1:]), 1, at, at) for at, line in lines if line[:1] == "="))
'''
FOREIGN = '''
"""Herbaria: each line is a plant, written backwards."""


def prepare():
    """Nothing."""


def extract(name, data, builder, limits):
    """Add the plants to the builder."""
    for plant in data.decode().split("\\n"):
        builder.add_place("plant: " + plant[::-1], reset_headings=True)
        builder.add_text(plant[::-1])
'''
ROWS = """
    _text("recipe", ".rcp", "recipes", "each dish is a section", reader="kb.formats.recipe:parse_recipe"),
    _child("plant", ".hrb", "herbaria", "kb.formats.herbarium", "`plant: rose`"),
    _child("lock", ".lck", "locked files", "kb.formats.lock", "nothing", package="no_such_package", extra="locks"),
"""
SCRIPT = """
import json, pathlib, runpy
from kb.cli.output.reports import status_text
from kb.config import Config
from kb.errors import DocumentError
from kb.formats.fingerprint import Fingerprints
from kb.reading import reader_of, rules_of, sandboxes_of
from kb.records import Failure, FileStat, FoundFile, Freshness, KnownFile, Source, Status
from kb.search.types import is_of_type, type_named
from kb.testing import FakeTokens

boxes = sandboxes_of(Config())
reader = reader_of(Config(), FakeTokens(), boxes, None)
def read(path, data):
    return reader.read(Source(FoundFile("/n", path, FileStat(1, 1, 1, 1, 1)), data, b"", 0))
said = {}
document, passages = read("soup.rcp", b"= Soup\\n\\nwater\\n\\n= Bread\\n\\nflour\\n")
said["plain"] = [document.kind, document.title, [one.heading for one in passages]]
long, _ = read("long.rcp", b"= Soup\\n\\n" + b"water and salt\\n" * 8000)
said["long"] = [long.kind, long.title]
document, passages = read("garden.hrb", b"esor\\nnrefnedlog")
said["foreign"] = [document.kind, [one.text.strip() for one in passages], [one.place for one in passages]]
try:
    read("a.lck", b"x")
except DocumentError as error:
    said["reason"] = error.message
boxes.close()
said["types"] = [type_named(word) for word in ("recipe", "rcp", "!plant")]
try:
    type_named("recipee")
except ValueError as error:
    said["meant"] = str(error)
file = KnownFile(1, "/n", "soup.rcp", FileStat(1, 1, 1, 1, 1), b"", 0, "done", kind="recipe")
said["is"] = [is_of_type(file, "recipe"), is_of_type(file, "plant")]
said["limits"] = [rules_of(Config()).limit(name)[1] for name in ("a.rcp", "a.hrb")]
problem = Failure("/n", "a.lck", said["reason"])
status = Status((), "", "", "", "", 0, 0, 1, 0, 0, 0, 0, Freshness(None, 0), problems=(problem,))
shown = status_text(status, None, tesseract=False)
said["status"] = [line for line in shown.splitlines() if "lock" in line]
page = runpy.run_path("docs/generate.py")
said["docs"] = [
    [line for line in page[name]().splitlines() if "rcp" in line or "hrb" in line]
    for name in ("plain_block", "documents_block", "types_block")
]
changed = Fingerprints("").changed(pathlib.Path("before.json").read_text())
said["again"] = [name for name in ("a.rcp", "a.hrb", "a.lck", "a.md", "a.pdf", "README") if changed(name)]
print(json.dumps(said))
"""


def test_new_format_takes_a_module_and_a_row(tmp_path: Path) -> None:
    """Reading, long texts in the child, extraction, --type, limits, status, docs and what is read again take it."""
    from kb.formats.fingerprint import Fingerprints

    # With what is compiled, but for what another process is just writing.
    shutil.copytree(ROOT / "kb", tmp_path / "kb", ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "before.json").write_text(Fingerprints("").formats())
    (tmp_path / "kb" / "formats" / "recipe.py").write_text(PLAIN)
    for name in ("herbarium", "lock"):
        (tmp_path / "kb" / "formats" / f"{name}.py").write_text(FOREIGN)
    table = tmp_path / "kb" / "formats" / "registry.py"
    before = table.read_text("utf-8")
    assert before.count("_NOT_READ: Final = (\n") == 1
    table.write_text(before.replace("_NOT_READ: Final = (\n", f"_NOT_READ: Final = ({ROWS}"), "utf-8")

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=False, capture_output=True, text=True, cwd=tmp_path, timeout=250
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["plain"] == ["recipe", "Soup", [["Soup"], ["Bread"]]]
    assert said["long"] == ["recipe", "Soup"]
    assert said["foreign"] == ["plant", ["rose", "goldenfern"], ["plant: rose", "plant: goldenfern"]]
    command = "pip install 'localkb[locks]'"
    assert said["reason"] == f"locked files (.lck) are read with the extra for locks: {command}"
    assert said["types"] == ["recipe", "rcp", "!plant"]
    assert said["meant"] == "'recipee' is no type: did you mean recipe?"
    assert said["is"] == [True, False]
    assert said["limits"] == ["folders.max_file_mb", "documents.max_file_mb"]
    assert said["status"] == [f"locks:       1 file could be read after {command}"]
    assert said["docs"] == [
        ["| `.rcp` | each dish is a section |"],
        ["| `.hrb` | Python | `plant: rose` |"],
        ["| `recipe` | `.rcp` |", "| `plant` | `.hrb` |"],
    ]
    assert said["again"] == ["a.rcp", "a.hrb", "a.lck"]


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("a/b.PNG", b"\x89PNG\0", "images"),
        ("a.heic", b"\0", "images"),
        ("a.mp4", b"\0", "videos"),
        ("a.zip", b"PK", "archives"),
        ("a.blob", b"a\0b", "binary files"),
        ("a.md", b"a\0b", ""),
        ("a.py", b"a\0b", ""),
    ],
)
def test_kinds_that_are_never_read(path: str, data: bytes, kind: str) -> None:
    """They are told from files of kinds that kb reads, and could not read."""
    with pytest.raises(DocumentError) as raised:
        extract(path, data)

    assert REGISTRY.unread(path, raised.value.message) == kind
    assert REGISTRY.unread(path, "changed while being read") == ""
