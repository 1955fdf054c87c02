"""Who is let in, and what each response says to the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from page_browser import Browser
    from page_server import Served

pytest_plugins = ["page_browser"]

ADDRESSES = ["/", "/?q=restic", "/read?file=hub.md", "/ask", "/note", "/status", "/keys", "/events", "/page", "/image"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_strangers_see_nothing(stranger: Browser, address: str) -> None:
    """Without a session every view is refused, and says how to get one."""
    answer = stranger.get(address)

    assert answer.status == 401
    assert "kb web" in answer.text
    assert "restic" not in answer.text


def test_link_works_once(running: Served, stranger: Browser) -> None:
    """The link leads to an address without its secret; whoever has it later is refused."""
    link = running.page.new_link()
    first = stranger.open(link)

    assert (first.status, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Max-Age" not in cookie
    assert stranger.get("/").status == 200

    stranger.cookie = ""
    thief = stranger.open(link)
    assert thief.status == 403
    assert "set-cookie" not in thief.headers


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "127.0.0.1:1", "evil.localhost:80", ""])
def test_foreign_hosts_are_refused(browser: Browser, host: str) -> None:
    """A name that was rebound to this machine gets nothing, even with the cookie."""
    answer = browser.get("/", Host=host)

    assert answer.status == 421
    assert "Backups" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_other_pages_are_refused(browser: Browser, headers: dict[str, str]) -> None:
    """Pages of other sites and of other ports can ask for nothing, even with the cookie."""
    assert browser.ask("GET", "/?q=restic", headers=headers).status == 403


def test_links_from_elsewhere_work(browser: Browser) -> None:
    """A link that the user clicked in another page opens."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

    assert browser.ask("GET", "/", headers=headers).status == 200


@pytest.mark.parametrize("origin", ["", "null", "http://127.0.0.1:1", "http://example.org"])
@pytest.mark.parametrize("address", ["/note", "/launch"])
def test_forms_of_other_pages_are_refused(browser: Browser, running: Served, address: str, origin: str) -> None:
    """What changes something takes only forms of the page's own origin."""
    running.daemon.opened.clear()
    answer = browser.post(address, {"text": "forged", "file": "hub.md"}, Origin=origin)

    assert answer.status == 403
    assert running.daemon.opened == []


@pytest.mark.parametrize("address", ["/", "/read?file=hub.md", "/nowhere", "/static/kb.css", "/open?key=x"])
def test_headers_of_all_responses(browser: Browser, stranger: Browser, address: str) -> None:
    """No response may run a script of a document, be framed, sniffed, kept or told of to others."""
    for answer in (browser.get(address), stranger.get(address)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cache-control"] == "no-store" or address.startswith("/static/")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods(browser: Browser, method: str) -> None:
    """Methods that no view has are refused."""
    assert browser.ask(method, "/", headers={"Origin": browser.url}).status == 405


@pytest.mark.parametrize(
    "name",
    ["../app.py", "..%2fapp.py", "%2e%2e%2fapp.py", "kb.css/../../app.py", "app.py", "__init__.py", "", "kb.css%00"],
)
def test_only_own_files_are_static(browser: Browser, name: str) -> None:
    """No spelling of a name gives a file that is not the page's own."""
    assert browser.get(f"/static/{name}").status == 404


def test_pages_name_no_foreign_address(browser: Browser) -> None:
    """No view refers to another origin, and none has a script or a style within."""
    for address in ("/", "/?q=restic", "/read?file=hub.md&line=5", "/ask?q=restic", "/note", "/status", "/keys"):
        text = browser.get(address).text
        assert "<script>" not in text
        assert "<style" not in text
        assert ' style="' not in text
        assert " on" + 'click="' not in text
        assert 'src="http' not in text
        assert 'href="http' not in text
