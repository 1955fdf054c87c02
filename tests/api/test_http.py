"""The operations over HTTP, at a real port: what they answer, and what they refuse."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from served import Client, Served, opened

from kb.api import limits
from kb.api.codec import decode
from kb.api.operations import OPERATIONS
from kb.api.token import TokenFile
from kb.cli.http_port import HttpPort
from kb.records import Answer, FileText, Freshness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kb.ports import Knowledge
    from kb.records import SearchRequest

pytest_plugins = ["served_notes"]

READING = [one for one in OPERATIONS if one.scope == "read" and one.name not in {"passage", "ask"}]


def test_search_answers_with_records(client: Client) -> None:
    """The same answer as in Python, with its score and its lines."""
    answer = decode(client.ask("/v1/search", question="where do the backups go?", limit=1, weak=True).content, Answer)

    hit = answer.hits[0]
    assert hit.passage.file.path == "backup.md"
    assert hit.score is not None
    assert hit.score > 0.4
    assert answer.index.watching


@pytest.mark.parametrize("operation", READING, ids=lambda one: one.name)
def test_each_operation_answers_its_example_with_its_type(client: Client, operation: Any) -> None:
    """The examples of the documentation work, and what comes back is of the type that is documented."""
    fields = dict(operation.example)
    answer = (
        client.get(operation.path, params=fields) if operation.method == "GET" else client.ask(operation.path, **fields)
    )

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    decode(answer.content, operation.gives)


def test_a_passage_is_found_by_the_id_of_a_hit(client: Client) -> None:
    """An id leads back to the passage."""
    hit = client.ask("/v1/search", question="green tea", weak=True).json()["hits"][0]["passage"]

    assert client.get("/v1/passage", params={"id": hit["id"]}).json()["text"] == hit["text"]
    assert client.get("/v1/passage", params={"id": "no such"}).status_code == 404


def test_file_gives_the_exact_lines(client: Client) -> None:
    """Text as it stands in the file, also where its name has to be escaped."""
    text = decode(client.get("/v1/file", params={"path": "tea/green.md", "first_line": 3}).content, FileText)

    assert text.text == "Green tea is steeped at 80 degrees for two minutes."
    assert client.get("/v1/file", params={"path": "Ünï cödé & co?.md"}).json()["text"].startswith("# Ünï")


def test_lists_in_an_address_are_repeated_names(client: Client) -> None:
    """Both globs count; a field that is no list is given once."""
    found = client.get("/v1/files?path=tea/&path=backup.md").json()

    assert [file["path"] for file in found["files"]] == ["backup.md", "tea/green.md", "tea/names.md"]
    assert client.get("/v1/files?limit=1&limit=2").status_code == 400


def test_files_come_in_pages(client: Client) -> None:
    """With how many there are in all."""
    page = client.get("/v1/files", params={"limit": 1, "offset": 1}).json()

    assert (len(page["files"]), page["total"]) == (1, 7)
    assert client.get("/v1/files", params={"limit": 0}).status_code == 400
    assert client.get("/v1/files", params={"limit": 1001}).status_code == 400


@pytest.mark.parametrize(
    ("path", "params", "status", "kind"),
    [
        ("/v1/file", {"path": "nowhere.md"}, 404, "NotIndexed"),
        ("/v1/file", {"path": "~nobody/nowhere.md"}, 404, "NotIndexed"),
        ("/v1/links", {"path": "Twice"}, 409, "AmbiguousName"),
        ("/v1/files", {"limit": "many"}, 400, "RequestError"),
        ("/v1/files", {"since": "yesterday"}, 400, "RequestError"),
        ("/v1/files", {"colour": "red"}, 400, "RequestError"),
    ],
)
def test_an_error_is_a_problem_with_its_remedy(
    client: Client, path: str, params: dict[str, str], status: int, kind: str
) -> None:
    """As RFC 9457 has it, with the kind of kb's own exception."""
    answer = client.get(path, params=params)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"urn:kb:error:{kind}"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"\xff\xfe{}", 400),
        (b'{"question": 1}', 400),
        (b'{"question": "a", "colour": "red"}', 400),
        (b'{"question": "a", "filters": {"colour": "red"}}', 400),
        (b'{"question": "a\\u0000"}', 400),
        (b'{"question": "\\ud800"}', 400),
        (b'{"question": "a", "min_score": NaN}', 400),
        (b'{"question": "\\udcff", "min_score": NaN}', 400),
        (b'{"question": "a", "limit": 1001}', 400),
        (b'{"question": "a", "limit": 1' + b"0" * 5000 + b"}", 400),
        (b'{"question": "a", "per_file": 99999999999999999999}', 400),
        (b'{"question": "a", "min_score": 1e999}', 400),
        (b'{"question": "' + b"a" * 20_001 + b'"}', 400),
        (b'{"question": "a", "filters": {"paths": [' + b",".join([b'"a"'] * 257) + b"]}}", 400),
        (b'{"a":' * 9 + b"1" + b"}" * 9, 400),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
        (b'{"question": "' + b"a" * 1_000_000 + b'"}', 413),
    ],
)
def test_what_is_no_request_is_refused(client: Client, body: bytes, status: int) -> None:
    """By form, size and depth, before any operation sees it."""
    answer = client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


def test_a_body_of_unknown_length_is_limited_too(client: Client) -> None:
    """Chunk by chunk, without Content-Length."""
    answer = client.post(
        "/v1/search", content=iter([b" " * 600_000, b" " * 600_000]), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("media", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON;charset="UTF-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
def test_bodies_are_json_and_say_so(client: Client, media: str, status: int) -> None:
    """No form of a web page can send that without asking first."""
    answer = client.post("/v1/search", content=b'{"question": "tea"}', headers={"Content-Type": media})

    assert answer.status_code == status


def test_methods_and_paths_that_there_are_not(client: Client) -> None:
    """405 with the methods there are, 404 for the rest; HEAD is as GET without the body."""
    wrong = client.get("/v1/search")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert client.options("/v1/search").status_code == 405
    assert client.delete("/v1/notes").status_code == 405
    assert client.get("/v1/status/").status_code == 404
    assert client.get("/").status_code == 404
    head = client.head("/v1/status")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/run", "/stop", "/sync", "/status", "/local/settings", "/local/index", "/local/check"]
)
def test_only_the_interface_is_at_the_port(client: Client, path: str) -> None:
    """Neither command lines nor what only the user's own processes may ask."""
    assert client.get(path).status_code == 404
    assert client.ask(path).status_code == 404


@pytest.mark.parametrize("path", ["/v1/status", "/v1/nothing", "/v1/events?", "/v1/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_no_other_origin_is_ever_allowed(served: Served, client: Client, path: str, method: str) -> None:
    """No header of CORS in any answer, and nothing is kept in a cache."""
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    for answer in (client.request(method, path, headers=headers), client.request(method, "/v1/tags")):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cache-control"] == "no-store"
    assert served.said


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer \xff"}, 401),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 401),
        ({"Host": "example.org"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Host": "127.0.0.1.example.org:{port}"}, 421),
        ({"Host": "192.168.0.1:{port}"}, 421),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "LOCALHOST:{port}"}, 200),
        ({"Host": "[::1]:{port}"}, 200),
        ({"Origin": "http://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
    ],
)
def test_who_is_admitted(client: Client, headers: dict[str, str], status: int) -> None:
    """The token, the host that is listened at (DNS rebinding), and no page of another server."""
    port = str(client.base_url.port)
    given = [(name.encode(), value.replace("{port}", port).encode("latin-1")) for name, value in headers.items()]

    assert client.get("/v1/tags", headers=given).status_code == status


def test_a_refused_token_is_asked_for(client: Client) -> None:
    """With what RFC 6750 wants in the answer."""
    missing = httpx.get(client.base_url.join("/v1/tags"))

    assert (missing.status_code, missing.headers["www-authenticate"]) == (401, "Bearer")
    assert "kb token" in missing.json()["remedy"]


def test_two_hosts_are_refused(client: Client) -> None:
    """One of them might be checked, and the other one used."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as raw:
        token = client.headers["authorization"]
        host = f"Host: 127.0.0.1:{client.base_url.port}\r\n"
        raw.sendall(f"GET /v1/tags HTTP/1.1\r\n{host}{host}Authorization: {token}\r\n\r\n".encode())

        assert b" 400 " in raw.recv(1000) or b" 421 " in raw.recv(1000)


def test_a_new_token_counts_at_once(served: Served) -> None:
    """The former one is refused by the daemon that runs."""
    with served.at_port() as client:
        assert client.get("/v1/tags").status_code == 200
        token = TokenFile.of(os.environ).renewed()
        assert client.get("/v1/tags").status_code == 401
        assert client.get("/v1/tags", headers={"Authorization": f"bearer {token}"}).status_code == 200


class Slow:
    """A knowledge base that answers a question when it is told to."""

    def __init__(self, kb: Knowledge) -> None:
        self._kb = kb
        self.asked = threading.Semaphore(0)
        self.may = threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._kb, name)

    def search(self, request: SearchRequest) -> Answer:
        """Wait, and answer."""
        self.asked.release()
        assert self.may.wait(120)
        return Answer(request.question, "cosine", Freshness(None, 0))


def test_too_many_at_once_are_told_to_come_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are answered, some wait, and the rest is refused; afterwards there is room again."""
    monkeypatch.setattr(limits, "NETWORK", replace(limits.NETWORK, running=1, waiting=1))
    slow = Slow(served.kb)
    with Served(served.folder, slow).at_port() as client:  # type: ignore[arg-type]  # what is asked of it
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(client.ask("/v1/search", question="tea"))

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for one in asking:
            one.start()
        assert slow.asked.acquire(timeout=120)
        _wait_until(lambda: len(answers) == 1)
        slow.may.set()
        for one in asking:
            one.join(120)
        assert [one.status_code for one in answers] == [503, 200, 200]
        assert answers[0].headers["retry-after"] == "1"
        assert client.ask("/v1/search", question="tea").status_code == 200


def test_a_question_may_take_so_long(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the client is told, and need not wait for ever."""
    monkeypatch.setattr(limits, "NETWORK", replace(limits.NETWORK, seconds=0.2))
    slow = Slow(served.kb)
    with Served(served.folder, slow).at_port() as client:  # type: ignore[arg-type]  # what is asked of it
        late = client.ask("/v1/search", question="tea")
        slow.may.set()

    assert (late.status_code, late.headers["retry-after"]) == (503, "1")
    assert "0.2 seconds" in late.json()["detail"]


def test_a_client_that_hangs_up_is_noticed(served: Served) -> None:
    """What was asked for it ends."""
    waits = Served(served.folder, served.kb)
    waits.daemon.never = True
    with waits.at_port() as client:
        client.hang_up("/v1/sync", waits.daemon.waiting)
        assert waits.daemon.left.wait(120)


def test_closing_ends_what_waits(served: Served) -> None:
    """A stop of the daemon waits for nobody."""
    waits = Served(served.folder, served.kb)
    waits.daemon.never = True
    status: list[int] = []

    def ask(url: httpx.URL, headers: httpx.Headers) -> None:
        status.append(httpx.post(url.join("/v1/sync"), json={}, headers=headers, timeout=120).status_code)

    with waits.at_port() as client:
        asking = threading.Thread(target=ask, args=[client.base_url, client.headers])
        asking.start()
        assert waits.daemon.waiting.wait(120)
        began = time.monotonic()
    asking.join(120)

    assert time.monotonic() - began < 60
    assert status == [503]


def test_a_daemon_that_stops_says_that_it_has_not_begun(served: Served) -> None:
    """A client may then ask the next one."""
    port = HttpPort(served.backend(), served.said.append)
    port.move("127.0.0.1:0")
    headers = {"Authorization": f"Bearer {TokenFile.of(os.environ).read()}"}
    port.stop()
    try:
        answers = [httpx.get(f"{port.url}{path}", headers=headers) for path in ("/v1/tags", "/v1/events")]
    finally:
        port.close()

    assert [(one.status_code, one.json()["type"]) for one in answers] == [(503, "urn:kb:not-begun")] * 2


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/search HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /v1/tags HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n",
        "GET /v1/tags HTTP/1.1\r\n\r\n",
        "GET\r\n\r\n",
    ],
    ids=["two lengths", "negative length", "no host", "no request"],
)
def test_what_proxies_read_in_two_ways_is_refused(client: Client, head: str) -> None:
    """As a problem, and the connection is closed: what follows is no request of its own."""
    host = client.base_url.netloc.decode()
    smuggled = f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\nAuthorization: {client.headers['authorization']}\r\n\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connected:
        connected.sendall(f"{head.format(host=host)}0\r\n\r\n{smuggled}".encode())
        answer = b"".join(iter(lambda: connected.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"application/problem+json" in answer


def test_an_unexpected_error_is_a_problem_and_logged(served: Served) -> None:
    """Without a traceback; the daemon goes on."""

    class Broken(Slow):
        def search(self, request: SearchRequest) -> Answer:
            raise ZeroDivisionError(request.question)

    broken = Served(served.folder, Broken(served.kb))  # type: ignore[arg-type]  # what is asked of it
    with broken.at_port() as client:
        answer = client.ask("/v1/search", question="tea")
        assert client.get("/v1/tags").status_code == 200

    assert (answer.status_code, answer.json()["detail"]) == (500, "ZeroDivisionError: tea")
    assert "a request failed (ZeroDivisionError: tea)" in broken.said


def test_a_note_is_written_and_found(tmp_path: Path) -> None:
    """The answer says where, and the next search finds it."""
    folder = tmp_path / "notes"
    folder.mkdir()
    with opened(folder, tmp_path / "store") as kb, Served(folder, kb).at_port() as client:
        written = client.ask("/v1/notes", text="The key is under the flowerpot.", title="Key", tags=["home"])
        found = client.ask("/v1/search", question="where is the key?", weak=True).json()["hits"]
        empty = client.ask("/v1/notes", text="")

    assert written.status_code == 200, written.text
    assert written.json()["report"]["added"] == 1
    assert written.json()["path"].endswith(found[0]["passage"]["file"]["path"])
    assert 400 <= empty.status_code < 500


def test_ipv6_is_served(served: Served) -> None:
    """At [::1], where the system has it."""
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    with served.at_port("[::1]:0") as client:
        assert client.get("/v1/tags").status_code == 200
        assert str(client.base_url).startswith("http://[::1]:")


def test_everywhere_any_address_is_taken_but_no_other_name(served: Served) -> None:
    """A name could be rebound by a page; an address in digits cannot. The log warns."""
    with served.at_port("0.0.0.0:0") as client:
        port = client.base_url.port
        address = f"http://127.0.0.1:{port}"
        given = dict(client.headers)

        def status(host: str) -> int:
            return httpx.get(f"{address}/v1/tags", headers={**given, "Host": host}).status_code

        assert status(f"192.168.7.7:{port}") == 200
        assert status(f"localhost:{port}") == 200
        assert status(f"{socket.gethostname()}:{port}") == 200
        assert status(f"rebound.example.org:{port}") == 421
        assert status("192.168.7.7:1") == 421
    assert any(line.startswith("other machines can reach") for line in served.said)


def _wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
