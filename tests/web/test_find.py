"""Find: results, facets and what is said about them, as the server renders them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from kb.records import FileStat, KnownFile, StoredPassage
from kb.search.filters import selected
from kb.web.documents.markup import IN
from kb.web.facets import Facet, FacetCounts, facets, filter_labels, typed_filters
from kb.web.names import labelled, named_files
from kb.web.query import Query, at_passage

if TYPE_CHECKING:
    from pathlib import Path

    from page_browser import Browser

pytest_plugins = ["page_browser"]


def titles(html: str) -> list[str]:
    """The titles of the hits."""
    return re.findall(r'<h\d><a class="open"[^>]*>([^<]*)</a>', html)


def test_results(browser: Browser) -> None:
    """A search shows passages with marked words, place, score, tags and date, best first."""
    text = browser.get("/?q=where+do+the+backups+go").text

    assert titles(text)[0] == "Backups"
    assert "<mark>backups</mark>" in text
    assert "hub.md" in text
    assert "2025-03-04" in text
    assert "#tools/backup" in text
    assert re.search(r'class="score"[^>]*>0\.\d{3}<', text)


def test_start(browser: Browser) -> None:
    """Without a question, the files that changed last are shown."""
    assert "Recently changed" in browser.get("/").text


def test_best_sentences(browser: Browser) -> None:
    """The sentences that answer best stand out, without the signs of their markup."""
    text = browser.get("/?q=what+copies+the+database+every+night").text
    best = re.findall(r'<strong class="best">(.*?)</strong>', text)

    assert any("restic" in one and "☐" in one for one in best)


def test_facets_count_files(browser: Browser) -> None:
    """Each facet counts the files that a search looks through, and leads to the search with it."""
    text = browser.get("/?q=restic").text

    assert re.search(r'href="/\?q=restic&amp;tag=tools"[^>]*>.*?tools</span> <span class="count">2<', text)
    assert re.search(r'href="/\?q=restic&amp;path=/code/".*?code</span> <span class="count">1<', text)
    assert re.search(r'code</span> <span class="count">1<span class="unseen"> file<', text)
    assert re.search(r'tools</span> <span class="count">2<span class="unseen"> files<', text)
    assert re.search(r"type=markdown.*?markdown</span>", text)
    assert re.search(r"since=2024-01-01&amp;until=2024-12-31.*?2024", text)
    assert re.search(r"lang=de.*?de</span>", text)


def test_facet_is_taken_back(browser: Browser) -> None:
    """A chosen facet is marked, narrows the results, and leads back to the search without it."""
    text = browser.get("/?q=restic&tag=tools").text

    assert re.search(r'href="/\?q=restic" class="chosen"', text)
    assert set(titles(text)) <= {"restic", "Backups"}
    assert "Clear filters" in text


def test_filters_narrow_other_facets(browser: Browser) -> None:
    """With a filter, the other facets count only the files that pass it; its own facet still counts all."""
    text = browser.get("/?q=restic&type=org").text

    assert "markdown</span>" in text
    assert "tools</span>" not in text
    assert "home</span>" in text


def test_filters_in_the_question_narrow_the_facets(browser: Browser) -> None:
    """In the whole page and in the part that is fetched while typing; those chosen beside it are still chosen."""
    for text in (browser.get("/?q=restic+tag:tools").text, browser.get("/?q=restic+tag:tools&part=facets").text):
        assert re.search(r'tools</span> <span class="count">2<', text)
        assert "home</span>" not in text
    assert "home</span>" in browser.get("/?q=restic&part=facets").text


def test_a_filter_in_the_question_that_files_pass_which_could_not_be_indexed(browser: Browser) -> None:
    """It is a filter for the search, so for the facets too: none of the files with an answer passes it."""
    results = browser.get("/?q=restic+ext:png").text

    assert "only files with type:.png" in results
    assert titles(results) == []
    assert 'class="count"' not in results
    assert 'class="count"' in browser.get("/?q=restic+ext:nosuch").text


def test_operators_are_understood(browser: Browser) -> None:
    """Operators in the question work as in the command line, and how it was read is shown."""
    text = browser.get('/?q="every+night"+-borg+tag:tools').text

    assert "only passages with “every night”" in text
    assert "no passages with borg" in text
    assert "only files with tag:tools" in text


@pytest.mark.parametrize(
    ("mode", "ranked"), [("cosine", "meaning"), ("keyword", "words"), ("hybrid", "meaning and words")]
)
def test_mode_is_in_the_address(browser: Browser, mode: str, ranked: str) -> None:
    """The mode ranks, is chosen in the form, and stays in the addresses of the hits."""
    text = browser.get(f"/?q=restic&mode={mode}").text

    assert f"ranked by {ranked}" in text
    assert f'<option value="{mode}" selected>' in text
    assert f"mode={mode}&amp;file=" in text


def test_nothing_near_enough(browser: Browser) -> None:
    """Where nothing is near, that is said, with the nearest passage and a way to the weak hits."""
    text = browser.get("/?q=quantum+chromodynamics+lattice+gauge").text

    assert "No passage is near enough to be an answer." in text
    assert "The nearest passage" in text
    assert "weak=1" in text
    weak = browser.get("/?q=quantum+chromodynamics+lattice+gauge&weak=1").text
    assert "these are weak hits" in weak
    assert len(titles(weak)) > 3


def test_words_that_no_passage_has(browser: Browser) -> None:
    """A search by words that finds nothing offers the search by meaning."""
    text = browser.get("/?q=xyzzyplugh&mode=keyword").text

    assert "No passage has a word of the question." in text
    assert "mode=cosine" in text


def test_filter_that_matches_nothing(browser: Browser) -> None:
    """A filter value that no file has is named, with similar ones."""
    assert "No file has the tag tolls. Did you mean tools?" in browser.get("/?q=restic&tag=tolls").text


def test_invalid_filter_is_explained(browser: Browser) -> None:
    """A day that is none is a sentence with a remedy."""
    answer = browser.get("/?q=restic&since=yesterdayish")

    assert "since is not a date: yesterdayish" in answer.text
    assert "Write it as 2026-01-31" in answer.text


def test_parts(browser: Browser) -> None:
    """The script asks for the results and the facets alone; by words first."""
    results = browser.get("/?q=restic&part=results&quick=1").text
    facets = browser.get("/?q=restic&part=facets").text

    meaning = browser.get("/?q=restic&part=results").text
    best = browser.get("/?q=restic&part=results&best=1").text

    assert "<html" not in results + facets
    assert titles(meaning) == titles(best)
    assert "By words; meaning follows" not in meaning
    assert "By words; meaning follows" in results
    assert titles(results)
    assert "Narrow down" in facets


def test_more_results(browser: Browser) -> None:
    """A full list leads to a longer one."""
    text = browser.get("/?q=sentence+of+the+long+document").text

    assert len(titles(text)) == 10
    assert "limit=20" in text
    assert len(titles(browser.get("/?q=sentence+of+the+long+document&limit=20").text)) == 20


def test_similar_files(browser: Browser, files: Path) -> None:
    """A search for files like one says so, and shows others."""
    text = browser.get(f"/?like={files}/hub.md").text

    assert "similar passage" in text
    assert "restic" in titles(text)
    assert "Backups" not in titles(text)


def test_question_is_escaped(browser: Browser) -> None:
    """A question is text wherever it is shown."""
    text = browser.get("/?q=%3Cscript%3Ealert(1)%3C/script%3E%22%27&tag=%3Cb%3E").text

    assert "<script>alert" not in text
    assert "<b>" not in text


def test_nothing_is_asked_with_too_much(browser: Browser) -> None:
    """A question or a number of fields beyond all sense is refused with a sentence."""
    assert browser.get(f"/?q={'x' * 30_000}").status == 400
    assert browser.get("/?" + "&".join(f"tag=t{n}" for n in range(500))).status == 400


def _facets(files: list[KnownFile], query: Query, *folders: str) -> tuple[Facet, ...]:
    """The facets of a search."""
    return facets(FacetCounts().of(files, query, folders), query, len(files), folders)


def test_folders_within_the_chosen_one() -> None:
    """A chosen folder counts all files in it; those in it take its place, and those above it lead back."""
    paths = ("work/a.md", "work/plans/b.md", "work/plans/old/c.md", "work/plans/old/d.md", "home/e.md", "f.md")
    files = [
        KnownFile(number, "/notes", path, FileStat(1, 0, 0, number, 1), b"", 0, "done")
        for number, path in enumerate(paths)
    ]

    def folders(*chosen: str) -> list[tuple[str, int, tuple[str, ...]]]:
        query = Query(path=chosen)
        facet = next(one for one in _facets(files, query) if one.name == "path")
        led = (Query.of(urlsplit(value.address).query.encode()).path for value in facet.values)
        return [(value.label, value.files, path) for value, path in zip(facet.values, led, strict=True)]

    assert folders() == [("work", 4, ("/work/",)), ("home", 1, ("/home/",))]
    assert folders("/work/") == [
        ("work", 4, ()),
        (f"{IN} plans", 3, ("/work/plans/",)),
        ("home", 1, ("/work/", "/home/")),
    ]
    assert folders("/work/plans/") == [
        ("work/plans", 3, ()),
        ("work", 4, ("/work/",)),
        (f"{IN} old", 2, ("/work/plans/old/",)),
        ("home", 1, ("/work/plans/", "/home/")),
    ]


@pytest.mark.parametrize(
    ("question", "chosen", "counts"),
    [
        ("water", {}, {"work": 3, "home": 2, "markdown": 4, "pdf": 2, "#red": 3, "#blue": 2, "en": 4, "de": 2}),
        ("water ext:md", {}, {"work": 2, "home": 1, "markdown": 4, "#red": 2, "#blue": 2, "en": 3, "de": 1}),
        ("tag:red water", {}, {"work": 2, "home": 1, "markdown": 2, "pdf": 1, "#red": 3, "#blue": 1, "en": 1, "de": 2}),
        ("folder:home water", {}, {"home": 2, "markdown": 1, "pdf": 1, "#red": 1, "#blue": 1, "en": 1, "de": 1}),
        ("water -path:work/ lang:en", {}, {"home": 1, "markdown": 2, "#blue": 1, "en": 2}),
        ("until:2024-12-31 water", {}, {"work": 1, "markdown": 1, "#red": 1, "en": 1}),
        # What is read as words is no filter, and neither is what no file has by the name of another program.
        ("water file:line type:sofa", {"lang": ("de",)}, {"work": 1, "home": 1, "markdown": 1, "pdf": 1, "#red": 2}),
        ("water tag:green", {}, {}),
        # A filter beside the results joins those of the question, as in the search itself.
        ("water tag:blue", {"path": ("/home/",)}, {"work": 1, "home": 1, "markdown": 1, "#blue": 1, "en": 1}),
        ("water type:pdf", {"type": ("markdown",)}, {"work": 3, "home": 2, "markdown": 4, "pdf": 2, "#red": 3}),
        ("water tag:blue", {"tag": ("red",)}, {"work": 1, "markdown": 1, "#red": 1, "#blue": 1, "de": 1}),
    ],
)
def test_facets_count_what_the_filters_of_the_question_leave(
    question: str, chosen: dict[str, tuple[str, ...]], counts: dict[str, int]
) -> None:
    """They are those of the answer beside them, by whatever name a filter goes."""
    made = (
        ("work/a.md", ("red",), "en", 2024),
        ("work/b.md", ("red", "blue"), "de", 2025),
        ("work/c.pdf", (), "en", 2025),
        ("home/d.md", ("blue",), "en", 2025),
        ("home/e.pdf", ("red",), "de", 2025),
        ("f.md", (), "en", 2025),
    )
    files = [
        replace(
            KnownFile(number, "/notes", path, FileStat(1, 0, 0, number, 1), b"", 1, "done"),
            tags=tags,
            language=language,
            date=date(year, 5, 1),
            kind="markdown" if path.endswith(".md") else "pdf",
        )
        for number, (path, tags, language, year) in enumerate(made)
    ]

    query, typed = Query(q=question, **chosen), typed_filters(question, files)  # type: ignore[arg-type]  # a value a field
    found = FacetCounts().of(files, query, ["/notes"], typed)

    told = {**{path.strip("/"): number for path, number in found["path"]}, **dict(found["type"])}
    told |= {f"#{tag}": number for tag, number in found["tag"]} | dict(found["lang"])
    assert {name: told[name] for name in counts} == counts
    assert [name for name in told if name not in counts and not chosen] == []


@pytest.mark.parametrize("home", ["/home/me", "C:/Users/me", "/media/a[1]"])
def test_several_watched_folders_are_the_topmost_ones(home: str) -> None:
    """Each leads to its own files alone, and what is chosen in it is named as its files are."""
    folders = (f"{home}/notes", "/srv/papers", "/mnt/notes")
    below = ("plan.md", "work/a.md", "work/old/b.md")
    files = [
        KnownFile(number, folder, path, FileStat(1, 0, 0, number, 1), b"", 0, "done")
        for number, (folder, path) in enumerate(
            [*((folders[0], path) for path in below), (folders[1], "work/a.md"), (folders[2], "x.md")]
        )
    ]

    def shown(*chosen: str) -> dict[str, tuple[int, str]]:
        facet = next(one for one in _facets(files, Query(path=chosen), *folders) if one.name == "path")
        led = {value.label: Query.of(urlsplit(value.address).query.encode()) for value in facet.values}
        for value in facet.values:
            alone = Query(path=tuple(one for one in led[value.label].path if one not in chosen))
            assert value.chosen or value.files == len(selected(files, alone.filters))
        return {value.label: (value.files, (led[value.label].path or ("",))[-1]) for value in facet.values}

    first = shown()
    assert [number for number, _ in first.values()] == [3, 1, 1]
    assert list(first)[1:] == ["papers", "mnt/notes"]
    inside = shown(first[next(iter(first))][1])
    assert [label for label in inside if label.startswith(IN)] == [f"{IN} work"]
    deeper = shown(inside[f"{IN} work"][1])
    assert [number for number, _ in deeper.values()] == [2, 3, 1, 1, 1]
    papers = Query(path=(f"{first['papers'][1]}work/",))
    assert [label for label, _, _ in filter_labels(papers, folders)] == ["folder: papers/work"]
    assert [one.folder for one in selected(files, papers.filters)] == ["/srv/papers"]


@pytest.mark.parametrize("name", ["a[1]", "b*c", "d?", "e\\f", "!g"])
def test_folders_with_signs_of_globs(name: str) -> None:
    """A folder is searched as it is called, alone, with the folders in it, and shown by its name."""
    paths = (f"{name}/x.md", f"{name}/in/y.md", "a1/z.md", "bxc/z.md", "dd/z.md")
    files = [
        KnownFile(number, "/notes", path, FileStat(1, 0, 0, number, 1), b"", 0, "done")
        for number, path in enumerate(paths)
    ]

    counts = FacetCounts().of(files, Query(), ["/notes"])["path"]
    glob = next(glob for glob, number in counts if number == 2)
    chosen = Query(path=(glob,))
    assert [file.path for file in selected(files, chosen.filters)] == list(paths[:2])
    facet = _facets(files, chosen)[0]
    assert [value.label for value in facet.values[:2]] == [name, f"{IN} in"]


def test_search_that_finds_nothing_leads_to_a_wider_one(browser: Browser) -> None:
    """Filters and operators that leave everything out can be left out with one click."""
    filtered = browser.get("/?q=restic&mode=keyword&type=org").text
    phrase = browser.get("/?q=%22restic+bread+gannets%22").text

    assert 'The filters leave out other files. <a href="/?q=restic&amp;mode=keyword">Search all files</a>' in filtered
    assert 'The operators of the question leave out other passages. <a href="/?q=restic%20bread%20gannets">' in phrase
    assert "leave out" not in browser.get("/?q=restic").text


def test_links_to_other_views_keep_the_search(browser: Browser) -> None:
    """The question and the filters go along to where they are of use."""
    text = browser.get("/?q=restic&mode=keyword&tag=tools&limit=20").text
    links = dict(re.findall(r'<a href="([^"]+)"(?: data-keeps="[^"]*")?(?: aria-current="page")?>(\w+)</a>', text))

    assert {name: address for address, name in links.items()} == {
        "Find": "/?q=restic&amp;tag=tools",
        "Ask": "/ask?q=restic&amp;tag=tools",
        "Tags": "/tags?tag=tools",
        "Timeline": "/timeline?tag=tools",
        "Map": "/map",
        "Write": "/note",
        "Status": "/status",
    }


@pytest.mark.parametrize(
    "query", [Query(), Query(q="a b & ü/", path=("/x/", "y*"), weak=True, file="/old.md", line=3, page=2)]
)
@pytest.mark.parametrize("path", ["a.md", "b c/ü&?#%.md", "caf\udce9.md"])
@pytest.mark.parametrize("line", [0, 7])
def test_address_of_a_passage(query: Query, path: str, line: int) -> None:
    """It is that of the search with the document at the line, which the browser takes apart again."""
    file = KnownFile(1, "/notes", path, FileStat(1, 0, 0, 1, 1), b"", 0, "done")
    address = at_passage(query, StoredPassage("1-a-0", file, "text", (), line, line, None, b"", 0))

    assert address == query.address("/read", file=f"/notes/{path}", line=line, page=0) + "#passage"
    read = Query.of(urlsplit(address).query.encode())
    assert (read.q, read.path, read.file, read.line, read.page) == (query.q, query.path, f"/notes/{path}", line, 0)


def test_files_by_name() -> None:
    """Names that are what was typed come first, however it is spelled, then shorter ones; with a slash, paths count."""
    paths = (
        "a/Bread of Sunday.md",
        "bread-of-sunday-2.md",
        "b/old/bread.md",
        "breadbox.md",
        "cake.md",
        "x/bread_of_rye.md",
    )
    files = [
        KnownFile(number, "/notes", path, FileStat(1, 0, 0, number, 1), b"", 0, "done")
        for number, path in enumerate(paths)
    ]

    def named(typed: str) -> list[str]:
        return [one.path for one in named_files(files, typed)]

    assert named("bread-of sunday") == ["a/Bread of Sunday.md", "bread-of-sunday-2.md"]
    assert named("BREAD") == ["b/old/bread.md", "breadbox.md", "x/bread_of_rye.md", "a/Bread of Sunday.md"]
    assert named("old/bread") == ["b/old/bread.md"]
    assert named("md") == named("tart") == []
    assert [label for _, label in labelled(files[:2], ())] == ["Bread of Sunday.md", "bread-of-sunday-2.md"]
    assert [label for _, label in labelled([files[2], files[2]], ())] == ["b/old/bread.md"] * 2


def test_file_is_found_by_its_name(browser: Browser, files: Path) -> None:
    """A name leads to its file, whatever the passages say, unless a filter leaves it out."""
    link = f'<a class="open" href="/read?q=harbour.pdf&amp;file={files}/harbour.pdf">harbour.pdf</a>'

    assert link in browser.get("/?q=harbour.pdf").text
    assert link in browser.get("/?q=harbour.pdf&part=results&quick=1").text
    assert "Files with this name" not in browser.get("/?q=harbour.pdf&type=org").text
    assert "Files with this name" not in browser.get("/?q=harbour+type:pdf").text
