"""Read: documents of each form, at the passage and marked; and nothing outside the folders."""

from __future__ import annotations

import base64
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import pytest

from kb.formats.registry import REGISTRY, Format, Registry
from kb.records import FileStat, KnownFile
from kb.web import pictures
from kb.web.documents import notebook, read
from kb.web.documents.markdown import markdown
from kb.web.documents.markup import Excerpt, linked_text
from kb.web.documents.org import org
from kb.web.pdf_page import Drawn, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from page_browser import Browser
    from page_server import Served

pytest_plugins = ["page_browser"]


def document(html: str) -> str:
    """The part of a page that is the document."""
    return html[html.index('id="document"') :]


def test_markdown(browser: Browser, files: Path) -> None:
    """Markdown is rendered, its passage is marked, and code, tables, boxes and formulas are what they mean."""
    text = document(browser.read(files / "hub.md", line=5, q="backups restic").text)

    assert re.search(r'<h1 id="passage" data-line="5" class="hit"><mark>Backups</mark></h1>', text)
    assert "☑ laptop" in text
    assert "<td><mark>restic</mark></td>" in text
    assert '<code class="math">e^{i\\pi} + 1 = 0</code>' in text
    assert '<span class="k">def</span>' in text
    assert '<span class="nt">tags</span>' in text


def test_links_lead_to_their_places(browser: Browser, files: Path) -> None:
    """Links lead to the documents they mean, those that lead nowhere say so, both directions are listed."""
    text = document(browser.read(files / "hub.md").text)

    assert re.search(rf'<a href="/read\?file={files}/restic.md[^"]*"[^>]*>restic</a>', text)
    assert re.search(rf'<a href="/read\?file={files}/plan.org&amp;line=4#passage"[^>]*>the plan</a>', text)
    assert re.search(r'<span class="broken" title="[^"]+">nowhere</span>', text)
    assert "Linked from" in text


def test_links_within_a_document(browser: Browser, files: Path) -> None:
    """Links to headings and footnotes name elements that are there, whoever wrote them."""
    text = document(browser.read(files / "bread.md").text)
    ids = set(re.findall(r' id="([^"]+)"', text))
    within = [one for one in re.findall(r' href="#([^"]+)"', text) if one.startswith("d-")]

    assert {"d-sour-dough", "d-sour-dough-1", "d-fn1", "d-fnref1"} <= ids
    assert sorted(within) == ["d-fn1", "d-fnref1", "d-sour-dough-1"]


def test_addresses_in_texts_are_links(browser: Browser, files: Path) -> None:
    """Web addresses lead away in prose and mails, without what follows them in a sentence; in code they are text."""
    bread, mail = (document(browser.read(files / name).text) for name in ("bread.md", "mail.eml"))

    assert '<a href="https://example.org/flour_(wheat)" rel="noopener noreferrer">' in bread
    assert '<a href="https://example.org/own" rel="noopener noreferrer">https://example.org/own</a>' in bread
    assert "example.org/code</span>" not in bread
    assert bread.count('<a href="https://example.org') == 2
    assert '<a href="https://example.org/shed?a=1&amp;b=2"' in mail


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("(see https://a.org/b_(c)).", "https://a.org/b_(c)"),
        ("https://a.org/(b)), and", "https://a.org/(b)"),
        ("[https://a.org/b]!?", "https://a.org/b"),
        ("https://a.org/(b.)", "https://a.org/(b.)"),
    ],
)
def test_end_of_an_address(text: str, address: str) -> None:
    """What ends the sentence is no part of it, and a bracket only where it was opened in it."""
    assert f'<a href="{address}">{address}</a>' in linked_text(text)


def test_what_follows_an_address_is_read_once() -> None:
    """However long it is: it took time by the square of it."""
    begin = time.process_time()
    linked_text(f"https://a.org{')' * 200_000}")
    assert time.process_time() - begin < 2


def test_names_of_headings_are_distinct() -> None:
    """Those that end in a number and those that are numbered do not meet; one without letters has none."""
    file = KnownFile(1, "/notes", "a.md", FileStat(0, 0, 0, 0, 0), b"", 0, "done")
    html = markdown(Excerpt(file, "# A\n\n# A 1\n\n# A\n\n# A\n\n# !\n"))
    assert re.findall(r' id="([^"]*)"', html) == ["a", "a-1", "a-2", "a-3"]


def test_place_of_what_is_marked(browser: Browser, files: Path) -> None:
    """The picture of a page says where on its height the passage begins; without a passage it says nothing."""
    file = quote(str(files / "harbour.pdf"))
    line = re.search(r"&amp;line=(\d+)#passage", browser.get("/?q=lighthouse+keeper+gannets+fog").text)
    assert line

    marked = browser.get(f"/page?file={file}&page=2&line={line[1]}").headers["kb-marked"]

    assert 0 < float(marked) < 0.5
    assert "kb-marked" not in browser.get(f"/page?file={file}&page=2").headers


def test_document_alone(browser: Browser, files: Path) -> None:
    """Without the results beside it a document keeps the search, to which it leads back."""
    text = browser.read(files / "restic.md", q="restic", alone=1).text

    assert 'class="finder reading alone"' in text
    assert 'class="hit-item' not in text
    assert '<a class="close" href="/?q=restic"' in text


def test_links_are_listed_once(browser: Browser, files: Path) -> None:
    """A file that links twice stands once in the list."""
    text = browser.read(files / "twice.md").text

    assert re.findall(r'Links to <span class="count">(\d)</span>', text) == ["1"]


def test_images_that_are_not_shown(browser: Browser, files: Path) -> None:
    """Of an image that is elsewhere or missing there is its text, and nothing that a browser would ask for."""
    text = document(browser.read(files / "bread.md").text)

    assert "<img" not in text
    assert re.findall(r'<span class="no-image" title="[^"]+">([^<]+)</span>', text) == ["Build", "The oven", "image"]


def test_images_come_through_the_daemon(browser: Browser, files: Path) -> None:
    """An image beside a note is shown, from an address of the page."""
    text = browser.read(files / "hub.md").text
    address = re.search(r'<img src="(/image\?[^"]+)" alt="The dial"', text)
    assert address

    answer = browser.get(address[1].replace("&amp;", "&"))

    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert answer.body == (files / "dial.png").read_bytes()


def test_org(browser: Browser, files: Path) -> None:
    """Org is rendered: states, tags, emphasis, nested lists and links."""
    text = document(browser.read(files / "plan.org", line=2, q="van").text)

    assert '<span class="state">TODO</span>' in text
    assert "<i><mark>van</mark> rental</i>" in text
    assert re.search(rf'<a href="/read\?q=van&amp;file={files}/hub.md"[^>]*>the hub</a>', text)
    assert re.search(r"kitchen<ul><li[^>]*>plates and glasses", text)


@pytest.mark.parametrize(
    ("line", "html"),
    [
        ("Set =a= or =b=.", "Set <code>a</code> or <code>b</code>."),
        ("*x* and *y z*", "<b>x</b> and <b>y z</b>"),
        ("/a *b* c/", "<i>a <b>b</b> c</i>"),
        ("=*a*= and 2*3*4, * alone", "<code>*a*</code> and 2*3*4, * alone"),
        ("=key=value= and ~/x/~", "<code>key=value</code> and <code>/x/</code>"),
        ("*never closed and _nor this", "*never closed and _nor this"),
    ],
)
def test_org_marks(line: str, html: str) -> None:
    """Marked text ends with the first mark of its kind that can end it."""
    assert org(org_source(line)) == f'<p data-line="1">{html}</p>\n'


def test_org_headings() -> None:
    """A heading has a state, a title and tags; colons within a title are its own."""
    html = org(org_source("** TODO Call :home: again  :phone:today:  \n* :only:\n* a : b :"))

    assert '<span class="state">TODO</span> Call :home: again <span class="labels">phone today</span></h2>' in html
    assert '<h1 data-line="2"> <span class="labels">only</span></h1>' in html
    assert '<h1 data-line="3">a : b :</h1>' in html


@pytest.mark.parametrize(
    "text",
    ["*a " * 60_000, "*/_+" * 40_000, f"* a{' ' * 150_000}b", f"|{'-' * 150_000}x", f"* {':a ' * 60_000}"],
    ids=["marks", "nested marks", "spaces", "rule", "tags"],
)
def test_org_is_read_in_one_pass(text: str) -> None:
    """However long a line is: it took time by the square of it, and marks within marks ended with an error."""
    begin = time.process_time()
    org(org_source(text))
    assert time.process_time() - begin < 4


def test_org_lists_without_end() -> None:
    """Items below one another a thousand times are all shown; they ended with an error of Python's."""
    html = org(org_source("\n".join(f"{' ' * level}- item {level}" for level in range(1_000)) + "\n- last"))

    assert html.count("<li") == 1_001
    assert html.index("item 999") < html.index("last")
    assert html.count("<ul>") == html.count("</ul>") < 50


def org_source(text: str) -> Excerpt:
    """A text of an Org file."""
    return Excerpt(KnownFile(1, "/notes", "a.org", FileStat(0, 0, 0, 0, 0), b"", 0, "done"), text)


def test_code(browser: Browser, files: Path) -> None:
    """Source code is coloured and has line numbers."""
    text = document(browser.read(files / "code" / "rank.py", line=4).text)

    assert re.search(r'class="line hit" data-line="4"><span class="num">4</span><span class="k">def</span>', text)


def test_table(browser: Browser, files: Path) -> None:
    """Comma-separated values are a table."""
    text = document(browser.read(files / "ducks.csv", line=2).text)

    assert "<th>colour</th>" in text
    assert "<td>mallard</td><td>green</td>" in text


def test_part_of_a_table(browser: Browser, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long table the rows around the passage are shown, below the names of its columns."""
    monkeypatch.setattr(read, "_WHOLE_TABLE", 10)
    monkeypatch.setattr(read, "_ROWS_AROUND", 1)

    text = document(browser.read(files / "ducks.csv", line=3).text)
    rows = re.findall(r'<tr[^>]* data-line="(\d)"', text)

    assert rows == ["1", "2", "3"]
    monkeypatch.setattr(read, "_ROWS_AROUND", 0)
    text = document(browser.read(files / "ducks.csv", line=3).text)
    assert re.findall(r'<tr[^>]* data-line="(\d)"', text) == ["1", "3"]
    assert "<th>name</th><th>colour</th>" in text
    assert "This document is long" in text


def test_sheet(browser: Browser, files: Path) -> None:
    """A workbook is a table with its columns."""
    text = document(browser.read(files / "cargo.xlsx", line=1).text)

    assert "<th>ship</th><th>tons</th>" in text
    assert "<td>Falke</td><td>80</td>" in text


def test_notebook(browser: Browser, files: Path) -> None:
    """Markdown is rendered, code keeps its indents, what it printed stands below, and the passage is marked."""
    text = document(browser.read(files / "tides.ipynb").text)

    assert "<strong>high</strong>" in text
    assert '<p class="place">cell 2</p>' in text
    assert re.search(r'<span class="k">def</span>.*?height', text)
    assert re.search(r'>    <span class="k">return</span>', text)
    assert '<pre class="output">12 metres above zero of the chart</pre>' in text
    assert "<script>alert" not in text

    line = re.search(r"tides.ipynb&amp;line=(\d+)#passage", browser.get("/?q=metres+above+zero+of+the+chart").text)
    assert line
    opened = browser.read(files / "tides.ipynb", q="metres above zero of the chart", line=line[1]).text
    assert re.search(r'class="output hit">12 <mark>metres</mark>', opened)


@pytest.mark.parametrize("name", ["_LARGEST", "_MOST_CELLS", "_MOST_CHARACTERS"])
def test_large_notebook(browser: Browser, files: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is shown as its extracted text."""
    monkeypatch.setattr(notebook, name, 1)

    text = document(browser.read(files / "tides.ipynb").text)

    assert "form-document" in text
    assert "12 metres above zero of the chart" in text


@pytest.mark.parametrize(
    ("kind", "form"), [("org", "org"), ("rst", "text"), ("csv", "table"), ("data", "code"), ("latex", "code")]
)
def test_form_of_a_text(kind: str, form: str) -> None:
    """Some kinds have their own; other prose is text, and what is no prose is code."""
    assert read.form_of(kind)[0] == form


@pytest.mark.parametrize(("prose", "form"), [(True, "text"), (False, "code")])
def test_form_of_a_new_format_follows_from_its_row(monkeypatch: pytest.MonkeyPatch, *, prose: bool, form: str) -> None:
    """The page need not be told of it."""
    recipe = Format(("recipe",), (".rcp",), "recipe", "recipes", prose=prose)
    monkeypatch.setattr(read, "REGISTRY", Registry((*REGISTRY.rows, recipe), REGISTRY.text))

    assert read.form_of("recipe")[0] == form


def test_mail(browser: Browser, files: Path) -> None:
    """A mail has its headers and its text."""
    text = document(browser.read(files / "mail.eml").text)

    assert "<dt>From</dt><dd>Ada &lt;ada@example.org&gt;</dd>" in text
    assert "The keys hang behind the door." in text


def test_word(browser: Browser, files: Path) -> None:
    """A Word document is its headings and paragraphs."""
    text = document(browser.read(files / "report.docx", line=1).text)

    assert re.search(r"<h\d[^>]*>Weather</h\d>", text)
    assert "Storms are rare in June." in text


def test_pdf_page(browser: Browser, files: Path) -> None:
    """A PDF is shown at the page of the passage, as a picture on which it is marked, with pages before and after."""
    found = browser.get("/?q=lighthouse+keeper+counts+gannets").text
    address = re.search(rf'href="(/read\?[^"]*{files}/harbour.pdf[^"]*)"', found)
    assert address
    text = document(browser.get(address[1].replace("&amp;", "&").partition("#")[0]).text)
    picture = re.search(r'src="(/page\?[^"]+)"', text)
    assert picture
    marked = browser.get(picture[1].replace("&amp;", "&"))
    plain = browser.get(f"/page?file={quote(str(files / 'harbour.pdf'))}&page=2")

    assert "gannets in the fog" in text
    assert 'rel="prev"' in text
    assert 'rel="next"' in text
    assert marked.headers["content-type"] == "image/png"
    assert marked.body.startswith(b"\x89PNG")
    assert plain.status == 200
    assert marked.body != plain.body


def test_pictures_of_pages_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last pages are kept, as many as fit; a book of photographs took a quarter of a gigabyte."""
    drawn: list[int] = []

    class Drawing:
        def extract(self, _module: str, name: str, _data: bytes) -> SimpleNamespace:
            drawn.append(msgspec.json.decode(name, type=Wanted).page)
            picture = Drawn(base64.b64encode(bytes(1_000_000)).decode(), 9, 0, 0.0)
            return SimpleNamespace(text=msgspec.json.encode(picture).decode())

    monkeypatch.setattr(pictures, "_new_sandbox", Drawing)
    monkeypatch.setattr(pictures, "_KEPT_BYTES", 2_500_000)
    pages = pictures.Pages(lambda _folder, _path: b"")
    file = KnownFile(1, "/notes", "a.pdf", FileStat(0, 0, 0, 0, 0), b"", 0, "done")

    for page in (1, 2, 3, 3, 2, 1):
        assert len(pages.draw(file, page).png) == 1_000_000
    assert drawn == [1, 2, 3, 1]


def test_page_that_is_not_there(browser: Browser, files: Path) -> None:
    """A page beyond the last one is the last one; as a picture it is refused with a sentence."""
    text = document(browser.read(files / "harbour.pdf", page=99).text)

    assert 'value="3"' in text
    assert browser.get(f"/page?file={quote(str(files / 'harbour.pdf'))}&page=99").status == 503


def test_hits_of_a_document(browser: Browser, files: Path) -> None:
    """Within a document, the hits of the question are counted, and lead up and down."""
    text = document(browser.read(files / "long.md", line=43, q="Sentence 10 of the long document").text)

    assert "Hits in this document" in text
    assert 'id="hit-previous"' in text
    assert 'id="hit-next"' in text


def test_long_document_in_parts(browser: Browser, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long document the lines around the passage are shown, and the rest is a link away."""
    monkeypatch.setattr(read, "_WHOLE", 500)
    monkeypatch.setattr(read, "_LINES_AROUND", 20)
    text = document(browser.read(files / "long.md", line=103).text)

    assert "Sentence 25 of" in text
    assert "Sentence 1 of" not in text
    assert "Earlier lines" in text
    assert "Later lines" in text


def test_a_line_without_end_is_shortened(browser: Browser, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long line of a long document is shown in part, and says how much is left out; its lines stay where they are."""
    assert "more characters)" not in document(browser.read(files / "long.md").text)
    monkeypatch.setattr(read, "_LARGEST", 500)
    monkeypatch.setattr(read, "_LONGEST_LINE", 10)
    assert "more characters)" in document(browser.read(files / "long.md").text)

    assert read._shortened("short\nand sweet") == "short\nand sweet"
    assert read._shortened(f"a\n{'b' * 1_000}\nc") == f"a\n{'b' * 166} … (834 more characters)\nc"


def test_outline(browser: Browser, files: Path) -> None:
    """The headings of a document lead to their places."""
    text = document(browser.read(files / "restic.md").text)

    assert re.search(rf'<a href="/read\?file={files}/restic.md&amp;line=\d+#passage">Restore</a>', text)


def test_quote_and_place(browser: Browser, files: Path) -> None:
    """The passage can be copied with its source, the place as editors take it."""
    text = browser.read(files / "letter.txt", line=3).text

    assert f'data-copy="{files}/letter.txt:1"' in text
    assert "&gt; the harvest of apples" in text


def test_similar_files(browser: Browser, files: Path) -> None:
    """The files most like one are named, not itself."""
    text = browser.get(f"/similar?file={quote(str(files / 'hub.md'))}&part=1").text

    assert "restic.md" in text
    assert ">Backups<" not in text


def test_hostile_note_does_nothing(browser: Browser, files: Path) -> None:
    """Nothing of a hostile note can run, load, send, cover the page or lead into it."""
    text = document(browser.read(files / "hostile.md", line=1, q="rotten fish").text)
    text = text[text.index('class="content') :]

    assert "Rotten</mark> <mark>fish</mark> smells." in text
    for tag in ("script", "svg", "iframe", "object", "form", "input", "style", "base", "meta", "link", "video"):
        assert not re.search(rf"<{tag}\b", text), tag
    assert not re.search(r"<[^>]*\son\w+=", text)
    assert not re.search(r"<[^>]*\sstyle=", text)
    assert not re.search(r'(?:href|src)="(?!/read\?|/image\?|#|https?:)', text)
    assert not re.search(r'src="http', text)
    assert 'class="bar' not in text
    assert 'id="results"' not in text
    assert "javascript:" not in re.sub(r">[^<]*<", "><", text)
    assert 'href="/open' not in text


OUTSIDE = [
    "../secret.md",
    "{parent}/secret.md",
    "{parent}/notes/../secret.md",
    "{files}/../secret.md",
    "{files}/leak.md",
    "leak.md",
    "file://{parent}/secret.md",
    "/etc/passwd",
    "//etc/passwd",
    "%2e%2e/secret.md",
    "..\\secret.md",
    ".hidden/dial.png",
    "hub.md\0.png",
    "~/secret.md",
    "",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_outside_is_read(browser: Browser, files: Path, name: str) -> None:
    """No spelling of a name reads a file outside of the folders, or one that is not in the index."""
    name = name.format(files=files, parent=files.parent)
    for address in ("/read", "/page", "/similar", "/image"):
        answer = browser.get(f"{address}?file={quote(name)}&page=1&src=dial.png")
        assert "password" not in answer.text
        assert b"PNG" not in answer.body
    assert browser.post("/launch", {"file": name}).status == 409


@pytest.mark.parametrize(
    "source",
    [
        "../secret.png",
        "{parent}/secret.png",
        "leak.png",
        ".hidden/dial.png",
        "code/../.hidden/dial.png",
        "./.hidden/dial.png",
        "drawing.svg",
        "hub.md",
        "mail.eml",
        "..%2fsecret.png",
        "..\\secret.png",
        "file://{parent}/secret.png",
        "",
        ".",
        "dial.png\0",
    ],
)
def test_only_images_inside_are_served(browser: Browser, files: Path, source: str) -> None:
    """Images outside of the folder, hidden ones, links, drawings and other files are not served as images."""
    source = source.format(parent=files.parent)
    answer = browser.get(f"/image?file={quote(str(files / 'hub.md'))}&src={quote(source)}")

    assert answer.status in {400, 404} or (source.endswith("\0") and answer.body == (files / "dial.png").read_bytes())


def test_open_in_editor(browser: Browser, running: Served, files: Path) -> None:
    """A file of the index is opened in the editor at its line."""
    running.daemon.opened.clear()
    answer = browser.post("/launch", {"file": str(files / "hub.md"), "line": "7"})

    assert answer.status == 200
    assert running.daemon.opened == [(str(files / "hub.md"), 7, 0, "markdown")]
