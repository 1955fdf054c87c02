"""Ask, write, status and events."""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest

from kb.app import LocalKnowledgeBase
from kb.records import Claim, Failure, IndexProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from page_browser import Browser
    from page_server import Served

    from kb.records import Reply

pytest_plugins = ["page_browser"]


def test_ask_quotes_with_sources(browser: Browser, files: Path) -> None:
    """An answer is sentences of the files, each leading to its place."""
    text = browser.get("/ask?q=when+do+ships+arrive+at+the+pier").text

    assert "Ships arrive at the pier before noon." in text
    assert re.search(rf'class="meta"><a href="/read\?[^"]*{files}/harbour.pdf&amp;line=\d+#passage"', text)


def test_ask_what_nobody_wrote_of(browser: Browser) -> None:
    """Where nothing is near enough, that is the answer."""
    text = browser.get("/ask?q=quantum+chromodynamics+lattice+gauge").text

    assert "Nothing in your files is near enough to be an answer." in text
    assert "<blockquote>" not in text


def test_write_a_note(browser: Browser, files: Path, running: Served) -> None:
    """A note is written, dated, tagged and found at once."""
    answer = browser.post(
        "/note", {"text": "Marmots whistle\r\nat noon.", "title": "Marmots", "tags": "#animals, summits"}
    )
    assert answer.status == 303
    saved = browser.get(answer.headers["location"]).text
    written = [one for one in files.rglob("*.md") if "Marmots" in one.read_text("utf-8")]
    assert len(written) == 1

    try:
        note = written[0].read_text("utf-8")
        assert "animals" in note
        assert "summits" in note
        assert "\r" not in note
        assert "saved and indexed" in saved
        assert "Marmots" in browser.get("/?q=which+animals+whistle").text
    finally:
        written[0].unlink()
        with running.using() as kb:
            kb.index()


def test_empty_note(browser: Browser, files: Path) -> None:
    """An empty note is refused, and what was typed is kept in the form."""
    before = sorted(files.rglob("*"))
    answer = browser.post("/note", {"text": "  \n", "title": "Kept title", "tags": ""})

    assert answer.status == 400
    assert "The note is empty" in answer.text
    assert 'value="Kept title"' in answer.text
    assert sorted(files.rglob("*")) == before


def test_hostile_title(browser: Browser) -> None:
    """What was typed is text where the form is shown again."""
    text = browser.post("/note", {"text": "", "title": '"><script>alert(1)</script>'}).text

    assert "<script>alert" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_name_that_is_no_text(browser: Browser, running: Served, files: Path) -> None:
    """A file whose name is not UTF-8 is listed, read and drawn as any other; an address that is not, is refused."""
    odd = Path(os.fsdecode(os.fsencode(files) + b"/odd\xff.md"))
    odd.write_text("Zebras graze. See [[hub]] and [[restic]].", "utf-8")
    address = quote(os.fsencode(odd))
    try:
        with running.using() as kb:
            kb.index()
        for path in ("/?path=*odd*", "/?q=zebras", f"/read?file={address}", f"/graph?file={address}", "/?q=%FF"):
            answer = browser.get(path)
            assert answer.status == 200, path
            assert "\ufffd" in answer.text, path
        assert browser.get("/graph?file=%FF").status == 404
        assert browser.get("/tags?within=%FF").status == 400
    finally:
        odd.unlink()
        with running.using() as kb:
            kb.index()


def test_forms_have_a_size(browser: Browser) -> None:
    """A note beyond all sense is refused."""
    assert browser.post("/note", {"text": "x" * 1_100_000}).status == 400


def test_only_forms_are_taken(browser: Browser) -> None:
    """A body of another kind writes nothing."""
    answer = browser.post("/note", {"text": "x"}, Content_Type="text/plain")

    assert answer.status == 400


def test_status(browser: Browser, running: Served) -> None:
    """The counts, the state of the daemon, and what could not be indexed are shown."""
    running.daemon.errors = ["the disk is full"]
    running.daemon.run = {"doing": "embedding", "indexed": 3, "files": 1200}
    try:
        text = browser.get("/status").text
    finally:
        running.daemon.errors, running.daemon.run = [], None

    assert "all-MiniLM-L6-v2" in text
    assert "watching" in text
    assert "the disk is full" in text
    assert "embedding: 3 of 1,200 files" in text


def test_status_of_files_that_are_not_read(browser: Browser, running: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is counted by its kind; what failed has its reason."""
    picture, broken = Failure("/n", "a.png", "images (.png) cannot be read"), Failure("/n", "b.pdf", "is encrypted")
    with running.using() as kb:
        now = kb.status()
    told = replace(now, failed=1, unread=1, problems=(picture, broken))
    monkeypatch.setattr(LocalKnowledgeBase, "status", lambda _: told)

    text = browser.get("/status").text

    assert "<dt>Not read</dt><dd>images (1)</dd>" in text
    assert "is encrypted" in text
    assert "a.png" not in text


def test_events(browser: Browser, running: Served) -> None:
    """What happens in the daemon reaches the browser."""
    place = urlsplit(running.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
    connection.request("GET", "/events", headers={"Cookie": browser.cookie})
    answer = connection.getresponse()
    try:
        assert answer.headers["content-type"].startswith("text/event-stream")
        answer.readline()
        # Of progress there are a few events a second.
        time.sleep(0.5)
        running.events.publish("progress", IndexProgress(1, 2, 0, 0, 0, 0, 0.5))
        assert any(b"event: progress" in answer.readline() for _ in range(6))
    finally:
        connection.close()


def test_keys_are_listed(browser: Browser) -> None:
    """The keys have a page of their own."""
    assert "<kbd>/</kbd>" in browser.get("/keys").text


def test_unknown_address(browser: Browser) -> None:
    """An address that there is not says so."""
    assert browser.get("/nowhere").status == 404


def test_heads_of_the_events_follow_nothing(browser: Browser, running: Served) -> None:
    """Whoever asks only for the head of the events takes no place of those who follow them."""
    kept: list[http.client.HTTPConnection] = []
    for _ in range(20):
        connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=120)
        connection.request("HEAD", "/events", headers={"Cookie": browser.cookie})
        assert connection.getresponse().status == 200
        # Left open: whoever is counted stays so.
        kept.append(connection)
    for connection in kept:
        connection.close()


def test_ask_that_fails_says_why(browser: Browser, running: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong amid an answer is a part of the page, and in the log; the stream was cut off."""

    def failing(*_: object, **__: object) -> Reply:
        raise RuntimeError("no luck")

    monkeypatch.setattr(LocalKnowledgeBase, "ask", failing)
    answer = browser.get("/ask?q=piers&part=1")

    assert "RuntimeError: no luck" in json.loads(answer.text.splitlines()[-1])["html"]
    assert running.said.pop() == "the page failed (RuntimeError: no luck)"


def test_note_that_is_written_and_not_indexed(
    browser: Browser, files: Path, monkeypatch: pytest.MonkeyPatch, running: Served
) -> None:
    """It is not to be sent again, whatever went wrong; where nothing was written, the text is kept."""

    def failing(_: object, text: str, *, on_written: Callable[[str], None], **__: object) -> None:
        if "first" in text:
            on_written(f"{files}/hub.md")
        raise RuntimeError("no luck")

    monkeypatch.setattr(LocalKnowledgeBase, "note", failing)

    assert browser.post("/note", {"text": "first"}).status == 303
    answer = browser.post("/note", {"text": "second"})
    assert answer.status == 500
    assert ">second</textarea>" in answer.text
    assert running.said == ["the page failed (RuntimeError: no luck)"] * 2
    running.said.clear()


def test_ask_is_streamed(browser: Browser, files: Path) -> None:
    """The script gets what is being done, and at the end the answer, as lines of JSON."""
    answer = browser.get("/ask?q=when+do+ships+arrive+at+the+pier&part=1")
    lines = [json.loads(line) for line in answer.text.splitlines()]

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [list(line) for line in lines[-1:]] == [["html"]]
    assert "Ships arrive at the pier before noon." in lines[-1]["html"]
    assert f"{files}/harbour.pdf" in lines[-1]["html"]


def test_what_a_sentence_introduces_stands_below_it(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are those of the file, and no markup."""
    asked = LocalKnowledgeBase.ask

    def answered(kb: LocalKnowledgeBase, *given: object, **named: object) -> Reply:
        reply = asked(kb, *given, **named)  # type: ignore[arg-type]  # passed on
        return replace(reply, quotes=(replace(reply.quotes[0], introduced="make <all>\n  install"),))

    monkeypatch.setattr(LocalKnowledgeBase, "ask", answered)
    text = browser.get("/ask?q=when+do+ships+arrive+at+the+pier").text

    assert "</p><pre>make &lt;all&gt;\n  install</pre></blockquote>" in text


def test_answer_of_a_language_model(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentences of a language model stand above the quotes that they rest on; what was dropped is said."""
    asked = LocalKnowledgeBase.ask

    def answered(kb: LocalKnowledgeBase, *given: object, **named: object) -> Reply:
        reply = asked(kb, *given, **named)  # type: ignore[arg-type]  # passed on
        claim = Claim("Ships come <before> noon.", reply.quotes[:1])
        return replace(reply, claims=(claim,), dropped=2, model="tiny", sent_to="127.0.0.1:8080")

    monkeypatch.setattr(LocalKnowledgeBase, "ask", answered)
    text = browser.get("/ask?q=when+do+ships+arrive+at+the+pier").text

    assert "<p>Ships come &lt;before&gt; noon.</p>" in text
    assert re.search(r"<q>[^<]*Ships arrive at the pier before noon\.</q>", text)
    assert "Answered by tiny at 127.0.0.1:8080; 2 sentences dropped" in text
