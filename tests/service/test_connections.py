"""What a daemon makes of clients that are none: it answers 4xx, lets nobody hold a connection, and goes on."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.service import connections
from kb.service.client import ask, forward, request_of
from kb.service.listen import listen
from kb.service.server import DaemonServer, Handlers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from owners import MadeUp

    from kb.service.listen import Listening
    from kb.service.server import CommandOutput

pytest_plugins = ["owners"]

PATHS = ("/run", "/stop", "/status", "/", "/x")
HEAD = "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def raw(store: str, data: bytes, *, whole: bool = False, seconds: float = 120.0) -> bytes:
    """All that comes back for some bytes, until the other side closes; after them nothing more is said.

    Args:
        store: Whose daemon is asked.
        data: What to send.
        whole: Whether it is a whole request, whose answer is waited for.
        seconds: How long to wait for an answer.
    """
    with connected(store) as client:
        client.settimeout(seconds)
        try:
            client.sendall(data)
            if not whole:
                client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        parts = []
        try:
            while part := client.recv(65536):
                parts.append(part)
        except ConnectionError:
            pass
        return b"".join(parts)


def connected(store: str) -> socket.socket:
    """A connection to the daemon of a store."""
    from kb.service.address import addresses_of

    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(addresses_of(store, os.environ)[0])
    return client


def status(answer: bytes) -> int:
    """The status of an answer; 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def posted(store: str, path: str, body: bytes, method: str = "POST") -> int:
    """The status of a whole request with this body."""
    head = HEAD.format(method=method, path=path) + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return status(raw(store, head.encode() + body, whole=True))


def asked(store: str, /, **changed: Any) -> bytes:
    """A request of kb's own, with something changed in it; None leaves it out."""
    whole = request_of(["search", "x"], store, "/") | changed
    return json.dumps({key: value for key, value in whole.items() if value is not ...}).encode()


DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = {
    "no JSON": b"{",
    "deep lists": DEEP,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep inside": b'{"timeout":' + DEEP + b"}",
    "bytes that are no UTF-8": b'{"store": "\xff\xfe"}',
    "UTF-16": '{"store": "x"}'.encode("utf-16"),
    "a lone surrogate": b'{"store": "\\ud800", "timeout": "\\udfff"}',
    "a list": b"[1]",
    "a string": b'"\\ud800"',
    "null": b"null",
    "a number of many digits": b"9" * 10_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_request_is_4xx(made_up: MadeUp, store: str, name: str) -> None:
    """It runs nothing, and the next command is answered."""
    assert 400 <= posted(store, "/run", BODIES[name]) < 500

    assert made_up.requests == []
    assert forward(["search", "x"]) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"args": ["search", 3]},
        {"args": None},
        {"args": ...},
        {"args": ["a\0b"]},
        {"cwd": "/a\0b"},
        {"cwd": ...},
        {"env": {"KB_X": "\0"}},
        {"env": [["a", "b"]]},
        {"columns": 0},
        {"columns": -(10**30)},
        {"columns": 1.5},
        {"encoding": "utf-8"},
        {"encoding": [3]},
        {"stdin": 3},
        {"stdout_tty": "yes"},
        {"terminal": None},
        {"store": "\udc80"},
        {"version": "\ud800"},
        {"protocol": 2},
        {"protocol": "2-01234567"},
        {"args": ["watch", "--stop"]},
        {"args": ["-s", "a=b", "bench"]},
        {"args": ["open", "1"]},
    ],
    ids=str,
)
def test_a_request_of_wrong_values_is_4xx(made_up: MadeUp, store: str, changed: dict[str, Any]) -> None:
    """Types, missing fields, what no system call takes, and commands that are never the owner's to run."""
    assert 400 <= posted(store, "/run", asked(store, **changed)) < 500
    assert made_up.requests == []


def test_names_that_are_no_unicode_are_served(made_up: MadeUp, store: str) -> None:
    """Surrogates stand for the bytes of undecodable names, in a command and in what a daemon tells of itself."""
    assert posted(store, "/run", asked(store, args=["show", "caf\udce9.md"], columns=10**9)) == 200
    assert made_up.requests[0].args == ["show", "caf\udce9.md"]

    made_up.status = lambda: {"folders": ["/caf\udce9"]}  # type: ignore[method-assign]
    listening = listen(store, os.environ)
    daemon = made_up.start(listening, store)
    assert ask(store, "/status") == {"folders": ["/caf\udce9"]}
    daemon.close()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_another_method_is_4xx(made_up: MadeUp, store: str, method: str) -> None:
    """As is another place."""
    assert 400 <= posted(store, "/run", b"{}", method) < 500
    assert 400 <= posted(store, "/nowhere", b"{}") < 500
    assert made_up.requests == []


CHUNKED = HEAD.format(method="POST", path="/run") + "Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        f"{CHUNKED}zz\r\n".encode(),
        f"{CHUNKED}5\r\nhello\r\nnonsense".encode(),
        f"{CHUNKED}{'f' * 40}\r\n".encode(),
        f"{CHUNKED}2\r\n{{}}\r\n0\r\n\r\n".encode(),
        f"{HEAD.format(method='POST', path='/run')}Content-Length: 99999999999\r\n\r\n{{".encode(),
        f"{HEAD.format(method='POST', path='/run')}Content-Length: 100\r\n\r\n{{".encode(),
    ],
    ids=range(14),
)
def test_what_is_no_http_is_4xx_or_closed(made_up: MadeUp, store: str, data: bytes) -> None:
    """Whatever its framing claims."""
    answer = status(raw(store, data))

    assert answer == 0 or 400 <= answer < 500
    assert made_up.requests == []
    assert forward(["search", "x"]) == 0


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
requests = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda method, path, headers, body: (
            f"{method} {path} HTTP/1.1\r\n".encode("latin-1", "replace") + headers + b"\r\n" + body
        ),
        st.sampled_from(["POST", "GET", "HEAD", "PUT", "P\0ST"]),
        st.sampled_from([*PATHS, "/run?a=\0", "//run", "http://localhost/run", "*"]),
        st.sampled_from(
            [
                b"Host: localhost\r\nContent-Type: application/json\r\n",
                b"Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
                b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 40\r\n",
                b"Host: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n",
                b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
                b"",
            ]
        ),
        st.binary(max_size=100),
    ),
)


@given(data=requests)
def test_no_bytes_get_a_5xx(made_up: MadeUp, store: str, data: bytes) -> None:
    """Nor do they end the daemon, which goes on answering."""
    assert status(raw(store, data)) < 500
    assert made_up.requests == []


@given(
    key=st.sampled_from(["args", "cwd", "env", "columns", "encoding", "stdin", "terminal", "stdout_tty"]), value=values
)
def test_no_values_get_a_5xx(made_up: MadeUp, store: str, key: str, value: object) -> None:
    """Each value of a request may be anything."""
    assert posted(store, "/run", asked(store, **{key: value})) < 500
    assert posted(store, "/run", json.dumps(value).encode()) < 500
    assert made_up.stopped.is_set() is False


@pytest.fixture
def patience() -> float:
    """How many seconds a connection may be idle."""
    return 0.5


@pytest.fixture
def narrow(store: str, patience: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A daemon with room for few connections and little patience; what it says."""
    monkeypatch.setattr(connections.ConnectionLimits.__init__, "__defaults__", (6, patience))
    said: list[str] = []
    listening: Listening = listen(store, os.environ)
    handlers = Handlers(lambda _request, _wire: 0, dict, lambda: None)
    from kb import __version__

    daemon = DaemonServer(listening, store, __version__, handlers, said.append)
    daemon.start()
    yield store, said
    daemon.close()


def test_idle_connections_are_closed(narrow: tuple[str, list[str]]) -> None:
    """Those that say nothing, and those that say a byte now and then."""
    store, _ = narrow
    with connected(store) as silent, connected(store) as slow:
        silent.settimeout(120)
        slow.settimeout(120)
        # On a busy machine the time is over before the last byte.
        with suppress(ConnectionError):
            for byte in b"GET /st":
                time.sleep(0.02)
                slow.sendall(bytes([byte]))
        began = time.monotonic()
        assert status(silent.recv(1000)) == 408
        assert status(slow.recv(1000)) == 408
        assert silent.recv(1) == slow.recv(1) == b""
        assert time.monotonic() - began < 120


def test_a_body_that_never_ends_is_given_up(narrow: tuple[str, list[str]]) -> None:
    """The head alone holds no connection."""
    store, _ = narrow
    with connected(store) as slow:
        slow.settimeout(120)
        slow.sendall(f"{HEAD.format(method='POST', path='/run')}Content-Length: 100\r\n\r\n{{".encode())
        assert slow.recv(1000) == b""


@pytest.mark.parametrize("patience", [120.0])
def test_many_idle_connections_keep_no_command_out(narrow: tuple[str, list[str]]) -> None:
    """The oldest of them make way, long before their time is up."""
    store, said = narrow
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(store)) for _ in range(50)]
        first = idle[0].recv(1000)
        assert (status(first), b"Retry-After: 1" in first) == (503, True)
        assert forward(["search", "x"]) == 0
        assert ask(store, "/status") == {}
    assert said == []


def test_a_command_may_take_longer_than_its_request(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its answer may be read as slowly as a pager shows it."""
    from owners import MadeUp

    monkeypatch.setattr(connections.ConnectionLimits.__init__, "__defaults__", (6, 2.0))

    def command(_request: object, output: CommandOutput) -> int:
        output.out("one\n")
        time.sleep(2.2)
        output.out("two\n")
        return 7

    daemon = MadeUp(command).start(listen(store, os.environ), store)
    assert forward(["index"]) == 7
    daemon.close()


def test_without_a_thread_to_spare_there_is_a_sentence(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, no 500, and the daemon goes on."""

    def none(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("concurrent.futures.ThreadPoolExecutor.submit", none)
        assert forward(["search", "x"]) == 2
        assert "out of threads" in capfd.readouterr().err
    assert forward(["search", "x"]) == 0
    assert len(made_up.requests) == 1


def test_too_many_open_files_are_told_once() -> None:
    """By what the event loop calls whenever it cannot take a connection, with what helps."""
    said: list[str] = []
    handler = connections.exception_handler(said.append)
    loop: Any = None
    for _ in range(3):
        handler(loop, {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "")})
    handler(loop, {"message": "x", "exception": ConnectionResetError()})

    assert len(said) == 1
    assert "ulimit -n" in said[0]
