"""A filter that names nothing in the index says what may have been meant."""

from __future__ import annotations

from datetime import date

import pytest

from kb.records import FileStat, Filters, KnownFile, Unmatched
from kb.search.filters import selected
from kb.search.names import language_code, near, unmatched


def file(path: str, *tags: str, language: str = "", kind: str = "markdown", year: int = 2020) -> KnownFile:
    """A file of the index, dated the first of May."""
    stat, day = FileStat(1, 1, 1, 1, 1), date(year, 5, 1)
    return KnownFile(
        hash(path), "/home/me/notes", path, stat, b"", 1, "done", tags=tags, language=language, kind=kind, date=day
    )


FILES = [
    file("plan.md", "work", "home/garden", language="en"),
    file("sub/Tomatoes [new].md", "garden", language="de"),
    file("sub/report.org", "Work", language="en", kind="org", year=2024),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(tags=("work", "home", "HOME/Garden")), ()),
        (Filters(tags=("wrok",)), (Unmatched("tag", "wrok", ("work",)),)),
        (Filters(tags=("!gardne",)), (Unmatched("tag", "gardne", ("garden",)),)),
        (Filters(tags=("zzz",)), (Unmatched("tag", "zzz", ()),)),
        (Filters(types=("pdf", "!org")), (Unmatched("type", "pdf", ("markdown", "org"), similar=False),)),
        (Filters(types=("MD", "!Org")), ()),
        (Filters(languages=("german",)), (Unmatched("lang", "german", ("de",)),)),
        (Filters(languages=("eng",)), (Unmatched("lang", "eng", ("en",)),)),
        (Filters(languages=("fr",)), (Unmatched("lang", "fr", ("en", "de"), similar=False),)),
        (Filters(paths=("plan.md", "*.org")), ()),
        (Filters(paths=("paln.md",)), (Unmatched("path", "paln.md", ("plan.md",)),)),
        (Filters(paths=("sbu/",)), (Unmatched("path", "sbu/", ("sub",)),)),
        (Filters(paths=("sbu/", "/home/me/notes/sbu")), (Unmatched("path", "sbu/", ("sub",)),)),
        (Filters(paths=("notes/plan.md", "/home/me/notes/plan.md")), ()),
        (Filters(paths=("gone.md", "/home/me/gone.md")), (Unmatched("path", "gone.md", ()),)),
        (Filters(since=date(2024, 5, 1), until=date(2024, 5, 1)), ()),
        (Filters(since=date(2024, 5, 2)), (Unmatched("since", "2024-05-02", ("2024-05-01",)),)),
        (Filters(until=date(2020, 4, 30), tags=("work",)), (Unmatched("until", "2020-04-30", ("2020-05-01",)),)),
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


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(tags=("home", "work"), paths=("plan.md",)), []),
        (Filters(tags=("home", "work"), paths=("sub/",)), ["all: tag:home, tag:work, path:sub/"]),
        (Filters(tags=("Home", "garden"), languages=("!fr",)), ["lang: fr", "all: tag:Home, tag:garden, -lang:fr"]),
        (Filters(paths=("sub/", "/home/me/notes/sub", "!sub/", "!/home/me/notes/sub")), ["all: path:sub/, -path:sub/"]),
        (Filters(types=("!markdown", "!org")), ["all: -type:markdown, -type:org"]),
        (Filters(since=date(2021, 1, 1), until=date(2022, 1, 1)), ["all: since:2021-01-01, until:2022-01-01"]),
        (Filters(since=date(2024, 1, 1), until=date(2023, 1, 1)), ["all: since:2024-01-01, until:2023-01-01"]),
        (Filters(since=date(2024, 1, 1), languages=("de",)), ["all: lang:de, since:2024-01-01"]),
        (Filters(types=("org", "pdf"), tags=("garden",)), ["type: pdf", "all: tag:garden, type:org, type:pdf"]),
        (Filters(types=("pdf",), tags=("home", "garden")), ["type: pdf"]),
        (Filters(tags=("wrok", "garden"), languages=("en",)), ["tag: wrok"]),
        (Filters(until=date(2019, 1, 1), types=("org",), languages=("de",)), ["until: 2019-01-01"]),
    ],
)
def test_filters_that_match_nothing_together(filters: Filters, expected: list[str]) -> None:
    """They are named together where none of them keeps all files out by itself."""
    found = unmatched(FILES, filters)

    assert [f"{one.filter}: {one.value}" for one in found] == expected
    assert bool(selected(FILES, filters)) == (not expected)
    assert "all" not in [one.filter for one in unmatched(FILES, filters, some=True)]


def test_an_empty_index_has_nothing_to_mean() -> None:
    """Then it is the index that is empty, not the filter that is wrong."""
    assert unmatched([], Filters(tags=("a",))) == ()


def test_near_names() -> None:
    """A slip away, whatever the case, or with the word in them; the nearest first."""
    assert near("Backpus", ["backups", "Bread", "x"]) == ("backups",)
    assert near("plan", ["Year plan", "planning", "tax"])[0] in {"planning", "Year plan"}
    assert near("qq", ["plan"]) == ()
    assert language_code("Deutsch") == "de"
