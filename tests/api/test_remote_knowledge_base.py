"""A knowledge base asked from another machine: results, the token, and servers that are away or no servers of kb."""

from __future__ import annotations

import io
import os
import ssl
import threading
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from certificate import server_certificate

from kb import Filters, Mode, RemoteKnowledgeBase, SearchRequest
from kb.api.remote import token_from
from kb.cli.last_results import load_results
from kb.cli.main import run
from kb.cli.session import ClientContext, Session
from kb.errors import AmbiguousName, NotIndexed, ServerError
from kb.service.client import asks_server, forward

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from served import Client, Served

    from kb.records import KnownFile

pytest_plugins = ["served_notes"]


def remote_of(client: Client) -> RemoteKnowledgeBase:
    """A knowledge base that asks at the port of a test."""
    return RemoteKnowledgeBase(str(client.base_url), client.headers["authorization"].removeprefix("Bearer "))


def documents_at(url: str, given: str = "any") -> list[KnownFile]:
    """The files that a server lists."""
    with RemoteKnowledgeBase(url, given) as there:
        return there.documents()


def test_answers_are_those_of_the_server(served: Served, client: Client) -> None:
    """Each method gives what the knowledge base on the server gives."""
    with remote_of(client) as there:
        request = SearchRequest("cellar disk", limit=2, min_score=-1.0, weak=True, filters=Filters(tags=("disk",)))
        assert there.search(request).hits == served.kb.search(request).hits
        like = SearchRequest(like="backup.md", min_score=-1.0, weak=True)
        assert there.search(like).hits == served.kb.search(like).hits
        by_words = SearchRequest("sencha", mode=Mode.KEYWORD)
        assert there.search("sencha", mode="keyword").hits == served.kb.search(by_words).hits
        hit = there.search("cellar disk", mode="keyword").hits[0]
        assert there.passage(hit.passage.id) == hit.passage
        assert there.read("backup.md") == served.kb.read("backup.md")
        assert there.show("restore.md", 3) == served.kb.show("restore.md", 3)
        assert there.resolve("backup") == str(served.folder / "backup.md")
        assert there.links("restore") == served.kb.links("restore")
        assert there.documents() == served.kb.documents()
        some = Filters(paths=("tea/*",), tags=("none",), since=date(2020, 1, 1))
        assert there.documents(some) == served.kb.documents(some)
        assert there.unmatched(some) == served.kb.unmatched(some) != ()
        assert there.tags() == served.kb.tags()
        assert there.status().files == served.kb.status().files
        assert there.service_status().daemon == served.daemon.status()
        assert there.sync()
        assert there.ask("where do the backups go?").answer.query == "where do the backups go?"


def test_all_pages_of_a_list_are_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives a page at a time."""
    with remote_of(client) as there:
        whole = there.documents()
        monkeypatch.setattr("kb.api.remote._PAGE", 2)
        assert there.documents() == whole
        assert len(whole) > 2


def test_errors_are_those_of_the_server(client: Client) -> None:
    """They have the types that a knowledge base on this machine raises."""
    with remote_of(client) as there:
        with pytest.raises(NotIndexed):
            there.read("private/diary.md")
        with pytest.raises(AmbiguousName):
            there.links("Twice")


def test_a_server_that_closed_the_idle_connection_is_asked_again(served: Served) -> None:
    """One that is gone for good is an error that names it, and leaves the object usable."""
    with served.at_port() as client:
        there, port = remote_of(client), client.base_url.port
        assert there.documents()
    with pytest.raises(ServerError, match="Connection refused"):
        there.documents()
    with served.at_port(f"127.0.0.1:{port}"):
        assert there.documents()
    there.close()


def test_a_wrong_token_is_refused_with_the_way_to_the_right_one(client: Client) -> None:
    """The remedy says where it is printed and where it goes."""
    with pytest.raises(ServerError, match="refused the token") as caught:
        documents_at(str(client.base_url), "wrong")
    assert "kb token" in caught.value.remedy


@pytest.mark.parametrize("token", ["", "two words", "line\r\nX-Other: 1", "tökén"])
def test_a_token_is_one_word(token: str) -> None:
    """Nothing in it can begin another header."""
    with pytest.raises(ServerError, match="the token"):
        RemoteKnowledgeBase("http://127.0.0.1:1", token)


@pytest.mark.parametrize(
    "url",
    [
        "notes",
        "ftp://notes",
        "https://",
        "https://me:secret@notes",
        "https://:secret@notes",
        "https://notes?x=1",
        "https://notes:99999",
        "https://my notes",
        "https://notes/a b",
        "https://notes/a\x01b",
        "https://notes/ü",
        "https://..",
        f"https://{'x' * 64}.example",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Passwords belong neither into addresses nor into the history of a shell."""
    with pytest.raises(ServerError, match="is not the address of a server"):
        RemoteKnowledgeBase(url, "token")


@pytest.mark.parametrize(
    "host", ["notes.example", "192.168.0.7", "[2001:db8::1]", "127.0.0.1.example.org", "localhost.example"]
)
def test_nothing_is_sent_unencrypted_to_another_machine(host: str) -> None:
    """Only this machine, such as the end of a tunnel, is asked without TLS."""
    with pytest.raises(ServerError, match="unencrypted") as caught:
        RemoteKnowledgeBase(f"http://{host}:7420", "token")
    assert "ssh -N -L 7420:127.0.0.1:7420" in caught.value.remedy


class Canned(BaseHTTPRequestHandler):
    """A server that gives one response to every request."""

    response: bytes

    def do_GET(self) -> None:
        """Send the response as it stands."""
        self.server.seen.append(self.headers["Authorization"])  # type: ignore[attr-defined]  # set below
        self.wfile.write(self.response)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def canned(response: bytes, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server with one response; its address, and the tokens that it was sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Canned,), {"response": response}))
    server.seen = []  # type: ignore[attr-defined]  # for the handler
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", server.seen  # type: ignore[attr-defined]  # as above
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "something else than this kb expects"),
        (
            b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"files": 3}',
            "something else than this kb expects",
        ),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "HTTP status 502"),
        (b"HTTP/1.0 503 No\r\nContent-Type: application/problem+json\r\n\r\nnonsense", "HTTP status 503"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{}", "closed the connection amid its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer in HTTP"),
        (b"", "cannot be asked"),
    ],
)
def test_what_is_no_server_of_kb_is_an_error_in_one_sentence(response: bytes, message: str) -> None:
    """Whatever listens there."""
    with canned(response) as (url, _), pytest.raises(ServerError, match=message) as caught:
        documents_at(url)
    assert url in caught.value.message
    assert caught.value.remedy


def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server sends is held in memory; whether it says how much it sends, or not."""
    monkeypatch.setattr("kb.api.remote._LARGEST_ANSWER", 2**20)
    head, much = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n", b" " * 2**22
    for response in (b"%b\r\n%b" % (head, much), b"%bContent-Length: %d\r\n\r\n%b" % (head, len(much), much)):
        with canned(response) as (url, _), pytest.raises(ServerError, match="more than 1 MB"):
            documents_at(url)
    whole = b'{"files": [], "total": 0}'
    with canned(b"%b\r\n%b" % (head, whole)) as (url, _):
        assert documents_at(url) == []


def test_a_host_may_have_a_name_of_any_language() -> None:
    """As browsers take it."""
    RemoteKnowledgeBase("https://bücher.example:7420", "token").close()


def test_no_redirect_takes_the_token_along() -> None:
    """It would reach whoever the redirect names."""
    with canned(b"HTTP/1.0 200 OK\r\n\r\n{}") as (elsewhere, seen):
        moved = f"HTTP/1.0 302 Found\r\nLocation: {elsewhere}/v1/files\r\n\r\n".encode()
        with canned(moved) as (url, _), pytest.raises(ServerError, match="HTTP status 302"):
            documents_at(url)
    assert seen == []


def test_a_certificate_has_to_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy, followed once, makes it so."""
    file = server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    response = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"files": [], "total": 0}'
    with canned(response, context) as (url, seen):
        with pytest.raises(ServerError, match="is not trusted") as caught:
            documents_at(url)
        assert "SSL_CERT_FILE=" in caught.value.remedy
        assert seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert documents_at(url) == []
        assert seen == ["Bearer any"]


def test_the_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """An empty file is none."""
    file = tmp_path / "token"
    file.write_text("from-file\n", "ascii")
    assert token_from({"KB_TOKEN": "given", "KB_TOKEN_FILE": str(file)}) == "given"
    assert token_from({"KB_TOKEN_FILE": str(file)}) == "from-file"
    for name in (str(tmp_path / "none"), os.devnull, "~nobody-here/token", ""):
        environ = {"KB_TOKEN_FILE": name}
        with pytest.raises(ServerError) as caught:
            token_from(environ)
        assert "KB_TOKEN_FILE" in caught.value.remedy


def kb(environ: dict[str, str], *args: str) -> tuple[int, str, str]:
    """Run a command in this process; its exit code, output and messages."""
    out, err = io.StringIO(), io.StringIO()
    client = ClientContext(out, err, environ, "/", stdin_tty=False, stdout_tty=False, stderr_tty=False, columns=80)
    return run(args, Session(client=client)), out.getvalue(), err.getvalue()


@pytest.fixture
def environ(client: Client) -> dict[str, str]:
    """The environment of a machine without notes of its own."""
    return {
        "KB_SERVER": str(client.base_url),
        "KB_TOKEN": client.headers["authorization"].removeprefix("Bearer "),
        "HOME": "/nowhere",
    }


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (["sencha", "--mode", "keyword"], "names.md:3:"),
        (["search", "--wait", "--json", "sencha", "--mode", "keyword"], '"question": "sencha"'),
        (["ask", "steeped green tea", "--mode", "keyword"], "80 degrees"),
        (["similar", "backup", "--min-score", "-1"], ""),
        (["show", "restore.md:3"], "mount the cellar disk"),
        (["list"], "tea/green.md"),
        (["tags"], "#disk/cellar"),
        (["links", "backup"], "restore.md"),
    ],
)
def test_commands_ask_the_server(environ: dict[str, str], args: list[str], shown: str) -> None:
    """Without a configuration of this machine."""
    code, out, err = kb(environ, *args)
    assert (code, err) == (0, "") or args[0] == "similar", err
    assert shown in out


def test_a_wrong_address_is_told_before_a_missing_token() -> None:
    """Nobody can look up the token of a server that is none."""
    code, _, err = kb({"HOME": "/nowhere"}, "--server", "nonsense", "search", "x")

    assert code == 2
    assert err.startswith("kb: 'nonsense' is not the address of a server\n    Write it as https://HOST:PORT")


def test_hits_are_remembered_with_their_server(environ: dict[str, str]) -> None:
    """So that kb open knows that they may not be on this machine."""
    assert kb(environ, "sencha", "--mode", "keyword")[0] == 0
    assert {one.server for one in load_results("none") or ()} == {environ["KB_SERVER"]}


def test_the_option_goes_before_the_environment(environ: dict[str, str]) -> None:
    """As everywhere else in kb."""
    code, _, err = kb(environ, "--server", "http://127.0.0.1:1", "tags")
    assert code == 2
    assert "http://127.0.0.1:1 cannot be asked: Connection refused" in err


@pytest.mark.parametrize(
    "given", [["--store", "/x"], ["--config", "/x"], ["-s", "search.limit=1"], ["--offline"]], ids=" ".join
)
def test_options_about_this_machine_are_refused(environ: dict[str, str], given: list[str]) -> None:
    """They would be ignored, and the answer be that of another store than the one that was named."""
    code, _, err = kb(environ, *given, "tags")
    assert code == 2
    assert f"{given[0]} is about this machine, and KB_SERVER names another" in err
    server = environ.pop("KB_SERVER")
    code, _, err = kb(environ, "--server", server, *given, "tags")
    assert code == 2
    assert f"{given[0]} is about this machine, and --server names another" in err


def test_commands_that_need_the_store_stay_here(environ: dict[str, str]) -> None:
    """The option is refused; what only the environment says does not concern them."""
    code, _, err = kb(environ, "--server", environ["KB_SERVER"], "index")
    assert code == 2
    assert "kb index cannot ask another machine" in err
    code, _, err = kb({**environ, "KB_CONFIG": "/nowhere/config.toml"}, "index")
    assert code == 2
    assert "/nowhere/config.toml" in err
    for args in (["ask", "--no-llm", "x"], ["links", "--broken"], ["status", "--privacy"]):
        code, _, err = kb(environ, *args)
        assert code == 2, args
        assert "server" in err or "this machine" in err


@pytest.mark.parametrize(
    ("args", "asks"),
    [
        (["search", "x"], True),
        (["any", "words"], True),
        (["--", "index"], True),
        (["index"], False),
        (["note", "x"], False),
    ],
)
def test_the_daemon_of_this_machine_is_left_out_where_another_is_asked(
    args: list[str], asks: bool, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision is made before anything is imported that would slow down a command."""
    looked: list[str] = []

    def store_of(*_: object) -> str:
        looked.append("here")
        return "/nowhere"

    monkeypatch.setattr("kb.service.client.store_of", store_of)
    monkeypatch.setenv("KB_SERVER", environ["KB_SERVER"])
    assert forward(args) is None
    assert bool(looked) is not asks
    assert forward(["--server", environ["KB_SERVER"], *args]) is None
    assert asks_server("search", {}) is False
