"""Tags and timeline, the filters that they lead to, and the selection of files that a search stays within."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from typing import TYPE_CHECKING

import pytest

from kb.errors import RequestError
from kb.records import FileStat, KnownFile
from kb.web.query import Query
from kb.web.selection import Selections
from kb.web.views.tags import tag_lines
from kb.web.views.timeline import years_of

if TYPE_CHECKING:
    from pathlib import Path

    from page_browser import Browser
    from page_server import Served

pytest_plugins = ["page_browser"]


def file(number: int, day: date | None = None, tags: tuple[str, ...] = ()) -> KnownFile:
    """A file of the index."""
    stat = FileStat(1, 0, 0, number, 1)
    return KnownFile(number, "/notes", f"{number}.md", stat, b"", 0, "done", tags=tags, date=day)


def test_months_of_years() -> None:
    """Files are counted by month, the newest year first; the fullest month has the tallest bar."""
    files = [file(n, date(2024, 2, 1 + n)) for n in range(4)] + [file(9, date(2025, 12, 31))]
    years = years_of(files, Query(tag=("x",)))

    assert [(one.number, one.files) for one in years] == [(2025, 1), (2024, 4)]
    february = years[1].months[1]
    assert (february.files, february.height, february.label) == (4, 40, "February 2024: 4 files")
    assert february.address == "/?tag=x&since=2024-02-01&until=2024-02-29"
    assert years[0].months[11].height == 10
    assert sum(month.files for month in years[1].months) == 4


def test_tags_below_one_another() -> None:
    """By name, a tag stands below the one above it; by number, the most frequent one comes first."""
    files = [file(1, tags=("work/kb",)), file(2, tags=("work/kb",)), file(3, tags=("work-out",)), file(4, tags=("a",))]

    by_name = tag_lines(files, Query())
    by_count = tag_lines(files, Query(), by_count=True)

    assert [(one.label, one.depth, one.files) for one in by_name] == [
        ("a", 0, 1),
        ("work", 0, 2),
        ("kb", 1, 2),
        ("work-out", 0, 1),
    ]
    assert [one.tag for one in by_count][:2] == ["work", "work/kb"]
    assert by_name[2].address == "/?tag=work/kb"
    odd = tag_lines([file(1, tags=("a//b", "/"))], Query())
    assert [(one.label, one.tag) for one in odd] == [("a", "a"), ("b", "a//b")], "each can be clicked"


def test_selection_is_named_by_its_files() -> None:
    """The same files have the same name, whatever their order; only the last selections are kept."""
    selections = Selections()
    name = selections.keep([3, 1, 3])

    assert selections.keep([1, 3]) == name
    assert selections.ids(name) == (1, 3)
    assert [one.id for one in selections.among([file(1), file(2)], name)] == [1]
    assert len(selections.among([file(1), file(2)], "")) == 2
    for number in range(100, 170):
        selections.keep([number])
    with pytest.raises(RequestError, match="no longer kept"):
        selections.ids(name)
    with pytest.raises(RequestError, match="no file"):
        selections.keep([])


def test_tags_lead_to_their_files(browser: Browser) -> None:
    """A tag with its number leads to the files that have it, without a question."""
    text = browser.get("/tags").text
    found = re.search(r'<a href="([^"]+)"[^>]*>tools</a> <span class="count">2<', text)
    assert found

    listed = browser.get(unescape(found[1])).text

    assert "2 files" in listed
    assert re.findall(r'<h3><a class="open"[^>]*>([^<]+)<', listed) == ["Backups", "restic"]


def test_timeline_leads_to_its_files(browser: Browser) -> None:
    """A month leads to its files; filters stay, and can be taken away."""
    text = browser.get("/timeline?tag=tools").text
    found = re.search(r'<a href="([^"]+)" title="May 2024: 1 file"', text)
    assert found
    assert "March 2025: 1 file" in text
    assert 'href="/timeline" aria-label="Remove this filter: tag: tools"' in text

    listed = browser.get(unescape(found[1])).text

    assert re.findall(r'<h3><a class="open"[^>]*>([^<]+)<', listed) == ["restic"]


def test_search_within_a_selection(browser: Browser, running: Served, files: Path) -> None:
    """A search, its facets, an answer, tags and the timeline look through the selected files alone."""
    assert f"{files}/hub.md" in browser.get("/?q=restic").text
    with running.using() as kb:
        ids = {one.path: one.id for one in kb.documents()}
    chosen = {"ids": f"{ids['restic.md']},{ids['letter.txt']}", "q": "restic"}
    address = browser.post("/select", chosen).headers["location"]
    name = address.rpartition("=")[2]
    assert address == f"/?q=restic&within={name}"

    for address in (f"/?q=restic&within={name}", f"/ask?q=does+restic+encrypt+copies&within={name}"):
        text = browser.get(address).text
        assert f"{files}/restic.md" in text
        assert f"{files}/hub.md" not in text
        assert "Only 2 selected files" in text
    assert "1 tag in 1 file" in browser.get(f"/tags?within={name}").text
    assert "2 files" in browser.get(f"/?within={name}").text
    nothing = browser.get(f"/?q=gannets&mode=keyword&within={name}").text
    assert nothing.count("Search all files") == 1


def test_selection_that_is_gone(browser: Browser) -> None:
    """The address of a selection that is no longer kept says what to do."""
    for address in ("/?q=restic&within=gone", "/ask?q=restic&within=gone", "/tags?within=gone", "/?within=gone"):
        assert "Select the files on the map again" in browser.get(address).text, address
