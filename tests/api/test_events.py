"""The events of the daemon: who follows, who comes back, and who is too slow."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from kb.api import limits
from kb.api.events import EventBus, Listener, WatchingState
from kb.records import FileEvent, IndexProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from served import Client, Served

pytest_plugins = ["served_notes"]

STATE = WatchingState("watching", "", 0, indexing=False)


def changed(name: str) -> FileEvent:
    """A file that was indexed again."""
    return FileEvent("changed", "/notes", name)


def parsed(text: bytes) -> dict[str, str]:
    """The fields of one event."""
    return dict(line.split(": ", 1) for line in text.decode().strip().splitlines())


def received(bus: EventBus, last_id: str = "") -> list[dict[str, str]]:
    """What a listener gets at once."""

    async def listen() -> list[dict[str, str]]:
        events = []
        first = True
        async for text in Listener(bus, last_id, heartbeat=0.05).stream():
            # One that comes back to nothing new gets a comment at once, and then one after the time of a heartbeat.
            if text.startswith(b":") and not first:
                break
            first = False
            events += [parsed(one) for one in text.split(b"\n\n") if one and not one.startswith(b":")]
        return events

    return asyncio.run(listen())


def test_a_listener_begins_with_the_state() -> None:
    """And not with what happened before."""
    bus = EventBus()
    bus.publish("file", changed("a.md"))
    bus.publish("state", STATE)

    (first,) = received(bus)
    assert first["event"] == "state"
    assert json.loads(first["data"]) == {
        "state": "watching",
        "reason": "",
        "waiting": 0,
        "indexing": False,
        "errors": [],
    }


def test_the_same_state_again_is_no_event() -> None:
    """The daemon tells it every second."""
    bus = EventBus()
    bus.publish("state", STATE)
    (first,) = received(bus)
    bus.publish("state", STATE)

    assert received(bus, first["id"]) == []


def test_a_listener_that_comes_back_gets_what_it_missed() -> None:
    """In order, from the event after the last one that it had."""
    bus = EventBus()
    bus.publish("state", STATE)
    (first,) = received(bus)
    for name in ("a.md", "b.md"):
        bus.publish("file", changed(name))

    events = received(bus, first["id"])
    assert [json.loads(one["data"])["path"] for one in events] == ["a.md", "b.md"]
    assert received(bus, events[0]["id"]) == events[1:]


@pytest.mark.parametrize("last_id", ["0badcafe-1", "x", "-", "1", "\ud800-1", "{epoch}-99", "{epoch}-²", "{epoch}--1"])
def test_an_id_that_means_nothing_here_is_told(last_id: str) -> None:
    """Of another daemon, of the future, or made up."""
    bus = EventBus()
    bus.publish("state", STATE)
    (first,) = received(bus)

    events = received(bus, last_id.replace("{epoch}", first["id"].partition("-")[0]))
    assert [one["event"] for one in events] == ["missed", "state"]


def test_events_that_are_no_longer_kept_are_told() -> None:
    """A bounded number is kept."""
    bus = EventBus(kept=2)
    bus.publish("state", STATE)
    (first,) = received(bus)
    for number in range(3):
        bus.publish("file", changed(f"{number}.md"))

    assert received(bus, first["id"])[0]["event"] == "missed"


def test_a_listener_that_falls_behind_is_disconnected() -> None:
    """It costs no memory meanwhile: its stream ends when it reads on."""
    bus = EventBus(kept=2)
    bus.publish("state", STATE)

    async def listen() -> int:
        stream = Listener(bus).stream()
        await anext(stream)
        for number in range(3):
            bus.publish("file", changed(f"{number}.md"))
        return len([text async for text in stream])

    assert asyncio.run(listen()) == 0


def test_progress_comes_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are indexed more often than anyone looks."""
    monkeypatch.setattr("kb.api.events._PROGRESS_SECONDS", 30.0)
    bus = EventBus()
    bus.publish("state", STATE)
    (first,) = received(bus)
    for number in range(50):
        bus.publish("progress", IndexProgress(number, 50, 0, 0, 0, 0, 0.0))

    assert [one["event"] for one in received(bus, first["id"])] == ["progress"]


def test_names_with_undecodable_bytes_and_line_ends_are_one_line() -> None:
    """JSON has escapes for both."""
    bus = EventBus()
    bus.publish("state", STATE)
    (first,) = received(bus)
    bus.publish("file", changed("a\n\ndata: b\udcff.md"))

    (event,) = received(bus, first["id"])
    assert json.loads(event["data"])["path"] == "a\n\ndata: b\udcff.md"


def test_a_heartbeat_shows_that_the_daemon_is_there() -> None:
    """A comment, after some time without an event."""

    async def listen() -> list[bytes]:
        stream = Listener(EventBus(), heartbeat=0.01).stream()
        return [await anext(stream) for _ in range(3)]

    assert all(text.startswith(b":") and text.endswith(b"\n\n") for text in asyncio.run(listen()))


def lines_of(answer: httpx.Response) -> Iterator[str]:
    """The lines of a stream that say something."""
    return (line for line in answer.iter_lines() if line and not line.startswith(":"))


def test_events_over_http(served: Served, client: Client) -> None:
    """From another thread to a client, with the media type of the protocol."""
    served.events.publish("state", STATE)
    with client.stream("GET", "/v1/events") as answer:
        lines = lines_of(answer)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert [next(lines)[:3], next(lines), next(lines)[:6]] == ["id:", "event: state", "data: "]
        threading.Thread(target=lambda: served.events.publish("file", changed("tea.md"))).start()
        last = next(lines).partition(" ")[2]
        assert next(lines) == "event: file"
        assert json.loads(next(lines).partition(" ")[2])["path"] == "tea.md"
    served.events.publish("file", changed("more.md"))
    with client.stream("GET", "/v1/events", headers={"Last-Event-ID": last}) as answer:
        lines = lines_of(answer)
        assert next(lines).startswith("id: ")
        assert next(lines) == "event: file"
        assert json.loads(next(lines).partition(" ")[2])["path"] == "more.md"


def test_so_many_listeners_and_no_more(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves makes room."""
    monkeypatch.setattr(limits, "NETWORK", replace(limits.NETWORK, listeners=1))
    served.events.publish("state", STATE)
    with served.at_port() as client:
        with client.stream("GET", "/v1/events") as answer:
            # The response ends with the iterator.
            lines = lines_of(answer)
            next(lines)
            assert client.get("/v1/events").status_code == 503
        until = time.monotonic() + 120
        while _status(client) != 200:
            assert time.monotonic() < until, "the place is not free again"
            time.sleep(0.05)


def test_listeners_who_come_at_once_are_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them takes its place before the next is admitted."""
    monkeypatch.setattr(limits, "NETWORK", replace(limits.NETWORK, listeners=2))
    with served.at_port() as client, ExitStack() as stack:
        address = (client.base_url.host, client.base_url.port or 0)
        connected = [stack.enter_context(socket.create_connection(address, timeout=120)) for _ in range(8)]
        head = f"Host: {client.base_url.netloc.decode()}\r\nAuthorization: {client.headers['authorization']}\r\n\r\n"
        for one in connected:
            one.sendall(f"GET /v1/events HTTP/1.1\r\n{head}".encode())
        statuses = [one.recv(12)[-3:] for one in connected]

    assert sorted(statuses) == [b"200"] * 2 + [b"503"] * 6


def test_a_request_for_the_head_alone_is_no_listener(client: Client) -> None:
    """It ends, unlike the events."""
    answer = client.head("/v1/events", timeout=120)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert client.head("/v1/events", timeout=120).status_code == 200


def _status(client: Client) -> int:
    with client.stream("GET", "/v1/events") as answer:
        return answer.status_code


def test_closing_the_port_ends_the_streams(served: Served) -> None:
    """At once: a stop of the daemon waits for no listener."""
    served.events.publish("state", STATE)
    ended = threading.Event()
    begun = threading.Event()

    def follow(url: httpx.URL, headers: httpx.Headers) -> None:
        with httpx.stream("GET", url, headers=headers, timeout=120) as answer:
            for _ in answer.iter_raw():
                begun.set()
        ended.set()

    with served.at_port() as client:
        threading.Thread(target=follow, args=[client.base_url.join("/v1/events"), client.headers]).start()
        assert begun.wait(120)
        began = time.monotonic()
    assert ended.wait(120)
    assert time.monotonic() - began < 60
