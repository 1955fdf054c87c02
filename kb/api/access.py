"""Whom a server admits: neither web pages nor whoever lacks the token.

A page in a browser on the same machine can send requests to local ports. Its own requests carry an ``Origin``; one that
rebound its host name to this machine carries that name as ``Host``. Both are refused, and nothing is ever allowed to
other origins.
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.api.problems import Refusal
from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import Headers

_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Access:
    """What a request has to carry.

    Attributes:
        hosts: The allowed values of ``Host``, in lower case.
        token: Returns the token of the moment; None where the file permissions of a socket keep others away.
        any_address: The port of a server that listens at all addresses of the machine, which ``Host`` may name in
            digits; names have to be in ``hosts``. None for any other server.
        own_pages: Whether a page of this very server may send requests.
    """

    hosts: frozenset[str]
    token: Callable[[], str] | None = None
    any_address: int | None = None
    own_pages: bool = False

    def require(self, headers: Headers) -> None:
        """Check the headers of a request.

        Raises:
            Refusal: It is not admitted.
        """
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy in front may go by the other one, and take the rest of this body for a request of its own.
            raise Refusal(
                400, "the length of the body is given twice", "Send Content-Length or chunks", {"Connection": "close"}
            )
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._serves(hosts[0].lower()):
            raise Refusal(421, "this host is not served here", "Use the address that kb watch --status shows")
        own = {f"http://{hosts[0].lower()}"} if self.own_pages else set()
        if any(origin.lower() not in own for origin in headers.getlist("origin")):
            raise Refusal(403, "requests from web pages are refused", "Send it from a program, without Origin")
        if self.token is None:
            return
        given = headers.getlist("authorization")
        if not given:
            raise _unauthorized("the token is missing", "Bearer")
        token = given[0][len(_BEARER) :].strip() if given[0].lower().startswith(_BEARER) else ""
        try:
            expected = self.token()
        except KbError as error:
            raise Refusal(503, "the daemon cannot read its token", "Run kb token to see why") from error
        if len(given) != 1 or not secrets.compare_digest(token.encode("latin-1"), expected.encode()):
            raise _unauthorized("the token is wrong", 'Bearer error="invalid_token"')

    def _serves(self, host: str) -> bool:
        return host in self.hosts or (self.any_address is not None and _is_address(host, self.any_address))


def require_json(headers: Headers) -> None:
    """Check that the body of a request is JSON, which no form of a web page can send.

    Raises:
        Refusal: It is not.
    """
    media, _, parameters = headers.get("content-type", "").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if media.strip() != "application/json" or charset not in {"", "charset=utf-8"}:
        raise Refusal(
            415,
            "only application/json is taken",
            "Send JSON with Content-Type: application/json",
            {"Accept": "application/json"},
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(
            415, "compressed bodies are not taken", "Send it without Content-Encoding", {"Accept-Encoding": "identity"}
        )


def _is_address(host: str, port: int) -> bool:
    """Whether a ``Host`` is an address in digits with a port; no page can rebind one of those."""
    address, _, given = host.rpartition(":")
    try:
        ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return given == str(port)


def _unauthorized(detail: str, challenge: str) -> Refusal:
    return Refusal(
        401, detail, "Send the header Authorization: Bearer with what kb token prints", {"WWW-Authenticate": challenge}
    )
