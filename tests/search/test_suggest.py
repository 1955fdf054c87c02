"""A filter that names nothing in the index says what may have been meant."""

from __future__ import annotations

import pytest

from kb.records import FileStat, Filters, KnownFile, Unmatched
from kb.search.names import language_code, near, unmatched


def file(path: str, *tags: str, language: str = "", kind: str = "markdown") -> KnownFile:
    """A file of the index."""
    stat = FileStat(1, 1, 1, 1, 1)
    return KnownFile(hash(path), "/home/me/notes", path, stat, b"", 1, "done", tags=tags, language=language, kind=kind)


FILES = [
    file("plan.md", "work", "home/garden", language="en"),
    file("sub/Tomatoes [new].md", "garden", language="de"),
    file("sub/report.org", "Work", language="en", kind="org"),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(tags=("work", "home", "HOME/Garden")), ()),
        (Filters(tags=("wrok",)), (Unmatched("tag", "wrok", ("work",)),)),
        (Filters(tags=("!gardne",)), (Unmatched("tag", "gardne", ("garden",)),)),
        (Filters(tags=("zzz",)), (Unmatched("tag", "zzz", ()),)),
        (Filters(types=("pdf", "!org")), (Unmatched("type", "pdf", ("markdown", "org"), similar=False),)),
        (Filters(languages=("german",)), (Unmatched("lang", "german", ("de",)),)),
        (Filters(languages=("eng",)), (Unmatched("lang", "eng", ("en",)),)),
        (Filters(languages=("fr",)), (Unmatched("lang", "fr", ("en", "de"), similar=False),)),
        (Filters(paths=("plan.md", "*.org")), ()),
        (Filters(paths=("paln.md",)), (Unmatched("path", "paln.md", ("plan.md",)),)),
        (Filters(paths=("sbu/",)), (Unmatched("path", "sbu/", ("sub",)),)),
        (Filters(paths=("sbu/", "/home/me/notes/sbu")), (Unmatched("path", "sbu/", ("sub",)),)),
        (Filters(paths=("notes/plan.md", "/home/me/notes/plan.md")), ()),
        (Filters(paths=("gone.md", "/home/me/gone.md")), (Unmatched("path", "gone.md", ()),)),
        (Filters(paths=("plan.md", "tomatos.md")), (Unmatched("path", "tomatos.md", ("sub/Tomatoes [new].md",)),)),
    ],
)
def test_each_value_is_looked_at_by_itself(filters: Filters, expected: tuple[Unmatched, ...]) -> None:
    """Whatever the others are; a value that leaves out nothing is told too."""
    found = unmatched(FILES, filters)

    assert [(one.filter, one.value, one.similar) for one in found] == [
        (one.filter, one.value, one.similar) for one in expected
    ]
    for one, wanted in zip(found, expected, strict=True):
        assert one.near[: len(wanted.near)] == wanted.near


def test_an_empty_index_has_nothing_to_mean() -> None:
    """Then it is the index that is empty, not the filter that is wrong."""
    assert unmatched([], Filters(tags=("a",))) == ()


def test_near_names() -> None:
    """A slip away, whatever the case, or with the word in them; the nearest first."""
    assert near("Backpus", ["backups", "Bread", "x"]) == ("backups",)
    assert near("plan", ["Year plan", "planning", "tax"])[0] in {"planning", "Year plan"}
    assert near("qq", ["plan"]) == ()
    assert language_code("Deutsch") == "de"
