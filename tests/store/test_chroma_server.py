"""A Chroma server: what is sent, how long it is waited for, and what its errors mean."""

from __future__ import annotations

import ssl
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from certificate import server_certificate
from vector_stores import function, make_records, unit_vectors

from kb.chroma_import import import_chromadb
from kb.errors import ChromaServerError, ForeignStore, ModelMismatch, StoreDamaged, StoreError
from kb.store.chroma import Pace
from kb.store.server import CLOUD_LIMITS, SERVER_LIMITS, ChromaServer, NameTaken, ServerAddress, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chroma_server import RunningChroma

TOKEN = "a-secret-token"  # noqa: S105 - of the tests


class Proxy:
    """What stands in front of a Chroma server: it wants a token, and can answer by itself.

    Args:
        port: The port of the server.
        tls: With which certificate it encrypts; None for not at all.

    Attributes:
        url: Its address.
        status: With which status it answers everything itself; 0 to pass it on.
        body: With which body.
        seen: The headers of each request.
        delay: How many seconds it waits before each answer.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.status, self.body, self.delay = 0, b"", 0.0
        self.seen: list[dict[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                proxy.seen.append(dict(self.headers.items()))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(proxy.delay)
                status, answer = proxy.status, proxy.body
                if not status and self.headers.get("x-chroma-token") != TOKEN:
                    status, answer = 401, b"unauthorized"
                if not status:
                    connection = HTTPConnection("127.0.0.1", port)
                    connection.request(self.command, self.path, body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    status, answer = response.status, response.read()
                    connection.close()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                # Who gave up waiting has closed the connection.
                with suppress(ConnectionError):
                    self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 - names of the base class

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def proxy(chroma: RunningChroma) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    made = Proxy(chroma.port)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[Callable[..., ChromaServer]]:
    """Connects to an address."""
    made = []

    def connect(url: str, *, tenant: str = "default_tenant", token: str = TOKEN, seconds: float = 5.0) -> ChromaServer:
        headers = {"x-chroma-token": token} if token else {}
        made.append(ChromaServer(ServerAddress(url, tenant, "default_database", "c", seconds, lambda: headers)))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def test_headers_go_with_every_request(proxy: Proxy, server: Callable[..., ChromaServer]) -> None:
    """A proxy that wants a token lets kb pass; the token is in no message and no log."""
    connected = server(proxy.url)
    connected.make_empty("headers", {"a": 1})

    assert [one.marks for one in connected.found("headers")] == [{"a": 1}]
    assert connected.mark(connected.found("headers")[0], {"b": 2})
    assert connected.found("headers")[0].marks == {"b": 2}
    connected.delete("headers")
    assert connected.found("headers") == []
    assert all(one.get("x-chroma-token") == TOKEN for one in proxy.seen)


def test_wrong_headers_are_told_without_them(proxy: Proxy, server: Callable[..., ChromaServer]) -> None:
    """The remedy names the file that they come from."""
    with pytest.raises(ChromaServerError, match=r"refuses the headers.*store\.headers_file") as caught:
        server(proxy.url, token=TOKEN[:-1]).version()

    assert TOKEN[:-1] not in str(caught.value)


def test_certificates_are_read_only_for_tls(
    chroma: RunningChroma, server: Callable[..., ChromaServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading those of the machine takes longer than most requests, to a server on this machine too."""
    read: list[str] = []
    for name in ("load_verify_locations", "load_default_certs", "set_default_verify_paths"):
        monkeypatch.setattr(ssl.SSLContext, name, lambda *_args, name=name, **_more: read.append(name))

    server(chroma.url).version()
    assert read == []
    with pytest.raises(ChromaServerError):
        server(chroma.url.replace("http", "https")).version()
    assert read


def test_the_certificate_of_a_server_has_to_be_trusted(
    chroma: RunningChroma, server: Callable[..., ChromaServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remedy, followed once, makes it so; until then the server is sent nothing, no token either."""
    file = server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    proxy = Proxy(chroma.port, context)
    try:
        with pytest.raises(ChromaServerError, match="is not trusted") as caught:
            server(proxy.url).version()
        assert "SSL_CERT_FILE=" in caught.value.remedy
        assert proxy.seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert server(proxy.url).version()
    finally:
        proxy.close()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"<html>hello</html>", "is not the address of a Chroma server"),
        (200, b"{}", "is not the address of a Chroma server"),
        (200, b"[]", "is not the address of a Chroma server"),
        (301, b"", "is not the address of a Chroma server"),
        (404, b"not found", "is not the address of a Chroma server"),
        (403, b"no", "refuses the headers"),
        (413, b"too large", "requests of this size"),
        (429, b"slow down", "takes no more requests"),
        (502, b"bad gateway", "answers with HTTP status 502"),
        (503, b"{}", "answers with HTTP status 503"),
        (422, b'{"error": "QuotaError", "message": "5 of 5 collections"}', "has reached a quota: 5 of 5 collections"),
        (429, b'{"error": "RateLimitError", "message": "later"}', "takes no more requests for now: later"),
        (401, b'{"error": "AuthorizationError", "message": "who?"}', "refuses the headers"),
        (500, b'{"error": "InternalError", "message": "database or disk is full"}', "the disk of .* is full"),
        (500, b'{"error": "InternalError", "message": "error loading hnsw index"}', "is damaged"),
        (400, b'{"error": "InvalidArgumentError", "message": "no"}', "refuses the request: no"),
    ],
)
def test_what_a_proxy_or_a_server_answers_is_one_sentence_with_a_remedy(
    proxy: Proxy, server: Callable[..., ChromaServer], status: int, body: bytes, says: str
) -> None:
    """Each is an error of kb, whatever Chroma's client makes of it."""
    proxy.status, proxy.body = status, body

    with pytest.raises(StoreError, match=says) as caught:
        server(proxy.url).found("")

    assert isinstance(caught.value, (ChromaServerError, StoreDamaged))
    assert caught.value.remedy
    assert "\n" not in caught.value.message


def test_a_server_without_tls_is_named_with_the_address_that_works(
    proxy: Proxy, server: Callable[..., ChromaServer]
) -> None:
    """What OpenSSL calls a wrong version number."""
    with pytest.raises(ChromaServerError, match="answers, and not with TLS") as caught:
        server(proxy.url.replace("http:", "https:")).version()

    assert proxy.url in caught.value.remedy


def test_a_slow_server_is_waited_for_no_longer_than_allowed(proxy: Proxy, server: Callable[..., ChromaServer]) -> None:
    """From the first request on, which Chroma's own client would wait for without end."""
    proxy.delay = 30.0
    began = time.monotonic()

    with pytest.raises(ChromaServerError, match="does not answer within"):
        server(proxy.url, seconds=0.5).version()

    assert time.monotonic() - began < 20.0


def test_nobody_listens(server: Callable[..., ChromaServer]) -> None:
    """As where the server is not running."""
    with pytest.raises(ChromaServerError, match=r"http://127\.0\.0\.1:9 cannot be reached: connection refused"):
        server("http://127.0.0.1:9").version()


def test_a_proxy_of_the_environment_is_not_used(
    chroma: RunningChroma, server: Callable[..., ChromaServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be sent the headers."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert server(chroma.url).version()


def test_a_tenant_that_is_not_there(chroma: RunningChroma, server: Callable[..., ChromaServer]) -> None:
    """The keys to set are named."""
    with pytest.raises(ChromaServerError, match=r"Tenant .*nobody.* not found.*store\.tenant"):
        server(chroma.url, tenant="nobody").version()


def test_names_are_taken_once_and_listed_whole(own_chroma: RunningChroma, server: Callable[..., ChromaServer]) -> None:
    """Chroma lists 100 collections at a time."""
    connected = server(own_chroma.url)
    names = [f"many-{number:03}" for number in range(130)]
    for name in names:
        connected.make_empty(name, {"n": 1})

    assert [one.name for one in connected.found("many-")] == names
    with pytest.raises(NameTaken):
        connected.make_empty(names[7], {"n": 1})
    first = connected.found(names[0])[0]
    connected.delete(names[0])
    connected.make_empty(names[0], {"n": 2})
    assert not connected.mark(first, {"n": 3})


def test_foreign_collections_are_refused(chroma: RunningChroma, server: Callable[..., ChromaServer]) -> None:
    """By format mark, space, embedding function and model, as in a folder."""
    connected = server(chroma.url)
    made: dict[str, tuple[dict[str, Any], type[Exception]]] = {
        "foreign-mark": ({"configuration": {"hnsw": {"space": "cosine"}}, "metadata": {"a": 1}}, ForeignStore),
        "foreign-space": ({"configuration": {"hnsw": {"space": "l2"}}, "metadata": {"kb_format": 1}}, ForeignStore),
        "foreign-function": (
            {"configuration": {"hnsw": {"space": "cosine"}}, "metadata": {"kb_format": 1}},
            ForeignStore,
        ),
        "foreign-model": (
            {
                "configuration": {"hnsw": {"space": "cosine"}, "embedding_function": function()},
                "metadata": {"kb_format": 1, "kb_fingerprint": "another", "kb_dimension": 8},
            },
            ModelMismatch,
        ),
    }
    with chroma.client() as client:
        for name, (values, _) in made.items():
            client.create_collection(name, embedding_function=None, **values)

    for name, (_, error) in made.items():
        with pytest.raises(error):
            connected.open(connected.found(name)[0], fingerprint="model", dimension=8, pace=Pace())


def test_a_collection_that_was_deleted_is_damage(chroma: RunningChroma, server: Callable[..., ChromaServer]) -> None:
    """It is made again, unlike where a server is away."""
    connected = server(chroma.url)
    index = connected.make("goes", {}, fingerprint="m", dimension=64, function=function(), pace=Pace())
    records = make_records(unit_vectors(10))
    index.upsert(records)
    connected.delete("goes")

    for call in (index.count, lambda: index.query(records[0].vector, 3), lambda: index.upsert(records)):
        with pytest.raises(StoreDamaged, match="is not at"):
            call()


def test_quotas_of_the_cloud_are_known_by_the_host() -> None:
    """Any other server takes what a folder does, without the texts."""
    addresses = [ServerAddress(url, "t", "d", "c", 1.0) for url in ("https://api.trychroma.com", "https://my.host")]

    assert [one.limits for one in addresses] == [CLOUD_LIMITS, SERVER_LIMITS]
    assert not SERVER_LIMITS.texts


def test_every_error_of_chroma_has_a_translation() -> None:
    """Also those of a later version."""
    address = ServerAddress("https://host", "t", "d", "c", 1.0)
    errors = import_chromadb().errors

    def below(kind: type[Exception]) -> Iterator[type[Exception]]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    for kind in below(errors.ChromaError):
        made = translate(kind("why"), address)
        assert isinstance(made, StoreError), kind
        assert made.remedy
    assert translate(ZeroDivisionError("a bug of kb"), address) is None
