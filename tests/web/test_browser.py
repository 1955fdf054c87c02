"""The page in a real browser, as people use it: by mouse, by keys, without scripts, narrow, dark, and under attack."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from chromium import chromium
from page_server import served

from kb.records import FileEvent, IndexProgress

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from page_server import Served
    from playwright.sync_api import Browser, BrowserContext, Dialog, Page

pytest_plugins = ["page_browser"]

expect = playwright.expect
_MILLISECONDS = 60_000
expect.set_options(timeout=_MILLISECONDS)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
AXE = Path(__file__).parent / "axe" / "axe.min.js"
VIEWS = [
    "/",
    "/?q=restic",
    "/?q=quantum+chromodynamics+lattice",
    "/?tag=tools",
    "/ask?q=restic",
    "/tags",
    "/timeline?tag=tools",
    "/map",
    "/map?group=0",
    "/note",
    "/status",
    "/keys",
]
GRAPH = "/graph?steps=2&file="
READ = [
    "hub.md&line=5&q=restic",
    "wide.md",
    "plan.org",
    "harbour.pdf&page=2",
    "cargo.xlsx",
    "tides.ipynb",
    "code/rank.py&line=4",
    "mail.eml",
    "secret.md",
]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """A browser."""
    path = chromium()
    if not path:
        pytest.skip("there is no Chromium, and none can be installed here: apt install chromium")
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(chrome: Browser, running: Served) -> Iterator[Callable[..., Page]]:
    """Opens windows that were let in; each fails the test for an error of a script or a request to elsewhere."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def asked(address: str) -> None:
        if not address.startswith(running.url):
            wrong.append(f"asked {address}")

    def said(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open_(address: str = "/", **given: Any) -> Page:
        context = chrome.new_context(**{"viewport": {"width": 1280, "height": 800}, **given})
        contexts.append(context)
        context.set_default_timeout(_MILLISECONDS)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("request", lambda one: asked(one.url))
        page.on("dialog", said)
        page.goto(running.page.new_link())
        if address != "/":
            page.goto(running.url + address)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def read(files: Path, rest: str) -> str:
    """The address of a document, from its name and the other fields."""
    name, _, fields = rest.partition("&")
    return f"/read?file={quote(str(files / name))}&{fields}"


def map_made(visit: Callable[..., Page], running: Served) -> None:
    """Have the map made, which is once for all tests."""
    if not running.page.map.wait(0) or not running.page.map.made:
        visit("/map").close()
        assert running.page.map.wait(120)


def hears(page: Page, running: Served) -> None:
    """Wait until the window is told what happens: it follows the events, or hears from another that does."""
    line = page.locator("#live")
    for number in range(200):
        if "999" in line.inner_text():
            return
        running.events.publish("progress", IndexProgress(number, 999, 0, 0, 0, 0, 0.5))
        page.wait_for_timeout(300)
    pytest.fail("the window hears nothing")


def drawn(page: Page) -> int:
    """Wait until the map is drawn; returns how many files are on it."""
    page.locator("#map-canvas[data-files]:not([data-files='0'])").wait_for()
    return int(page.locator("#map-canvas").get_attribute("data-files") or 0)


def test_find_and_read(visit: Callable[..., Page]) -> None:
    """Results appear while typing, a click shows the document at its passage, and the back button leads back."""
    page = visit()
    page.locator("#q").press_sequentially("copies the database every night", delay=20)
    expect(page.locator("#results .summary")).to_contain_text("ranked by meaning")

    assert page.locator("#results a.open").first.inner_text() == "Backups"
    page.wait_for_url(re.compile("q=copies"))
    assert page.locator("#results mark").count() > 0

    page.locator("#results a.open").first.click()
    page.locator("#document h1").first.wait_for()
    assert page.locator("#document .hit mark").count() > 0
    assert page.locator("#results .chosen").count() == 1
    assert "line=" in page.url

    page.go_back()
    expect(page.locator("body")).not_to_have_class(re.compile("reading"))
    assert page.locator("#q").input_value() == "copies the database every night"
    page.go_forward()
    page.locator("#document .hit").first.wait_for()


def test_address_can_be_linked(visit: Callable[..., Page]) -> None:
    """The address of a search with mode and filters shows the same in another window."""
    page = visit("/?q=restic&mode=hybrid&tag=tools")

    assert page.locator("#mode").input_value() == "hybrid"
    assert page.locator("#facets a.chosen .label").inner_text() == "tools"
    page.locator("#facets a.chosen").click()
    page.wait_for_url(re.compile(r"\?q=restic&mode=hybrid$"))
    page.select_option("#mode", "keyword")
    expect(page.locator("#results .summary")).to_contain_text("ranked by words")
    page.wait_for_url(re.compile("mode=keyword"))


def test_filters_beside_what_is_typed_lead_to_it(visit: Callable[..., Page]) -> None:
    """They keep the question, also after another one was typed."""
    page = visit()
    for typed in ("type:pdf harbour", "copies -disk"):
        page.locator("#q").fill("")
        page.locator("#q").press_sequentially(typed, delay=20)
        link = page.locator("#facets a").first
        expect(link).to_have_attribute("href", re.compile(rf"[?&]q={re.escape(quote(typed, safe=':'))}&"))

    link.click()
    page.wait_for_url(re.compile(r"\?q=copies%20-disk&"))
    assert page.locator("#q").input_value() == "copies -disk"
    expect(page.locator("#results .summary")).to_be_visible()


def test_results_are_below_the_bar(visit: Callable[..., Page]) -> None:
    """Enter leads to the results from their first line on, in a window that is lower than they are."""
    page = visit("/", viewport={"width": 1000, "height": 300})
    field = page.locator("#q")
    distance_if_there = """() => {
        const first = document.querySelector("#results .summary")?.getClientRects()[0];
        const bar = document.querySelector("header.bar").getBoundingClientRect();
        return first ? {distance: first.top - bar.height} : null;
    }"""
    for typed in ("where do the backups go", "restic"):
        field.fill(typed)
        expect(page.locator("#results .summary")).to_be_visible()
        field.press("Enter")
        expect(page.locator("#results")).to_be_focused()
        # At times there are none: they are replaced once the best sentences come.
        distance: float = page.wait_for_function(distance_if_there).json_value()["distance"]
        assert distance >= 0
        page.mouse.wheel(0, 400)


def test_name_of_the_mode_is_not_cut(visit: Callable[..., Page]) -> None:
    """The list of modes has room for the name of the mode that is set where nobody chose one."""
    page = visit("/?q=restic", viewport={"width": 1000, "height": 600})
    natural = """() => {
        const copy = document.querySelector("#mode").cloneNode(true);
        for (const option of [...copy.options]) if (!option.selected) option.remove();
        copy.style.cssText = "position: absolute; max-width: none; flex: none";
        document.querySelector("#mode").after(copy);
        return copy.offsetWidth;
    }"""
    shown = page.evaluate("document.querySelector('#mode').offsetWidth")

    assert page.evaluate(natural) <= shown


def test_slash_in_the_focused_field(visit: Callable[..., Page]) -> None:
    """The field has the focus at first: the key that leads to it writes nothing, until something is written."""
    page = visit()
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("/")
    page.keyboard.type("and/or")

    assert page.evaluate("document.activeElement.value") == "and/or"


def test_new_results_leave_the_focus_on_the_hit(visit: Callable[..., Page]) -> None:
    """Those by meaning come after those by words, and somebody may have gone to one of these."""
    page = visit("/?q=restic+backups")
    page.locator("#results a.open").first.wait_for()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    before = page.evaluate("document.activeElement.href")
    page.evaluate("document.querySelector('#results').firstElementChild.id = 'before'")
    page.evaluate("document.querySelector('#search [name=q]').dispatchEvent(new Event('input', { bubbles: true }))")
    expect(page.locator("#before")).to_have_count(0)
    expect(page.locator("#results .summary")).to_contain_text("ranked by meaning")

    assert page.evaluate("document.activeElement.href") == before


def test_by_keys_alone(visit: Callable[..., Page], running: Served) -> None:
    """Search, choose, read, open in the editor, copy, close and help, without a mouse."""
    page = visit()
    page.locator("body").press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("restic backups")
    expect(page.locator("#results .summary")).to_contain_text("ranked by meaning")
    page.keyboard.press("ArrowDown")
    first = page.evaluate("document.activeElement.href")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.href")
    assert first != second
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.locator("#document .hit").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "document"

    running.daemon.opened.clear()
    page.keyboard.press("e")
    expect(page.locator("#toast")).to_contain_text("editor")
    assert len(running.daemon.opened) == 1
    page.keyboard.press("Escape")
    expect(page.locator("body")).not_to_have_class(re.compile("reading"))

    page.keyboard.press("?")
    page.locator("dialog kbd").first.wait_for()
    assert page.locator("dialog kbd").count() >= 8
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_ask(visit: Callable[..., Page]) -> None:
    """A question is answered by quotes that lead to their places."""
    page = visit("/ask")
    page.locator("#q").fill("when do ships arrive at the pier")
    page.locator("#q").press("Enter")
    page.locator(".quotes a").first.click()
    page.locator("#document .page-picture").wait_for()

    assert "harbour.pdf" in page.locator("#document .path").first.inner_text()


def test_write(visit: Callable[..., Page], files: Path, running: Served) -> None:
    """A note that was written is found a moment later."""
    page = visit("/note")
    page.locator("#note-title").fill("Otters")
    page.locator("#note-text").fill("Otters hold hands while they sleep.")
    page.locator("form.note button").click()
    page.locator("a.button").click()
    written = page.locator("#document .path").first.inner_text()
    try:
        assert page.locator(".content").inner_text().count("Otters hold hands") == 1
        page.goto(page.url.partition("/read")[0] + "/?q=which+animals+hold+hands")
        assert page.locator("#results a.open").first.inner_text() == "Otters"
    finally:
        (files / written).unlink()
        with running.using() as kb:
            kb.index()


def test_without_scripts(visit: Callable[..., Page]) -> None:
    """Find, facets, read and pages work in a browser that runs no scripts."""
    page = visit(java_script_enabled=False)
    page.locator("#q").fill("lighthouse keeper gannets")
    page.locator("#q").press("Enter")
    assert page.locator("#results a.open").count() > 0
    page.locator("#facets a", has_text="pdf").first.click()
    assert "type=pdf" in page.url
    page.locator("#results a.open").first.click()
    assert page.locator("#document .page-picture").is_visible()
    page.locator("#document .pages a[rel=next]").click()
    assert "page=3" in page.url
    page.locator("#document .close").click()
    assert page.locator("#results a.open").count() > 0


def test_map(visit: Callable[..., Page], running: Served) -> None:
    """The map is drawn, coloured, zoomed and selected in by keys and mouse, and a search stays within the selection."""
    map_made(visit, running)
    page = visit("/map")
    number = drawn(page)
    assert page.locator("#map-key li").count() > 0
    page.select_option("#map-colour", "age")
    expect(page.locator("#map-key")).to_contain_text("this week")
    expect(page.locator("#map-list")).not_to_contain_text("being made")

    page.locator("#map-canvas").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#map-note")).to_be_visible()
    seen = {page.locator("#map-note").inner_text()}
    for key in ("ArrowLeft", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
        seen.add(page.locator("#map-note").inner_text())
    assert len(seen) > 1
    page.keyboard.press("s")
    expect(page.locator("#map-count")).to_have_text(f"{number} selected")
    for _ in range(8):
        page.keyboard.press("+")
    page.keyboard.press("s")
    expect(page.locator("#map-count")).not_to_have_text(f"{number} selected")
    page.keyboard.press("0")
    page.keyboard.press("x")
    expect(page.locator("#map-selected")).to_be_hidden()

    box = page.locator("#map-canvas").bounding_box()
    assert box
    page.locator("[data-map=area]").click()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=3)
    page.mouse.up()
    expect(page.locator("#map-count")).to_have_text(f"{number} selected")
    page.locator("[data-group]").first.click()
    chosen = int((page.locator("#map-count").inner_text()).split()[0])
    assert 0 < chosen <= number
    page.locator("#map-selected input[type=search]").fill("where do the backups go")
    page.locator("#map-selected button", has_text="Find").click()
    page.wait_for_url(re.compile("within="))
    expect(page.locator("#results")).to_contain_text(f"Only {chosen} selected file")
    page.locator("#q").fill("ships")
    expect(page.locator("#results")).to_contain_text(f"Only {chosen} selected file")
    page.locator("#results .notice a", has_text="Search all files").click()
    expect(page.locator("#results")).not_to_contain_text("selected file")


def test_link_just_after_a_key(visit: Callable[..., Page]) -> None:
    """The search of the link stays, and that of the key does not come back."""
    page = visit("/?q=restic&type=markdown")
    chosen = page.locator("#facets a.chosen")
    expect(chosen).to_be_visible()
    page.evaluate("""() => {
      const field = document.querySelector("#q");
      field.value = "restic b";
      field.dispatchEvent(new InputEvent("input", { bubbles: true }));
      document.querySelector("#facets a.chosen").click();
    }""")
    expect(chosen).to_have_count(0)
    # Longer than a search waits for the next key.
    page.wait_for_timeout(500)
    assert page.url.endswith("/?q=restic")


def test_file_of_the_map(visit: Callable[..., Page], running: Served) -> None:
    """Enter reads the file that the cursor is on."""
    map_made(visit, running)
    page = visit("/map")
    drawn(page)
    page.locator("#map-canvas").press("ArrowDown")
    title = page.locator("#map-note").inner_text().partition(" · ")[0]
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/read"))
    assert title in page.locator("#document h1").first.inner_text() + page.locator("#document .path").first.inner_text()


def test_see_without_scripts(visit: Callable[..., Page], running: Served) -> None:
    """Tags, timeline, the graph of links and the groups of the map lead to files in a browser that runs no scripts."""
    map_made(visit, running)
    page = visit("/tags", java_script_enabled=False)
    page.locator(".tag-list a", has_text="tools").first.click()
    page.locator(".recent a.open", has_text="restic").click()
    page.locator(".around a", has_text="Graph of links").click()
    assert page.locator(".drawing svg rect").count() >= 2
    page.locator(".linked a", has_text="Backups").first.click()
    assert page.locator("#document h1").first.inner_text() == "Backups"
    page.locator("nav a", has_text="Timeline").click()
    page.locator("a[title='May 2024: 1 file']").click()
    assert page.locator(".recent a.open").all_inner_texts() == ["restic"]
    page.locator("nav a", has_text="Map").click()
    assert not page.locator("#map-canvas").is_visible()
    page.locator(".groups h3 a").first.click()
    page.locator(".within input[type=search]").fill("ships")
    page.locator(".within button", has_text="Find").click()
    assert "within=" in page.url


def test_hostile_note(visit: Callable[..., Page]) -> None:
    """A hostile note changes nothing: no script, no style, no request, no window."""
    page = visit("/?q=rotten+fish+smells")
    page.locator("#results a.open", has_text="Rotten fish").first.click()
    page.locator("#document .content").wait_for()
    page.wait_for_timeout(500)

    assert "owned" not in page.title()
    assert page.locator("#document .content").is_visible()
    for selector in (
        "script",
        "svg",
        "iframe",
        "object",
        "form",
        "style",
        "[onclick]",
        "[onerror]",
        "[onload]",
        "[style]",
    ):
        assert page.locator(f"#document .content {selector}").count() == 0, selector
    for link in page.locator("#document .content a[href]").all():
        assert urlsplit(link.get_attribute("href") or "").scheme in {"", "http", "https"}
    assert len(page.context.pages) == 1


def test_stolen_link(chrome: Browser, running: Served) -> None:
    """A link that was followed once lets nobody else in."""
    link = running.page.new_link()
    one, other = chrome.new_context(), chrome.new_context()
    try:
        first, second = one.new_page(), other.new_page()
        first.goto(link)
        answer = second.goto(link)
        assert first.locator("#q").is_visible()
        assert answer is not None
        assert answer.status == 403
        assert second.goto(running.url + "/?q=restic").status == 401  # type: ignore[union-attr]  # there is an answer
    finally:
        one.close()
        other.close()


def test_foreign_host(chrome: Browser, running: Served) -> None:
    """A name that leads to this machine is refused, cookie or not."""
    port = urlsplit(running.url).port
    context = chrome.new_context()
    try:
        page = context.new_page()
        answer = page.goto(f"http://rebound.localhost:{port}/")
        assert answer is not None
        assert answer.status == 421
    finally:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours(visit: Callable[..., Page], scheme: str) -> None:
    """The page follows the colours of the system."""
    page = visit("/?q=restic", color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    lightness = sum(int(one) for one in re.findall(r"\d+", colour)[:3])

    assert lightness > 600 if scheme == "light" else lightness < 150


def test_narrow(visit: Callable[..., Page], files: Path) -> None:
    """In a narrow window nothing is wider than it, and a document takes the place of the results."""
    others = ["/?q=restic", "/tags", "/timeline", "/map", GRAPH + quote(str(files / "hub.md"))]
    for address in [*others, *(read(files, one) for one in READ)]:
        page = visit(address, viewport={"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
    page = visit(read(files, READ[0]), viewport={"width": 360, "height": 740})
    assert not page.locator("#results").is_visible()
    assert page.locator("#document").is_visible()


def test_bar(visit: Callable[..., Page]) -> None:
    """Where a document stands beside the results, the bar above them has one line."""
    page = visit("/?q=restic", viewport={"width": 1000, "height": 600})
    bar = page.locator("header.bar").bounding_box()

    assert bar
    assert bar["height"] < 65


def test_printed(visit: Callable[..., Page], files: Path) -> None:
    """On paper there is the document alone."""
    page = visit(read(files, READ[0]))
    page.emulate_media(media="print")

    assert page.locator(".content").is_visible()
    assert not page.locator("header.bar").is_visible()
    assert not page.locator("#results").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", [*VIEWS, GRAPH, *READ])
def test_accessible(visit: Callable[..., Page], running: Served, files: Path, address: str, scheme: str) -> None:
    """axe-core finds nothing to complain about in any view."""
    if address.startswith("/map"):
        map_made(visit, running)
    whole = address + quote(str(files / "hub.md")) if address == GRAPH else address
    page = visit(whole if address.startswith("/") else read(files, address), color_scheme=scheme)
    if address == "/map":
        drawn(page)
        page.locator("#map-canvas").press("s")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document)")
    violations = [
        (one["id"], one["help"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found["violations"]
    ]

    assert violations == [], json.dumps(violations, indent=1)


def test_what_happens_is_live(visit: Callable[..., Page], running: Served) -> None:
    """The progress of an index run appears while it goes on."""
    page = visit("/status")
    hears(page, running)
    # Of progress there are a few events a second.
    page.wait_for_timeout(500)
    running.events.publish("progress", IndexProgress(7, 1234, 0, 0, 0, 0, 0.5))
    expect(page.locator("#live")).to_contain_text("1,234")


def test_hit_that_is_open_is_in_view(visit: Callable[..., Page]) -> None:
    """A hit far down in the list is there beside its document, after a click and in an address that is opened."""
    page = visit("/?q=sentence+of+the+long+document&limit=40")
    expect(page.locator("#results .summary")).to_contain_text("ranked by")
    last = page.locator("#results a.open").last
    last.click()
    page.locator("#document .hit").first.wait_for()

    expect(page.locator(".hit-item.chosen a.open")).to_be_in_viewport()
    page.reload()
    expect(page.locator(".hit-item.chosen a.open")).to_be_in_viewport()


def test_link_within_a_document(visit: Callable[..., Page], files: Path) -> None:
    """It leads to its place in the document, which is not loaded anew; the back button leads back."""
    page = visit(read(files, "bread.md"))
    page.evaluate("document.querySelector('#document h1').dataset.kept = 'yes'")
    page.get_by_role("link", name="the second").click()
    page.wait_for_url(re.compile("#d-sour-dough-1$"))
    page.go_back()
    page.wait_for_url(re.compile(r"bread\.md"))
    page.wait_for_timeout(300)

    assert page.evaluate("document.querySelector('#document h1').dataset.kept") == "yes"


def test_many_windows(visit: Callable[..., Page], running: Served) -> None:
    """More windows than a browser has connections to one server; each hears what happens."""
    first = visit("/status")
    windows = [first, *(first.context.new_page() for _ in range(8))]
    for window in windows[1:]:
        window.goto(f"{running.url}/status")
    for window in windows:
        hears(window, running)
    first.wait_for_timeout(500)
    running.events.publish("progress", IndexProgress(7, 4321, 0, 0, 0, 0, 0.5))
    for window in windows:
        expect(window.locator("#live")).to_contain_text("4,321")
    first.close()
    hears(windows[8], running)
    windows[8].wait_for_timeout(500)
    running.events.publish("progress", IndexProgress(8, 5432, 0, 0, 0, 0, 0.5))

    expect(windows[8].locator("#live")).to_contain_text("5,432")


def test_daemon_that_ends(chrome: Browser, running: Served) -> None:
    """Its end is said while it is away, that of its session when it is back, and neither once there is another one."""
    context = chrome.new_context()
    page = context.new_page()
    with running.using() as kb:
        with served(kb) as own:  # type: ignore[arg-type]  # it is the whole knowledge base
            port = urlsplit(own.url).port or 0
            page.goto(own.page.new_link())
            page.goto(f"{own.url}/?q=restic")
        # While it ends, it may refuse a window once, which asks again five seconds later.
        expect(page.locator("#lost")).to_contain_text("does not answer", timeout=_MILLISECONDS)
        with served(kb, port) as own:  # type: ignore[arg-type]  # the same
            page.locator("#q").fill("backup")
            expect(page.locator("#lost")).to_contain_text("session has ended", timeout=_MILLISECONDS)
            assert page.locator("#results form").count() == 0
            context.new_page().goto(own.page.new_link())
            page.locator("#q").fill("backups")
            expect(page.locator("#lost")).to_be_hidden(timeout=_MILLISECONDS)
            expect(page.locator("#results .summary")).to_contain_text("ranked by meaning")
    context.close()


def test_back_from_a_document(visit: Callable[..., Page]) -> None:
    """Closing a document, read beside the results or alone, leads back to its hit in the list of the search."""
    page = visit("/?q=sentence+of+the+long+document")
    hit = page.locator("#results a.open").nth(2)
    wanted = hit.get_attribute("href")
    page.evaluate("document.querySelector('#results .hits').dataset.kept = 'yes'")
    for key in ("Enter", "o"):
        hit.focus()
        page.keyboard.press(key)
        page.locator("#document .hit").first.wait_for()
        page.keyboard.press("Escape")
        expect(page.locator("body")).not_to_have_class(re.compile("reading"))

        assert page.evaluate("document.activeElement.getAttribute('href')") == wanted
        assert re.search(r"/\?q=sentence.of.the.long.document$", page.url.replace("%20", "+"))
    assert page.locator("#results .hits[data-kept]").count() == 1


def test_views_follow_what_is_typed(visit: Callable[..., Page]) -> None:
    """The link to the answers has the question that is in the field now."""
    page = visit("/?q=restic&tag=tools")
    page.locator("#q").fill("when do ships arrive")
    page.wait_for_url(re.compile("ships"))
    page.locator(".bar nav a", has_text="Ask").click()

    expect(page.locator("h1")).to_have_text("when do ships arrive")
    assert "tag=tools" in page.url


def test_best_sentences_give_way_to_typing(visit: Callable[..., Page]) -> None:
    """The daemon looks no further for those of what is asked no more, before it has answered what is asked now."""
    page = visit("/")
    best = re.compile("best=1")
    page.route(best, lambda _: None)
    with page.expect_request(best):
        page.locator("#q").press_sequentially("restic")

    page.route(re.compile("part=results"), lambda _: None)
    with page.expect_event("requestfailed", lambda request: bool(best.search(request.url))):
        page.locator("#q").press_sequentially(" b")


def test_passage_far_down_a_page(visit: Callable[..., Page], files: Path, running: Served) -> None:
    """The window scrolls to what is marked on the picture of a page."""
    with running.using() as kb:
        passages = kb.show(str(files / "rigging.pdf")).passages
    line = passages[-1].first_line
    page = visit(read(files, f"rigging.pdf&line={line}&q=rigging"))
    page.wait_for_function("window.scrollY > 100")


def test_document_that_changes(visit: Callable[..., Page], files: Path, running: Served) -> None:
    """An open document is shown as it is once its file is indexed anew, and follows its file to another name."""
    note = files / "changing.md"
    note.write_text("# Changing\n\nThe first text.\n", "utf-8")
    with running.using() as kb:
        kb.index()
        page = visit(read(files, "changing.md"))
        hears(page, running)
        note.write_text("# Changing\n\nThe second text.\n", "utf-8")
        kb.index()
        running.events.publish("file", FileEvent("changed", str(files), "changing.md"))
        expect(page.locator("#document .content")).to_contain_text("second text")
        moved = note.rename(files / "changed.md")
        kb.index()
        running.events.publish("file", FileEvent("moved", str(files), "changed.md", "changing.md"))
        page.wait_for_url(re.compile("changed.md"))
        moved.unlink()
        kb.index()


def test_document_of_the_root_that_moves(visit: Callable[..., Page], files: Path, running: Served) -> None:
    """Below the folder / a path has one slash before it."""
    page = visit(read(files, "plan.org"))
    page.locator("#document .document-head").evaluate(
        "(head, path) => Object.assign(head.dataset, {folder: '/', path})", "a/plan.org"
    )
    hears(page, running)
    running.events.publish("file", FileEvent("moved", "/", str(files / "hub.md")[1:], "a/plan.org"))
    page.wait_for_url(lambda url: f"file={quote(str(files / 'hub.md'), safe='')}" in url)
    expect(page.locator("#document header h1")).to_contain_text("Backups")


def test_note_that_is_not_saved(chrome: Browser, running: Served) -> None:
    """The browser asks before a note is lost; Control and Enter save it without a question."""
    context = chrome.new_context()
    page = context.new_page()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.goto(running.page.new_link())
    page.goto(f"{running.url}/note")
    page.locator("#note-text").press_sequentially("A thought about tides")
    with page.expect_event("dialog"):
        page.evaluate("window.location.assign('/status')")
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    page.locator("#note-text").press("Control+Enter")
    page.wait_for_url(re.compile("/note/saved"))
    written = Path(page.locator("main .path").inner_text())

    assert asked == ["beforeunload"]
    assert "A thought about tides" in written.read_text("utf-8")
    written.unlink()
    with running.using() as kb:
        kb.index()
    context.close()


def test_room_for_a_question(visit: Callable[..., Page]) -> None:
    """The field shows a question of some words in windows of every width, also while an index run goes on."""
    page = visit("/?q=where+do+the+backups+go")
    page.evaluate("document.querySelector('#live').hidden = false")
    for width in (360, 800, 1000, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.querySelector('#q').clientWidth") > 200, width
