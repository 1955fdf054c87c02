"""Filters on path, tag and date choose files before anything is ranked."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from kb.errors import RequestError
from kb.records import FileStat, Filters, KnownFile
from kb.search.filters import day_of, globs_from, selected, tag_count
from kb.search.names import file_named
from kb.system.paths import is_absolute

if TYPE_CHECKING:
    from pathlib import Path

MODIFIED = datetime(2026, 3, 5, 12, tzinfo=UTC)
STAT = FileStat(1, int(MODIFIED.timestamp() * 1e9), 1, 1, 1)


def known(path: str, **more: object) -> KnownFile:
    """A file of the catalog."""
    return replace(KnownFile(1, "/notes", path, STAT, b"", 0, "done"), **more)  # type: ignore[arg-type]  # fields by name


FILES = [
    known("a.md", tags=("Work", "kb/design"), kind="markdown", language="en"),
    known("sub/b.md", tags=("work",), date=date(2026, 1, 1), kind="markdown", language="de"),
    known("sub/deep/c.txt", date=date(2025, 12, 31), kind="text"),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ["a.md", "sub/b.md", "sub/deep/c.txt"]),
        (Filters(paths=("*.md",)), ["a.md", "sub/b.md"]),
        (Filters(paths=("sub/",)), ["sub/b.md", "sub/deep/c.txt"]),
        (Filters(paths=("sub/*.md",)), ["sub/b.md"]),
        (Filters(paths=("!*.md",)), ["sub/deep/c.txt"]),
        (Filters(paths=("*.md", "!sub/")), ["a.md"]),
        (Filters(paths=("c",)), ["sub/deep/c.txt"]),
        (Filters(paths=("!sub/b", "!a")), ["sub/deep/c.txt"]),
        (Filters(paths=("deep",)), ["sub/deep/c.txt"]),
        (Filters(paths=("b/", "?")), []),
        (Filters(paths=("/notes/sub/*.md",)), ["sub/b.md"]),
        (Filters(tags=("#WORK",)), ["a.md", "sub/b.md"]),
        (Filters(tags=("work", "kb/design")), ["a.md"]),
        (Filters(tags=("KB",)), ["a.md"]),
        (Filters(tags=("kb/",)), ["a.md"]),
        (Filters(tags=("design",)), []),
        (Filters(tags=("kb/des",)), []),
        (Filters(tags=("!kb",)), ["sub/b.md", "sub/deep/c.txt"]),
        (Filters(tags=("work", "!#KB/design")), ["sub/b.md"]),
        (Filters(types=("markdown",)), ["a.md", "sub/b.md"]),
        (Filters(types=("Markdown", ".txt")), ["a.md", "sub/b.md", "sub/deep/c.txt"]),
        (Filters(types=("!md",)), ["sub/deep/c.txt"]),
        (Filters(languages=("EN",)), ["a.md"]),
        (Filters(languages=("en", "de")), ["a.md", "sub/b.md"]),
        (Filters(languages=("!de",)), ["a.md", "sub/deep/c.txt"]),
        (Filters(since=date(2026, 1, 1)), ["a.md", "sub/b.md"]),
        (Filters(until=date(2026, 1, 1)), ["sub/b.md", "sub/deep/c.txt"]),
        (Filters(since=date(2026, 1, 1), until=date(2026, 1, 1)), ["sub/b.md"]),
        (Filters(paths=("*.md",), tags=("nothing",)), []),
    ],
)
def test_selection(filters: Filters, expected: list[str]) -> None:
    """Each filter lets through the files it names, and all of them have to agree."""
    assert [file.path for file in selected(FILES, filters)] == expected


FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("other", FORMS)
def test_accents_of_a_path_are_one_in_whatever_form(form: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"]) -> None:
    """Some systems and archives keep them as characters of their own."""
    path, folder = (unicodedata.normalize(form, one) for one in ("Tag\u00fcb\u00fccher/caf\u00e9.md", "/home/\u00e5"))
    files = [known(path, folder=folder), known("b.md", folder=folder)]

    def typed(text: str) -> str:
        return unicodedata.normalize(other, text)

    for glob in ("caf\u00e9.md", "Tag\u00fcb\u00fccher/", "*\u00e9*", "/home/\u00e5/Tag*/"):
        assert selected(files, Filters(paths=(typed(glob),))) == files[:1]
    assert selected(files, Filters(paths=(typed("!caf\u00e9.md"),))) == files[1:]
    assert file_named(files, typed("Tag\u00fcb\u00fccher/caf\u00e9.md"), "/nowhere") is files[0]
    assert file_named(files, "x", typed("/home/\u00e5/Tag\u00fcb\u00fccher/caf\u00e9.md")) is files[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("other", FORMS)
def test_a_pattern_below_a_folder_with_accents(
    tmp_path: Path, form: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"]
) -> None:
    """Its part without wildcards is looked for on the disk in either form."""
    folder = tmp_path / unicodedata.normalize(form, "Übungen/größe")
    folder.mkdir(parents=True)
    file = known(unicodedata.normalize(form, "Übungen/größe/Höhle.md"), folder=str(tmp_path.resolve()))

    for pattern in ("Übungen/größe/H*", "Übungen/**/Höhle*", "Übungen/größe/Höh?e.md", "Übungen/größe/"):
        globs = globs_from(str(tmp_path), unicodedata.normalize(other, f"./{pattern}"))
        assert selected([file], Filters(paths=globs)) == [file]
    assert globs_from(str(tmp_path), unicodedata.normalize(other, "Übung/H*")) == (
        unicodedata.normalize(other, "Übung/H*"),
    )


def test_of_two_names_that_differ_in_form_alone_the_one_that_is_typed_is_meant() -> None:
    """Linux lets both stand side by side."""
    files = [known(unicodedata.normalize(form, "caf\u00e9.md"), id=at) for at, form in enumerate(FORMS)]

    assert [file_named(files, file.path, "/nowhere").id for file in files] == [0, 1]


@pytest.mark.parametrize(("names", "expected"), [(("!a.md", "a.md", "b.md"), ["!a.md"]), (("a.md", "b.md"), ["b.md"])])
def test_a_name_that_begins_like_an_exclusion_is_meant_where_it_is_there(
    names: tuple[str, ...], expected: list[str]
) -> None:
    """Where no file is called so it leaves out."""
    found = selected([known(name) for name in names], Filters(paths=("!a.md",)))

    assert [file.path for file in found] == expected


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("C:/notes/sub", ["sub/b.md"]),
        ("C:/notes/*.md", ["a.md"]),
        ("D:/notes/", []),
        ("C:/notes/a.md", ["a.md"]),
        ("/C:/notes/sub/", ["sub/b.md"]),
    ],
)
def test_a_path_with_a_drive_is_absolute(glob: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows."""
    monkeypatch.setattr("kb.search.filters.is_absolute", partial(is_absolute, windows=True))
    files = [known(path, id=number, folder="C:/notes") for number, path in enumerate(["a.md", "sub/b.md"])]

    assert [file.path for file in selected(files, Filters(paths=(glob,)))] == expected


@pytest.mark.parametrize("glob", ["a\\", "\\", "[z-a]", "*["])
def test_what_is_no_glob_matches_nothing_but_a_file_of_that_name(glob: str) -> None:
    """As git has it for a line of .gitignore."""
    named = known(glob, id=2)

    assert selected([known("a.md")], Filters(paths=(glob,))) == []
    assert named in selected([known("a.md"), named], Filters(paths=(glob,)))


@pytest.mark.parametrize("glob", ["/", "b/", "/b/"])
def test_a_folder_that_is_not_there_has_no_hidden_files(glob: str) -> None:
    """What ends in a slash is no name of a file without its suffix."""
    files = [known(".x.md"), known("a/.x.md")]

    assert selected(files, Filters(paths=(glob,))) == []


def test_a_file_without_a_date_is_dated_by_its_modification() -> None:
    """The document's own date goes before the day of modification."""
    assert day_of(FILES[1]) == date(2026, 1, 1)
    assert day_of(FILES[0]) == MODIFIED.astimezone().date()


def test_an_unknown_type_is_an_error() -> None:
    """A slip must not look like a folder without such files."""
    with pytest.raises(RequestError, match="did you mean markdown"):
        selected(FILES, Filters(types=("markdwon",)))


def test_tags_are_counted_by_file_with_those_above_them() -> None:
    """A nested tag counts once for each tag above it, whatever its case; the commonest spelling is given."""
    files = [known("a", tags=("Work", "kb/x", "KB/y")), known("b", tags=("work", "kb")), known("c", tags=("work",))]

    assert tag_count(files) == [("work", 3), ("kb", 2), ("kb/x", 1), ("KB/y", 1)]
    assert tag_count([known("a", tags=("x//y", "/"))]) == [("x", 1), ("x//y", 1)]
    assert tag_count([]) == []


def test_tags_match_in_either_form_of_accents() -> None:
    """Editors on macOS may write them as separate characters; they are counted and excluded as one, too."""
    apart = unicodedata.normalize("NFD", "größe/é")
    files = [known("a", tags=(apart,)), known("b", tags=("Größe/É",)), known("c", tags=("grosse",))]

    for tag in ("größe", apart, "#GRÖSSE/É", unicodedata.normalize("NFD", "Größe")):
        assert [one.path for one in selected(files, Filters(tags=(tag,)))] == ["a", "b"]
        assert [one.path for one in selected(files, Filters(tags=(f"!{tag}",)))] == ["c"]
    assert tag_count(files)[:1] == [("größe", 2)]


NAMES = st.sampled_from(["a", "b", "ab", "a b", "a[1]", "x!", "é", "a.md"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(paths=st.lists(PATHS, min_size=1, max_size=8, unique=True), place=PATHS, ending=st.sampled_from(["", "/"]))
def test_globs_of_one_place_match_as_git_would(paths: list[str], place: str, ending: str) -> None:
    """A glob without wildcards, which is compared without pathspec, matches what pathspec matches."""
    files = [known(path) for path in paths]
    escaped = "".join(f"\\{one}" if one in "*?[]\\!#" else one for one in place)
    for glob in (f"/{escaped}{ending}", f"/notes/{escaped}{ending}"):
        spec = GitIgnoreSpec.from_lines([glob])
        wanted = [
            path for path in paths if spec.match_file(path) or spec.match_file(f"/notes/{path}".removeprefix("/"))
        ]
        found = [one.path for one in selected(files, Filters(paths=(glob,)))]
        assert found == wanted or not wanted, glob
