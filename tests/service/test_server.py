"""Who is let in by a daemon, and what it makes of requests that kb never sends."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.service.client import NoAnswer, RequestRefused, connect, post, request_of
from kb.service.server import refusal

if TYPE_CHECKING:
    from owners import MadeUp

pytest_plugins = ["owners"]

GOOD = {"host": "localhost", "content-type": "application/json", "authorization": "Bearer s"}
HOSTS = frozenset({"localhost"})


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, None),
        ({"origin": "http://localhost"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": ""}, 403),
        ({"authorization": "Bearer t"}, 401),
        ({"authorization": ""}, 401),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_only_kb_itself_is_let_in(changed: dict[str, str], status: int | None) -> None:
    """A web page that finds the port has an origin, another host, or no secret."""
    refused = refusal("POST", GOOD | changed, HOSTS, "s")

    assert (refused and refused[0]) == status


@given(st.dictionaries(st.sampled_from(["host", "authorization", "content-type"]), st.text(max_size=20)))
def test_no_headers_get_past_an_origin_or_a_wrong_host(headers: dict[str, str]) -> None:
    """Whatever else is sent along."""
    assert refusal("GET", headers | {"origin": "x"}, HOSTS) is not None
    assert (refusal("GET", headers, HOSTS) is None) == (headers.get("host") == "localhost")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"3", b"{", b"{}", b"\xff", b'{"args": 3}'],
)
def test_what_is_no_request_is_refused(made_up: MadeUp, store: str, body: bytes) -> None:
    """It runs nothing and stops nothing."""
    connection = connect(store, os.environ)
    assert connection is not None

    with pytest.raises(RequestRefused):
        list(post(connection, "/run", body))

    assert made_up.requests == []


@pytest.mark.parametrize("changed", [{"store": "/another"}, {"args": "search"}, {"columns": "wide"}, {"protocol": 0}])
def test_a_request_for_another_store_or_of_another_shape_is_refused(
    made_up: MadeUp, store: str, changed: dict[str, object]
) -> None:
    """Every value has its type, and the store is the owner's own."""
    connection = connect(store, os.environ)
    assert connection is not None

    with pytest.raises(RequestRefused):
        list(post(connection, "/run", json.dumps(request_of(["x"], store, "/") | changed).encode()))

    assert made_up.requests == []


def test_a_client_that_says_less_or_more_is_answered(made_up: MadeUp, store: str) -> None:
    """One that does not tell the height of its terminal, and one that tells what nobody knows yet."""
    asked = request_of(["x"], store, "/")
    del asked["lines"]

    for one in (asked, asked | {"lines": 24, "fonts": []}):
        connection = connect(store, os.environ)
        assert connection is not None
        assert b"".join(post(connection, "/run", json.dumps(one).encode())) == b'{"exit": 0}'
    assert [one.lines for one in made_up.requests] == [0, 24]


def test_a_request_that_is_too_large_is_refused(made_up: MadeUp, store: str) -> None:
    """Nobody fills the memory of the daemon."""
    connection = connect(store, os.environ)
    assert connection is not None

    with pytest.raises((RequestRefused, NoAnswer)):
        list(post(connection, "/run", b'"' + b"x" * 33_000_000 + b'"'))

    assert made_up.requests == []
