"""A Chroma server: connected to with a time limit on every call, its errors, and the collections that are kb's.

Chroma's own client waits without end, follows the proxies of the environment, and raises bare exceptions for what a
proxy in between answers. kb gives it a session of its own and changes nothing else.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kb.chroma_import import import_chromadb, safe_settings
from kb.errors import ChromaServerError, StoreDamaged, StoreError
from kb.store.chroma import ChromaIndex, Limits, short
from kb.store.collection import Place, check_model, check_origin, make_collection
from kb.urls import parse_url, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kb.ports import KnownVectors
    from kb.store.chroma import Pace

_API: Final = "/api/v2"
_CLOUD: Final = ".trychroma.com"
# A host that does not take the connection in this time is away.
_CONNECT_SECONDS: Final = 3.0
_LIST_PAGE: Final = 100
# The quotas of Chroma Cloud: https://docs.trychroma.com/cloud/quotas-limits
CLOUD_LIMITS: Final = Limits(results=300, label_bytes=4_096, texts=False)
# kb's catalog has the texts, and no other program needs to.
SERVER_LIMITS: Final = Limits(texts=False)
_WAITS: Final = (
    "Check that it runs, and store.chroma; until it can be used, answers come from this machine, and kb index sends "
    "the changes then"
)


class NameTaken(StoreError):
    """Another process created a collection of this name first."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A Chroma server, and where in it the vectors are kept.

    Attributes:
        url: Its address, ``https://host:port``.
        tenant: The tenant.
        database: The database.
        collection: The first part of the names of kb's collections.
        seconds: The longest that one call may take.
        headers: Returns the headers of each request, which are secrets; raises ``ChromaServerError``.
    """

    url: str
    tenant: str
    database: str
    collection: str
    seconds: float
    headers: Callable[[], Mapping[str, str]] = field(repr=False, default=dict)

    @property
    def is_cloud(self) -> bool:
        """Whether it is Chroma Cloud, which has quotas and indexes of its own."""
        return (parse_url(self.url).hostname or "").endswith(_CLOUD)

    @property
    def limits(self) -> Limits:
        """What one call may carry."""
        return CLOUD_LIMITS if self.is_cloud else SERVER_LIMITS


@dataclass(frozen=True, slots=True)
class FoundCollection:
    """A collection on the server.

    Attributes:
        name: Its name.
        id: Its id, which no other collection ever has.
        marks: Its metadata.
    """

    name: str
    id: str
    marks: Mapping[str, Any]


class ChromaServer:
    """The connection to a Chroma server, made with the first call. Several threads may use it.

    Every method takes ``ServerAddress.seconds`` at most for each request, and raises ``ChromaServerError`` where the
    server cannot be used.

    Args:
        address: The server.
    """

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self._client: Any = None
        # The addresses of this side of all connections; each new connection has another.
        self._connections: set[object] = set()

    @property
    def connections(self) -> int:
        """How many connections were made so far. A server that was restarted is asked through another one."""
        return len(self._connections)

    def version(self) -> str:
        """The version that the server says it has, of its interface."""
        with self._translated():
            return str(self._connected().get_version())

    def found(self, prefix: str) -> list[FoundCollection]:
        """The collections whose names begin with a prefix, by name."""
        found: list[FoundCollection] = []
        with self._translated():
            client = self._connected()
            while True:
                page = client.list_collections(limit=_LIST_PAGE, offset=len(found))
                found += [FoundCollection(one.name, str(one.id), one.metadata or {}) for one in page]
                if len(page) < _LIST_PAGE:
                    break
        return sorted((one for one in found if one.name.startswith(prefix)), key=lambda one: one.name)

    def make_empty(self, name: str, marks: Mapping[str, str | int]) -> None:
        """Create a collection that holds nothing but its marks.

        Raises:
            NameTaken: There is one of this name.
        """
        with self._translated():
            self._connected().create_collection(name, metadata=dict(marks), embedding_function=None)

    def mark(self, one: FoundCollection, marks: Mapping[str, str | int]) -> bool:
        """Replace the marks of a collection; returns whether it is still there, and not another of its name."""
        with self._translated():
            try:
                collection = self._connected().get_collection(one.name, embedding_function=None)
                if str(collection.id) != one.id:
                    return False
                collection.modify(metadata=dict(marks))
            except import_chromadb().errors.NotFoundError:
                return False
        return True

    def delete(self, name: str) -> None:
        """Delete a collection; it need not exist."""
        with self._translated(), contextlib.suppress(import_chromadb().errors.NotFoundError):
            self._connected().delete_collection(name)

    def make(
        self,
        name: str,
        marks: Mapping[str, str | int],
        *,
        fingerprint: str,
        dimension: int,
        function: object,
        pace: Pace,
        known: KnownVectors | None = None,
    ) -> ChromaIndex:
        """Create a collection for vectors.

        Raises:
            NameTaken: There is one of this name.
        """
        with self._translated():
            made = make_collection(
                self._connected(),
                name,
                fingerprint=fingerprint,
                dimension=dimension,
                function=function,
                marks=marks,
                spann=self.address.is_cloud,
            )
        return self._index(made, pace, known)

    def open(
        self, found: FoundCollection, *, fingerprint: str, dimension: int, pace: Pace, known: KnownVectors | None = None
    ) -> ChromaIndex:
        """Open a collection with vectors.

        Args:
            found: The collection.
            fingerprint: The fingerprint of the model.
            dimension: The length of its vectors.
            pace: How fast to write.
            known: Returns those vectors of some ids that are at hand: as text, those of an answer are megabytes.

        Raises:
            ForeignStore: kb did not create it.
            ModelMismatch: It has vectors of another model.
            StoreDamaged: It is gone.
        """
        with self._translated():
            collection = self._connected().get_collection(found.name, embedding_function=None)
        check_origin(collection, self.place(found.name))
        check_model(collection, fingerprint, dimension)
        return self._index(collection, pace, known)

    def place(self, name: str) -> Place:
        """A collection, for messages."""
        return Place(f"the collection {name} at {self.address.url}", "Set store.collection to another name")

    def count(self, name: str) -> int:
        """How many records a collection has.

        Raises:
            StoreDamaged: There is none of this name.
        """
        with self._translated():
            return int(self._connected().get_collection(name, embedding_function=None).count())

    def close(self) -> None:
        """Close the connection; the next call makes another. Closing again is allowed."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _index(self, collection: Any, pace: Pace, known: KnownVectors | None) -> ChromaIndex:  # noqa: ANN401 - naming chromadb's types would import it
        name = f"the vector index at {self.address.url}"
        return ChromaIndex(None, collection, name, self._translated, pace=pace, limits=self.address.limits, known=known)

    def _connected(self) -> Any:  # noqa: ANN401 - see _index
        client = self._client
        if client is None:
            client = self._client = connect(self.address, self._connections.add)
        return client

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return translated_errors(self.address)


def connect(address: ServerAddress, on_connection: Callable[[object], None] = lambda _: None) -> Any:  # noqa: ANN401 - naming chromadb's types would import it
    """The client that ``chromadb.HttpClient`` makes, with a time limit on every call. Its tenant and database exist.

    Args:
        address: The server.
        on_connection: Called with the address of this side of the connection, after each response.

    Raises:
        ChromaServerError: The headers cannot be read, or it is no Chroma server.
    """
    import_chromadb()
    from chromadb.api.client import Client

    parts = parse_url(address.url)
    trusted = _trusted(parts.scheme)
    session = _session(address, trusted, on_connection)

    class BoundedClient(Client):
        """Sends everything through a session of kb's, from the first request on."""

        def get_user_identity(self) -> Any:  # noqa: ANN401 - Chroma's own class
            """Ask for the user, which is the first request of a client."""
            server: Any = self._server
            server._session.close()  # noqa: SLF001 - Chroma's client has no setting for its time limits
            session.headers.update(server._session.headers)  # noqa: SLF001 - the same
            server._session = session  # noqa: SLF001 - the same
            return self._server.get_user_identity()

        def _validate_tenant_database(self, tenant: str, database: str) -> None:
            """Ask for tenant and database by the same session; Chroma would use one without limits."""
            server: Any = self._server
            server.get_tenant(name=tenant)
            server.get_database(name=database, tenant=tenant)

        def close(self) -> None:
            """Close the connections too, which Chroma leaves to the garbage collector."""
            session.close()
            super().close()

    try:
        settings = safe_settings(
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=parts.hostname,
            chroma_server_http_port=port_of(parts),
            chroma_server_ssl_enabled=parts.scheme == "https",
            chroma_server_ssl_verify=trusted,
            chroma_server_headers=dict(address.headers()),
            chroma_server_api_default_path=f"{parts.path.rstrip('/')}{_API}",
        )
        return BoundedClient(tenant=address.tenant, database=address.database, settings=settings)
    except BaseException as error:
        session.close()
        if isinstance(error, (KeyError, TypeError)):
            # JSON of another shape than a Chroma server's.
            raise _no_server(address) from error
        raise


def _trusted(scheme: str) -> ssl.SSLContext:
    """The certificates of this machine for TLS, and none without it: reading them takes longer than most requests."""
    return ssl.create_default_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _session(address: ServerAddress, trusted: ssl.SSLContext, on_connection: Callable[[object], None]) -> Any:  # noqa: ANN401 - see connect
    """A session that waits no longer than allowed, and goes neither through proxies nor to where it is redirected."""
    import httpx

    def notice(response: httpx.Response) -> None:
        on_connection(response.extensions["network_stream"].get_extra_info("client_addr"))

    return httpx.Client(
        timeout=httpx.Timeout(address.seconds, connect=min(address.seconds, _CONNECT_SECONDS)),
        verify=trusted,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"response": [notice, _refuse]},
    )


# Translation of errors.


class HttpRefusal(Exception):
    """A response that no Chroma server gives, but a proxy in front of it, or another server altogether.

    Args:
        status: The HTTP status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


def _refuse(response: Any) -> None:  # noqa: ANN401 - see connect
    """Raise for a response that is no success and that Chroma's client would raise a bare exception for."""
    if response.is_success:
        return
    response.read()
    try:
        named = response.json()["error"]
    except (ValueError, TypeError, KeyError):
        raise HttpRefusal(response.status_code) from None
    if named not in import_chromadb().errors.error_types:
        raise HttpRefusal(response.status_code)


@contextlib.contextmanager
def translated_errors(address: ServerAddress) -> Iterator[None]:
    """Translate the errors of a server; wraps every call to it.

    Raises:
        ChromaServerError: It cannot be used at the moment.
        StoreDamaged: The collection is gone, or its index is damaged.
        NameTaken: A collection of that name exists.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        known = translate(error, address)
        if known is None:
            raise
        raise known from error


def translate(error: Exception, address: ServerAddress) -> StoreError | None:
    """The error of kb for an error of a server; None if it is none of these."""
    import httpx

    errors = import_chromadb().errors
    if isinstance(error, errors.ChromaError):
        text = f"{type(error).__name__}: {error}"
        return next(make(address, str(error)) for pattern, make in _ERRORS if pattern.search(text))
    if isinstance(error, HttpRefusal):
        return _by_status(error.status, address)
    if isinstance(error, httpx.TimeoutException):
        return ChromaServerError(f"{address.url} does not answer within {address.seconds:g} seconds", _WAITS)
    if isinstance(error, httpx.TransportError):
        return _unreachable(error, address)
    if isinstance(error, RuntimeError) and "has been closed" in str(error):
        # Another thread found the server away, and let go of the connection.
        return ChromaServerError(f"the connection to {address.url} was closed", _WAITS)
    return _no_server(address) if isinstance(error, json.JSONDecodeError) else None


def _unreachable(error: Exception, address: ServerAddress) -> ChromaServerError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ChromaServerError(
                f"the certificate of {address.url} is not trusted: {cause.verify_message}",
                "Install its certificate authority on this machine, or name its file: SSL_CERT_FILE=ca.pem",
            )
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return ChromaServerError(
                f"{address.url} answers, and not with TLS",
                f"Set store.chroma to http://{parse_url(address.url).netloc}, or to the port of the proxy with TLS",
            )
        cause = cause.__cause__ or cause.__context__
    detail = re.sub(r"^\[Errno -?\d+\] ", "", short(str(error))) or "the connection was closed"
    return ChromaServerError(f"{address.url} cannot be reached: {detail[0].lower()}{detail[1:]}", _WAITS)


def _by_status(status: int, address: ServerAddress) -> ChromaServerError:
    match status:
        case 401 | 403 | 407:
            return _refused_credentials(address, "")
        case 413:
            return ChromaServerError(
                f"{address.url} refuses requests of this size (HTTP status 413)",
                "Let the proxy in front of it pass on 10 MB",
            )
        case 429:
            return _too_many(address, "")
        case _ if status >= 500:  # noqa: PLR2004 - the class of HTTP's status codes
            return ChromaServerError(f"{address.url} answers with HTTP status {status}", _WAITS)
        case _:
            return _no_server(address)


def _no_server(address: ServerAddress) -> ChromaServerError:
    return ChromaServerError(f"{address.url} is not the address of a Chroma server", "Set store.chroma to one")


def _refused_credentials(address: ServerAddress, _text: str) -> ChromaServerError:
    return ChromaServerError(
        f"{address.url} refuses the headers that it is sent, or wants some",
        "Put what it wants into the file that store.headers_file names, such as x-chroma-token: TOKEN",
    )


def _too_many(address: ServerAddress, text: str) -> ChromaServerError:
    detail = f": {short(text)}" if text else ""
    return ChromaServerError(f"{address.url} takes no more requests for now{detail}", _WAITS)


def _over_quota(address: ServerAddress, text: str) -> ChromaServerError:
    return ChromaServerError(f"{address.url} has reached a quota: {short(text)}", "Raise it, or free space there")


def _no_tenant(address: ServerAddress, text: str) -> ChromaServerError:
    return ChromaServerError(f"{address.url} refuses: {short(text)}", "Set store.tenant and store.database")


def _full(address: ServerAddress, text: str) -> ChromaServerError:
    return ChromaServerError(f"the disk of {address.url} is full: {short(text)}", "Free some space there")


def _busy(address: ServerAddress, text: str) -> ChromaServerError:
    return ChromaServerError(f"{address.url} is busy: {short(text)}", _WAITS)


def _other_version(address: ServerAddress, text: str) -> ChromaServerError:
    return ChromaServerError(
        f"{address.url} has another version of ChromaDB: {short(text)}",
        "Run there the version of chromadb that constraints.txt names",
    )


def _taken(address: ServerAddress, text: str) -> NameTaken:
    return NameTaken(f"{address.url}: {short(text)}", "Try again")


def _gone(address: ServerAddress, text: str) -> StoreDamaged:
    return StoreDamaged(f"the vector index is not at {address.url} ({short(text)})", "Run kb rebuild")


def _broken(address: ServerAddress, text: str) -> StoreDamaged:
    return StoreDamaged(f"the vector index at {address.url} is damaged: {short(text)}", "Run kb rebuild")


def _refused(address: ServerAddress, text: str) -> ChromaServerError:
    return ChromaServerError(
        f"{address.url} refuses the request: {short(text)}",
        "Run kb rebuild; if the error returns, please report it with the output of kb --debug",
    )


# Chroma has few classes for many cases, and some come with another class by HTTP, so that messages tell them apart.
_ERRORS: Final[tuple[tuple[re.Pattern[str], Callable[[ServerAddress, str], StoreError]], ...]] = (
    (re.compile(r"already exists|^UniqueConstraintError"), _taken),
    (re.compile(r"^NotFoundError: (Tenant|Database)|(tenant|database) .*not found", re.IGNORECASE), _no_tenant),
    (re.compile(r"^(ChromaAuthError|AuthorizationError)"), _refused_credentials),
    (re.compile(r"^QuotaError|quota", re.IGNORECASE), _over_quota),
    (re.compile(r"^RateLimitError|rate limit|too many requests", re.IGNORECASE), _too_many),
    (re.compile(r"disk is full|no space left|\(code: 13\)", re.IGNORECASE), _full),
    (re.compile(r"is locked|\(code: [56]\)", re.IGNORECASE), _busy),
    (re.compile(r"^VersionMismatchError|^InvalidHTTPVersion"), _other_version),
    (re.compile(r"^NotFoundError"), _gone),
    (re.compile(r"^InternalError|^InvalidUUIDError|from the log store"), _broken),
    (re.compile(r"."), _refused),
)
