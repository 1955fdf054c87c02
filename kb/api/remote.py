"""A knowledge base on another machine, asked over HTTP: the operations of ``/v1`` that change nothing.

The server is ``kb watch --http`` or a proxy in front of it. Nothing but Python's standard library speaks to it; no
redirect is followed and no proxy of the environment is used, so that the token reaches nobody else.
"""

from __future__ import annotations

import dataclasses
import math
import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from kb.api.client_requests import ANY_SECONDS, filter_fields, path_and_body
from kb.api.codec import decode
from kb.api.operations import BY_NAME, FileList, ServiceStatus, Synced, Tag
from kb.api.problems import MEDIA_TYPE, Problem, error_of
from kb.errors import ServerError
from kb.records import Answer, FileText, KnownFile, Links, Reply, SearchRequest, Shown, StoredPassage
from kb.search_methods import SearchMethods
from kb.system.paths import expand_home
from kb.urls import is_this_machine, parse_url, port_of, tunnel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from urllib.parse import SplitResult

    from kb.records import Filters, Status, Unmatched

_T = TypeVar("_T")

TOKEN: Final = "KB_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with the token."""
TOKEN_FILE: Final = "KB_TOKEN_FILE"  # noqa: S105 - the name of a variable
"""The environment variable that names a file with the token."""

_OK: Final = 200
_UNAUTHORIZED: Final = 401
_PAGE: Final = 1_000
_CONNECT_SECONDS: Final = 10.0
# A language model behind kb ask may take this long; the server bounds it.
_ANSWER_SECONDS: Final = 300.0
_LARGEST_TOKEN: Final = 4_096
# In bytes. The text of the largest documents, escaped in JSON, is smaller.
_LARGEST_ANSWER: Final = 512 * 2**20
_CHUNK: Final = 2**20
# Where the token is missing or wrong.
_REMEDY: Final = "Print it there with kb token, and put it into KB_TOKEN, or into a file that KB_TOKEN_FILE names"


def token_from(environ: Mapping[str, str]) -> str:
    """The token in the environment, or in the file that it names.

    Raises:
        ServerError: There is none, or the file cannot be read.
    """
    if token := environ.get(TOKEN, "").strip():
        return token
    if not (name := environ.get(TOKEN_FILE, "")):
        raise ServerError("the server needs a token", _REMEDY)
    try:
        with open(expand_home(name), encoding="ascii") as file:  # noqa: PTH123 - pathlib knows no missing home
            token = file.read(_LARGEST_TOKEN).strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no token"
        raise ServerError(f"the token in {name} cannot be read: {reason}", _REMEDY) from error
    if not token:
        raise ServerError(f"{name} is empty", _REMEDY)
    return token


class RemoteKnowledgeBase(SearchMethods):
    """A knowledge base that another machine serves with ``kb watch --http``, for questions only.

    The methods are those of ``KnowledgeBase``, with the same results and errors. What a search leaves open is filled
    in from the configuration of the server, and paths are those of its machine. For one thread.

    Example:
        >>> with RemoteKnowledgeBase("https://notes.example:7420", token) as kb:
        ...     answer = kb.search("where do the backups go?")

    Args:
        url: The address of the server. Plain ``http`` is for this machine only, such as the end of an SSH tunnel.
        token: What ``kb token`` prints on the server.

    Raises:
        ServerError: The address is not that of a server, or would send the token through the network unencrypted.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = address_of(url)
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {_checked(token)}", "Accept": "application/json"}
        host, port = parts.hostname or "", port_of(parts)
        if parts.scheme == "https":
            self._http: HTTPConnection = HTTPSConnection(
                host, port, timeout=_CONNECT_SECONDS, context=ssl.create_default_context()
            )
        else:
            self._http = HTTPConnection(host, port, timeout=_CONNECT_SECONDS)

    def close(self) -> None:
        """Close the connection. Closing again is allowed."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def ask(self, request: SearchRequest | str, /) -> Reply:
        """The sentences that answer a question best, or those of the server's language model."""
        return self._call("ask", Reply, _given(SearchRequest(request) if isinstance(request, str) else request))

    def passage(self, passage_id: str) -> StoredPassage:
        """The passage with an id."""
        return self._call("passage", StoredPassage, {"id": passage_id})

    def read(
        self, file: str, *, first_line: int = 1, last_line: int | None = None, page: int | None = None
    ) -> FileText:
        """The exact text of a file, or of some of its lines, or of a page."""
        part = {"path": file, "first_line": first_line, "last_line": last_line, "page": page}
        return self._call("file", FileText, part)

    def show(self, file: str, line: int | None = None) -> Shown:
        """The passages of a file, or the one at a line."""
        return self._call("show", Shown, {"path": file, "line": line})

    def resolve(self, name: str) -> str:
        """The path of the file that a name means, on the server's machine.

        Raises:
            NotIndexed: None has it, or several have.
        """
        return self._call("links", Links, {"path": name}).file.absolute_path

    def links(self, file: str) -> Links:
        """What a file links to and what links to it."""
        return self._call("links", Links, {"path": file})

    def documents(self, filters: Filters | None = None) -> list[KnownFile]:
        """The files of the index."""
        found: list[KnownFile] = []
        while True:
            page = self._call("files", FileList, filter_fields(filters) | {"limit": _PAGE, "offset": len(found)})
            found += page.files
            if not page.files or len(found) >= page.total:
                return found

    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:
        """The values of filters that no file has."""
        return self._call("files", FileList, filter_fields(filters) | {"limit": 1}).unmatched

    def tags(self, filters: Filters | None = None) -> list[tuple[str, int]]:
        """The tags of the files, each with how many have it."""
        found = self._call("tags", tuple[Tag, ...], filter_fields(filters))
        return [(one.tag, one.files) for one in found]

    def status(self) -> Status:
        """The state of the index."""
        return self.service_status().index

    def service_status(self) -> ServiceStatus:
        """The state of the index, and of the daemon that keeps it."""
        return self._call("status", ServiceStatus)

    def sync(self, timeout: float | None = None) -> bool:
        """Wait until everything that is on the server's disk now is indexed; False after ``timeout`` seconds."""
        return self._call("sync", Synced, {"timeout": timeout}).done

    def _answer(self, request: SearchRequest) -> Answer:
        return self._call("search" if request.like is None else "similar", Answer, _given(request))

    def _call(self, name: str, gives: type[_T], request: dict[str, Any] | None = None) -> _T:
        operation = BY_NAME[name]
        path, body = path_and_body(operation, request)
        status, kind, content = self._exchange(operation.method, f"{self._prefix}{path}", body)
        if status != _OK:
            raise self._refused(status, kind, content)
        try:
            return decode(content, gives)
        except ValueError as error:
            raise ServerError(
                f"{self.url} answered with something else than this kb expects",
                "Check the address, and that both machines have the same version of kb",
            ) from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, str, bytes]:
        """Send a request; returns the status, the media type and the content of the response."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        reused = self._http.sock is not None
        try:
            response = self._sent(method, path, body, headers)
        except (ConnectionError, HTTPException) as error:
            self._http.close()
            if not reused:
                raise self._unreachable(error) from error
            # A server closes a connection that was idle. Nothing here changes anything, so it is asked once more.
            return self._exchange(method, path, body)
        except OSError as error:
            self._http.close()
            raise self._unreachable(error) from error
        try:
            content = _content(response)
        except (OSError, HTTPException) as error:
            self._http.close()
            raise ServerError(f"{self.url} closed the connection amid its answer", "Ask again") from error
        if content is None:
            self._http.close()
            raise ServerError(
                f"{self.url} answered with more than {_LARGEST_ANSWER // 2**20} MB",
                "Check the address, and that kb watch --http runs there",
            )
        return response.status, response.headers.get_content_type(), content

    def _sent(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> HTTPResponse:
        if self._http.sock is None:
            self._http.connect()
        self._http.sock.settimeout(_ANSWER_SECONDS)
        self._http.request(method, path, body, dict(headers))
        return self._http.getresponse()

    def _refused(self, status: int, kind: str, content: bytes) -> Exception:
        """The exception for a response that is no success."""
        if status == _UNAUTHORIZED:
            return ServerError(f"{self.url} refused the token", _REMEDY)
        if kind != MEDIA_TYPE:
            return ServerError(
                f"{self.url} answered with HTTP status {status}", "Check that kb watch --http runs at this address"
            )
        try:
            problem = decode(content, Problem)
        except ValueError:
            return ServerError(f"{self.url} answered with HTTP status {status}", "Ask again in a moment")
        if problem.type == "about:blank":
            return ServerError(f"{self.url}: {problem.detail}", problem.remedy)
        return error_of(problem)

    def _unreachable(self, error: Exception) -> ServerError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return ServerError(
                f"the certificate of {self.url} is not trusted: {error.verify_message}",
                "Install its certificate authority on this machine, or name its file: SSL_CERT_FILE=ca.pem",
            )
        if isinstance(error, TimeoutError):
            reason = "it does not answer"
        elif isinstance(error, HTTPException):
            reason = "it does not answer in HTTP"
        else:
            reason = getattr(error, "strerror", None) or str(error) or "the connection was closed"
        return ServerError(
            f"{self.url} cannot be asked: {reason}", "Check the address, and that kb watch --http runs there"
        )


def _content(response: HTTPResponse) -> bytes | None:
    """The content of a response; None if it is larger than any that kb gives, or has no end."""
    if response.length is not None and response.length <= _LARGEST_ANSWER:
        return response.read()
    found = bytearray()
    while part := response.read(_CHUNK):
        found += part
        if len(found) > _LARGEST_ANSWER:
            return None
    return bytes(found)


def address_of(url: str) -> SplitResult:
    """The parts of a server's address.

    Raises:
        ServerError: See ``RemoteKnowledgeBase``.
    """
    try:
        parts = parse_url(url)
    except ValueError as error:
        raise ServerError(
            f"{url!r} is not the address of a server",
            "Write it as https://HOST:PORT, without a user, a space or a question mark",
        ) from error
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        raise ServerError(
            f"{url} would send the token and the questions unencrypted",
            f"Use https, or a tunnel: {tunnel(parts)}",
        )
    return parts


def _checked(token: str) -> str:
    """The token, which must not be able to end a line of the request."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ServerError("the token is not one that kb token prints", _REMEDY)
    return token


def _given(request: SearchRequest) -> dict[str, Any]:
    """The fields of a request that the server has to know; a folder of this machine means nothing there."""
    given = {one.name: (getattr(request, one.name), one.default) for one in dataclasses.fields(SearchRequest)}
    changed = {name: value for name, (value, default) in given.items() if value != default and name != "cwd"}
    if changed.get("best_seconds") == math.inf:
        changed["best_seconds"] = ANY_SECONDS
    return changed
