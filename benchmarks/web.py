"""The page in a browser at 10,000 files: from a key to results on the screen, the first page, PDF pages, the map."""

from __future__ import annotations

import os
import shutil
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from benchmarks.child import progress
from benchmarks.corpora import write_small_notes
from benchmarks.daemon import program, succeeded
from benchmarks.made_pdf import pdf
from benchmarks.table import Row, at_most
from kb.evaluation.bench import Times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Page, Request

    from benchmarks.bench import Bench

NAME: Final = "web"
_FILES: Final = 10_000
_TYPED: Final = 60
_PAGES: Final = 40
_LOADS: Final = 10
_MAP_MS: Final = 300_000
# Keys after which the field is emptied.
_LINE: Final = 20
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
# A key, and the time until the results by words and by meaning are on the screen, in milliseconds.
_KEY: Final = """async (key) => {
  const field = document.querySelector("#q");
  performance.clearMarks();
  field.value += key;
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  const since = performance.now();
  const marks = (name) => performance.getEntriesByName(name).map((one) => one.startTime - since);
  while (!marks("kb-results").length && performance.now() - since < 10000) {
    await new Promise((done) => setTimeout(done, 5));
  }
  const [words, meaning] = [marks("kb-words")[0], marks("kb-results")[0]];
  return [words ?? meaning ?? 10000, meaning ?? 10000];
}"""
_LOADED: Final = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const all = [page, ...performance.getEntriesByType("resource")];
  const bytes = all.reduce((sum, one) => sum + one.transferSize, 0);
  return { paint: paint ? paint.startTime : page.loadEventEnd, load: page.loadEventEnd, bytes };
}"""


# When the map is on the screen, in milliseconds since the address was followed.
_DRAWN: Final = """async () => {
  const marks = () => performance.getEntriesByName("kb-map");
  while (!marks().length && performance.now() < 60000) await new Promise((done) => setTimeout(done, 5));
  return marks()[0]?.startTime ?? 60000;
}"""


def rows(work: Bench) -> list[Row]:
    """The rows, or why they were skipped."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return [Row(NAME, "the page", "skipped: Playwright is not installed")]
    browser = next((path for name in _BROWSERS if (path := shutil.which(name))), "")
    if not browser:
        return [Row(NAME, "the page", "skipped: there is no Chromium (apt install chromium)")]
    docs, store = work.folder / "page-notes", work.folder / "page-store"
    _write(docs, work.scaled(_FILES))
    kb = program(docs, store, work.threads)
    progress(f"indexing {work.scaled(_FILES)} files for the page")
    succeeded(kb("index"))
    succeeded(kb("watch", "--background"))
    try:
        link = succeeded(kb("web", "--print")).out.strip()
        with sync_playwright() as driver:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            chrome = driver.chromium.launch(executable_path=browser, args=arguments)
            try:
                page = chrome.new_page(viewport={"width": 1280, "height": 800})
                return _measured(page, link, docs / "harbour.pdf")
            finally:
                chrome.close()
    finally:
        kb("watch", "--stop")


def _measured(page: Page, link: str, document: Path) -> list[Row]:
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(link))
    elsewhere: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith(origin):
            elsewhere.append(request.url)

    page.on("request", asked)
    # Nothing is in the cache yet.
    page.goto(link)
    size = page.evaluate(_LOADED)["bytes"]
    paints = [_load(page, f"{origin}/")["paint"] for _ in range(_LOADS)]
    # The first search of a daemon opens the vector index.
    page.goto(f"{origin}/?q=first")
    words, meaning = [], []
    for at, key in enumerate(islice(cycle(_question(document.parent)), _TYPED)):
        if at % _LINE == 0:
            page.goto(f"{origin}/")
        by_words, by_meaning = page.evaluate(_KEY, key)
        words.append(by_words)
        meaning.append(by_meaning)
    address = f"{origin}/read?file={quote(str(document))}&page="
    made, shown = _map(page, origin)
    pages = [_load(page, f"{address}{number}")["load"] for number in range(1, _PAGES + 1)]
    return [
        at_most(NAME, "key to results by words on the screen, p95", _p95(words), 60, "ms", digits=0),
        at_most(NAME, "key to results by meaning on the screen, p95", _p95(meaning), 150, "ms", digits=0),
        at_most(NAME, "first paint of the first page, p95", _p95(paints), 300, "ms", digits=0),
        at_most(NAME, "the first page with all that it loads", size / 1000, 150, "kB", digits=0),
        at_most(NAME, "a page of a PDF file with its picture, p95", _p95(pages), 250, "ms", digits=0),
        at_most(NAME, "the map: made, once", made, 20, "s", digits=1),
        at_most(NAME, "the map: from a click to points on the screen, p95", shown, 1, "s"),
        at_most(NAME, "requests to another origin", len(elsewhere), 0, digits=0),
    ]


def _map(page: Page, origin: str) -> tuple[float, float]:
    """Return how long the map takes to be made, on the first visit, and to be shown after that, in seconds."""
    began = time.monotonic()
    page.goto(f"{origin}/map")
    page.locator("#map-canvas[data-files]:not([data-files='0'])").wait_for(timeout=_MAP_MS)
    made = time.monotonic() - began
    shown = []
    for _ in range(_LOADS):
        page.goto(f"{origin}/map")
        shown.append(page.evaluate(_DRAWN) / 1000)
    return made, _p95(shown)


def _load(page: Page, address: str) -> dict[str, float]:
    page.goto(address)
    found: dict[str, float] = page.evaluate(_LOADED)
    return found


def _p95(values: Sequence[float]) -> float:
    return Times(tuple(values)).p95


def _question(docs: Path) -> str:
    """Words of the notes, to be typed letter by letter."""
    return " ".join(" ".join(one.read_text("utf-8").split()[:2]) for one in sorted(docs.rglob("*.md"))[::700])


def _write(docs: Path, count: int) -> None:
    """Write small notes, and a PDF file of many pages."""
    write_small_notes(docs, count - 1)
    lines = [
        [f"Page {page}", *(f"Line {line} tells of ship {page * line}." for line in range(40))] for page in range(_PAGES)
    ]
    (docs / "harbour.pdf").write_bytes(pdf(lines))
