"""The address of a server that kb talks to: parsed, and checked for what a secret may be sent to."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

PORTS: Final = {"http": 80, "https": 443}


def parse_url(url: str) -> SplitResult:
    """The parts of an address of ``http`` or ``https``, without a user, a query or a fragment.

    Raises:
        ValueError: It is none.
    """
    parts = urlsplit(url)
    # As they go over the network: neither a space nor a control character, and no label of a host too long.
    sent = (parts.hostname or "").encode("idna").decode() + parts.path
    usable = bool(parts.hostname) and parts.port != 0 and sent.isascii() and sent.isprintable() and " " not in sent
    if parts.scheme not in PORTS or not usable or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not the address of a server")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port of an address, or the usual one of its scheme."""
    return parts.port or PORTS[parts.scheme]


def is_this_machine(host: str) -> bool:
    """Whether a host is a loopback address, so that nothing leaves this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tunnel(parts: SplitResult) -> str:
    """A way to reach a server that speaks plain ``http`` without sending anything unencrypted."""
    port = port_of(parts)
    return f"ssh -N -L {port}:127.0.0.1:{port} {parts.hostname}, then http://127.0.0.1:{port}"
