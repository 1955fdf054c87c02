"""The port for programs: which addresses there are, and what is said where it cannot be opened."""

from __future__ import annotations

import socket

import pytest

from kb.errors import ConfigError, KbError
from kb.service.listen import Endpoint, Port, listen_at_port


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("127.0.0.1:7420", "127.0.0.1", 7420, "127.0.0.1:7420"),
        ("7420", "127.0.0.1", 7420, "127.0.0.1:7420"),
        ("[::1]:80", "::1", 80, "[::1]:80"),
        ("Example.ORG:1", "example.org", 1, "example.org:1"),
        ("192.168.1.2:65535", "192.168.1.2", 65535, "192.168.1.2:65535"),
    ],
)
def test_addresses_are_read_and_shown(text: str, host: str, port: int, shown: str) -> None:
    """A host and a port, or a port of this machine alone."""
    assert Endpoint.parsed(text) == Endpoint(host, port)
    assert str(Endpoint.parsed(text)) == shown


@pytest.mark.parametrize(
    "text", ["", ":", "host", "host:", ":80", "::1:80", "[]:80", "[::1]", "a:b", "a:65536", "a:-1", "a:²", "ä:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(ConfigError, match="is not an address") as caught:
        Endpoint.parsed(text)
    assert "127.0.0.1:7420" in caught.value.remedy


def opened(text: str) -> Port:
    """A port that listens for a moment."""
    port = listen_at_port(Endpoint.parsed(text))
    port.socket.close()
    return port


def test_loopback_is_named_in_three_ways() -> None:
    """As programs spell it; nobody else reaches it."""
    port = opened("localhost:0")
    number = port.endpoint.port

    assert number
    assert (port.loopback, port.everywhere) == (True, False)
    assert port.hosts() == {f"{host}:{number}" for host in ("localhost", "127.0.0.1", "[::1]")}


def test_all_addresses_are_no_loopback() -> None:
    """The name of this machine is one of those by which it is asked."""
    port = opened("0.0.0.0:0")

    assert (port.loopback, port.everywhere) == (False, True)
    assert f"{socket.gethostname().lower()}:{port.endpoint.port}" in port.hosts()


def test_the_port_of_http_need_not_be_named() -> None:
    """Clients leave it out."""
    with socket.socket() as some:
        assert "127.0.0.1" in Port(some, Endpoint("127.0.0.1", 80), loopback=True, everywhere=False).hosts()


def test_a_port_in_use_is_named_with_another_one() -> None:
    """The remedy is a command."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(KbError, match=f"port {number} is in use at 127.0.0.1") as caught:
            opened(f"127.0.0.1:{number}")
    assert caught.value.remedy == f"Use another one: kb watch --http 127.0.0.1:{number % 65535 + 1}"


def test_an_address_of_another_machine_is_refused() -> None:
    """As is a name that means none."""
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(KbError, match=f"this machine cannot listen at {host}"):
            opened(f"{host}:0")
