"""What kinds of files are called, and which files are of them."""

from __future__ import annotations

import pytest

from kb.records import FileStat, KnownFile
from kb.search.types import is_of_type, type_named


@pytest.mark.parametrize(
    ("path", "kind", "types"),
    [
        ("a.md", "markdown", {"markdown", "md", ".md"}),
        ("a.mdx", "markdown", {"markdown", "mdx"}),
        ("tool.py", "code", {"python", "py", "code", ".py"}),
        ("README", "text", {"text"}),
        ("notes.d/README", "text", {"text"}),
        ("Makefile", "code", {"code"}),
        ("a.html", "code", {"web", "html"}),
        ("paper.PDF", "pdf", {"pdf", ".pdf"}),
        ("rows.csv", "code", {"sheet", "csv"}),
        ("x.unheard-of", "text", {"text", ".unheard-of"}),
        ("b.canvas", "canvas", {"canvas"}),
    ],
)
def test_a_type_is_a_kind_or_a_suffix(path: str, kind: str, types: set[str]) -> None:
    """A file is of the type its suffix names, of that suffix, and of what it was read as; of nothing else."""
    asked = ["markdown", "text", "code", "python", "web", "sheet", "pdf", "canvas", "md", "mdx", "py", "html", "csv",
             ".md", ".py", ".pdf", ".unheard-of"]  # fmt: skip

    file = KnownFile(1, "/notes", path, FileStat(1, 1, 1, 1, 1), b"", 0, "done", kind=kind)

    assert {name for name in asked if is_of_type(file, name)} == types


def test_names_of_types_are_checked() -> None:
    """Case does not count, a suffix nobody knows needs its dot, and a slip is answered with what was meant."""
    assert [type_named(word) for word in ("Python", "!PDF", ".XyZ", "tex")] == ["python", "!pdf", ".xyz", "tex"]
    with pytest.raises(ValueError, match="did you mean python"):
        type_named("pyhton")
    with pytest.raises(ValueError, match="write one of markdown, org"):
        type_named("qqq")
    with pytest.raises(ValueError, match="is no type"):
        type_named("!")
