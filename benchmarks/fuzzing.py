"""Work for a child process: requests at random against a running HTTP server, until the time is up."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from schemathesis.generation.case import Case
    from schemathesis.schemas import APIOperation

_EXAMPLES: Final = 10
_RAW: Final = 15
_PATIENCE: Final = 60.0
_SERVER_ERROR: Final = 500
_BUSY: Final = 503
_STREAM: Final = "text/event-stream"
_MOST_TOLD: Final = 20
# The exception of Python in the details of a problem, or in a sentence of this module.
_KIND: Final = re.compile(r"\b[A-Z]\w+(?:Error|Exception|Disconnected)\b")
# Of a refusal of a larger body, the system may keep nothing for the client.
_LARGE: Final = 1_000_000


@dataclass(slots=True)
class Findings:
    """What the responses were.

    Attributes:
        statuses: How many there were by status; 0 where there was none.
        failed: How many responses must not be.
        failures: The first one of each kind, as a sentence, by its address and error.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def saw(self, what: str, status: int, body: bytes, canaries: Sequence[str]) -> None:
        """Note a response: a status of 500 or more is a failure, but for 503; so is a canary in the body."""
        self.statuses[status] += 1
        if status >= _SERVER_ERROR and status != _BUSY:
            self._failed(what, f"{status} {body[:300]!r}")
        if any(canary.encode() in body for canary in canaries):
            self._failed(what, "the text of a file that must not be read")

    def missed(self, what: str, error: Exception) -> None:
        """Note that there was no response."""
        self.statuses[0] += 1
        self._failed(what, f"no response ({type(error).__name__}: {error})")

    def _failed(self, what: str, why: str) -> None:
        self.failed += 1
        address = what.partition("?")[0].split(" ")[1]
        kind = _KIND.search(why)
        self.failures.setdefault((address, kind[0] if kind else why), f"{what}: {why}")


def fuzz(
    *, host: str, port: int, token: str, seconds: float, canaries: list[str], targets: list[str]
) -> dict[str, Any]:
    """Send requests made from the server's OpenAPI document, valid and not, and requests no document describes.

    Args:
        host: The server's host.
        port: Its port.
        token: Its bearer token.
        seconds: For how long; each operation gets valid requests and invalid ones even if that takes longer.
        canaries: Texts of files that must not be read.
        targets: Absolute paths of these files.

    Returns:
        The number of responses by status, the failures, and how many there were in all.
    """
    server = Server(host, port, token)
    document = json.loads(server.send("GET", "/v1/openapi.json")[1])
    findings = Findings()
    chance = random.Random(1)  # noqa: S311 - the same requests every time are wanted
    operations = list(described(document))
    until = time.monotonic() + seconds
    for seed, operation in enumerate(cycle(operations)):
        if seed >= 2 * len(operations) and time.monotonic() > until:
            break
        valid = seed // len(operations) % 2 == 0
        _described_requests(operation, seed, valid=valid, server=server, findings=findings, canaries=canaries)
        for _ in range(_RAW):
            method, path, body, headers = hostile(chance, document, targets)
            what = f"{method} {path[:200]} {body[:200]!r}"
            try:
                status, told = server.send(method, path, body, headers)
            except (OSError, HTTPException) as error:
                findings.missed(what, error)
            else:
                findings.saw(what, status, told, canaries)
    return {
        "statuses": {str(status): count for status, count in sorted(findings.statuses.items())},
        "failures": list(findings.failures.values())[:_MOST_TOLD],
        "failed": findings.failed,
    }


class Server:
    """A server as a client sees it.

    Args:
        host: Its host.
        port: Its port.
        token: Its bearer token.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        self.url = f"http://{host}:{port}"
        self.headers = {"Authorization": f"Bearer {token}"}
        self._address = host, port

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send one request, and return status and body; of a stream of events only the beginning.

        Raises:
            OSError: There is no response.
            HTTPException: It is not HTTP.
        """
        connection = HTTPConnection(*self._address, timeout=_PATIENCE)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in (self.headers | (headers or {})).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            # A server may refuse a large body before it has read it.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.send(body or b"")
            response = connection.getresponse()
            streams = response.headers.get_content_type() == _STREAM
            return response.status, b"" if streams else response.read()
        except ConnectionResetError:
            if len(body or b"") < _LARGE:
                raise
            return 0, b""
        finally:
            connection.close()


def described(document: dict[str, Any]) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    """The operations of an OpenAPI document, but for streams of events, which do not end."""
    import schemathesis
    from schemathesis.core.result import Err

    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        operation = found.ok()
        responses = document["paths"][operation.path][operation.method.lower()]["responses"]
        if not any(_STREAM in one.get("content", {}) for one in responses.values()):
            yield operation


def _described_requests(
    operation: APIOperation[Any, Any, Any, Any],
    seed: int,
    *,
    valid: bool,
    server: Server,
    findings: Findings,
    canaries: Sequence[str],
) -> None:
    """Send some requests of an operation, as its document says or against it."""
    import hypothesis
    import requests
    from schemathesis import GenerationMode

    mode = GenerationMode.POSITIVE if valid else GenerationMode.NEGATIVE

    def attempt(case: Case[Any]) -> None:
        what = f"{operation.method.upper()} {operation.path} {case.query!r:.200} {_told(case.body)}"
        try:
            response = case.call(base_url=server.url, headers=server.headers, timeout=_PATIENCE)
        except requests.RequestException as error:
            # What a client library refuses to send was not sent.
            if isinstance(error, (requests.ConnectionError, requests.Timeout)):
                findings.missed(what, error)
            return
        findings.saw(what, response.status_code, response.content, canaries)

    run: Callable[[], None] = hypothesis.seed(seed)(
        hypothesis.settings(
            max_examples=_EXAMPLES,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )(hypothesis.given(operation.as_strategy(generation_mode=mode))(attempt))
    )
    try:
        run()
    except hypothesis.errors.Unsatisfiable:
        # An operation without parameters has no request that contradicts its document.
        return


def _told(body: object) -> str:
    """A body of schemathesis, which has a value of its own for none."""
    return "" if type(body).__name__ == "NotSet" else f"{body!r:.200}"


def hostile(
    chance: random.Random, document: dict[str, Any], targets: Sequence[str]
) -> tuple[str, str, bytes, dict[str, str]]:
    """A request that no document describes: method, path, body and headers."""
    path, operations = chance.choice(sorted(document["paths"].items()))
    method = chance.choice(sorted(operations.keys() & {"get", "post"})).upper()
    if chance.random() < _ODD_METHOD:
        method = chance.choice(("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "GET", "POST"))
    value = chance.choice([*_VALUES, *(trick(one) for one in targets for trick in _TRICKS)])
    name = chance.choice(_fields(operations) or ["path"])
    headers = {"Content-Type": chance.choice(("application/json",) * 8 + ("text/plain", "application/json; charset=x"))}
    if chance.random() < _ODD_HEADER:
        headers[chance.choice(("Host", "Origin", "Authorization", "Range", "Expect", "Last-Event-ID"))] = (
            "\x7f" + "9" * 99
        )
    if method in {"GET", "HEAD"}:
        told = value if isinstance(value, str) else json.dumps(value)
        # What is quoted already goes as it is.
        return method, f"{path}?{name}={told if '%' in told else quote(told, errors='surrogatepass')}", b"", headers
    body = chance.choice(_BODIES) if chance.random() < _ODD_BODY else json.dumps({name: value}).encode()
    return method, path, body, headers


def _fields(operations: dict[str, Any]) -> list[str]:
    """Names of fields worth an attack, of the operations at one address."""
    named = [
        parameter["name"]
        for one in operations.values()
        for parameter in one.get("parameters", ())
        if "name" in parameter
    ]
    return [*named, *(_BODY_FIELDS if "post" in operations else ())]


_ODD_METHOD: Final = 0.1
_ODD_HEADER: Final = 0.1
_ODD_BODY: Final = 0.2
_BODY_FIELDS: Final = ("question", "like", "text", "title", "filters", "limit", "min_score", "mode", "timeout", "cwd")
_VALUES: Final[tuple[object, ...]] = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "\udcff",
        "\U0010ffff",
        "\u202e",
        "%",
        "%00",
        "%2e%2e%2f",
        "..",
        "/",
        "~",
        "~root",
    ),
    *("*" * 200, "**/" * 200, "[" * 500, "{a," * 100, "!" * 100, "(" * 1000, "a" * 100_000, "\\" * 1000, '"' * 999),
    *("-" * 1000, "path:" * 500, 'path:"', "tag:#", "since:9999-99-99", "type:*", "lang:xx", "9" * 400, "-1", "1e999"),
    *(-1, 0, 2**31, 2**63, 2**64, 10**400, -(10**400), 1e308, True, None, [], {}, [[]] * 50, {"path": {"path": []}}),
    *([""] * 5000, {"path": ["**/" * 300]}, {"since": "0000-00-00"}, {"tag": ["\0"]}, {"unknown": 1}),
)
_BODIES: Final = (
    *(
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"\xff\xfe",
        b"nul",
        b'{"question": "\xed\xa0\x80"}',
        b'{"limit": NaN}',
    ),
    *(b'{"question": "a", "question": "b"}', b'{"limit": -0}', b'{"limit": 1e400}', b"1" * 100_000, b"\0" * 1000),
    *(b'"' + b"a" * 2_000_000 + b'"', b'{"question": "' + b"a " * 300_000 + b'"}', b'{"question": "\\ud800"}'),
)
_TRICKS: Final[tuple[Callable[[str], str], ...]] = (
    lambda path: path,
    lambda path: f"file://{path}",
    lambda path: f"kb://{path}",
    lambda path: f"{'../' * 12}{path.lstrip('/')}",
    lambda path: f"a/{'../' * 12}{path.lstrip('/')}",
    lambda path: f"{'..%2f' * 12}{quote(path.lstrip('/'), safe='')}",
    lambda path: f"{'%2e%2e/' * 12}{path.lstrip('/')}",
    lambda path: "..\\" * 12 + path.lstrip("/"),
    lambda path: path.replace("/", "//"),
    lambda path: f"/proc/self/root{path}",
    lambda path: f"/dev/fd/../../..{path}",
    lambda path: f"{path}\0.md",
    lambda path: path.rpartition("/")[2],
    lambda path: f"../{'/'.join(path.split('/')[-2:])}",
    lambda path: "/".join(path.split("/")[-2:]),
    lambda path: f"./{'/'.join(path.split('/')[-2:])}/.",
    lambda path: path.upper(),
)
