"""A server in a thread: clients that do not read on, and errors of the application."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from kb.service.connections import ConnectionLimits
from kb.service.http_server import HttpServer

if TYPE_CHECKING:
    from collections.abc import Iterator


class Endless:
    """An application that answers without end, until the client is gone."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    async def __call__(self, _scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Send, and note the end."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(self._gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        self.ended.set()

    async def _gone(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


@pytest.fixture
def said() -> list[str]:
    """The log."""
    return []


@pytest.fixture
def stalled() -> float:
    """How many seconds a client may stop reading."""
    return 0.2


@pytest.fixture
def endless(said: list[str], stalled: float) -> Iterator[tuple[Endless, int]]:
    """Such an application at a port."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = Endless()
    limits = ConnectionLimits(stalled=stalled, patient=frozenset({"/patient"}))
    server = HttpServer(app, listening, limits, said.append, name="kb-endless")  # type: ignore[arg-type]  # as ASGI
    server.start()
    yield app, listening.getsockname()[1]
    server.close()


def ask(port: int, path: str) -> socket.socket:
    """A client that asks and reads a little."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    return client


def test_a_client_that_stops_reading_is_disconnected(endless: tuple[Endless, int]) -> None:
    """It would hold its answer in memory for as long as it likes."""
    app, port = endless
    with ask(port, "/"):
        assert app.ended.wait(120)


@pytest.mark.parametrize("stalled", [2.0])
def test_a_slow_client_is_not(endless: tuple[Endless, int], stalled: float) -> None:
    """It reads on before the time is over, again and again."""
    app, port = endless
    with ask(port, "/") as client:
        until = time.monotonic() + 1.5 * stalled
        while time.monotonic() < until:
            client.recv(10_000_000)
            assert not app.ended.wait(0.1)
    assert app.ended.wait(120)


def test_a_pager_may_take_its_time(endless: tuple[Endless, int]) -> None:
    """What a command prints may be read as slowly as anyone likes."""
    app, port = endless
    with ask(port, "/patient"):
        assert not app.ended.wait(1)
    assert app.ended.wait(120)


class InParts:
    """An application that answers in parts, the second a moment after the first."""

    async def __call__(self, _scope: dict[str, Any], _receive: Any, send: Any) -> None:
        """Send."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})


def test_the_parts_of_an_answer_wait_for_no_acknowledgement(said: list[str]) -> None:
    """With Nagle's algorithm each part after the first would wait for the client, which acknowledges 40 ms later."""
    listening = socket.create_server(("127.0.0.1", 0))
    made: list[Any] = []

    class Limits(ConnectionLimits):
        def connection(self, **given: Any) -> Any:
            made.append(super().connection(**given))
            return made[-1]

    server = HttpServer(InParts(), listening, Limits(), said.append, name="kb-parts")  # type: ignore[arg-type]  # as ASGI
    server.start()
    with ask(listening.getsockname()[1], "/"):
        connected = made[0].transport.get_extra_info("socket")
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    server.close()
