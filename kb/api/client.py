"""The client of a running daemon: a knowledge base whose every call is an operation of ``kb.api.operations``."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from kb import __version__
from kb.api.client_requests import ANY_SECONDS, filter_fields, path_and_body
from kb.api.codec import decode, encode
from kb.api.operations import BY_NAME, NoteWritten, PageClosed, PageLink, ServiceStatus, Synced, Tag
from kb.api.problems import MEDIA_TYPE, NOT_BEGUN, Problem, error_of
from kb.api.transport import ConnectionLost, NoDaemon, Transport
from kb.config.compare import differences, disagreement, shared_values
from kb.errors import ConfigError, NotIndexed, StoreBusy, StoreError
from kb.records import (
    Answer,
    CheckReport,
    FileEvent,
    FileText,
    Filters,
    IndexProgress,
    IndexReport,
    KnownFile,
    Links,
    RebuildReport,
    Reply,
    ResolvedLink,
    ResolvedRequest,
    SearchRequest,
    Shown,
    StoredPassage,
    Unmatched,
)
from kb.service.address import PROTOCOL
from kb.system.paths import expand_home, real_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kb.api.transport import Response
    from kb.config import Settings
    from kb.records import Status

_T = TypeVar("_T")
_SETTINGS: Final = "/local/settings"
_UNAVAILABLE: Final = 503


class _DaemonSettings(msgspec.Struct, frozen=True):
    """What a daemon says of its configuration.

    Attributes:
        version: The version of kb that it runs.
        protocol: The version of the protocol, with that of the commands.
        pid: Its process.
        store: The real path of its store.
        file: Its configuration file; None without one.
        folders_given: Whether its folders were named on its command line, so that those of clients do not matter.
        listing: The values that its clients have to agree on, as ``kb.config.compare.shared_values`` returns them.
    """

    version: str
    protocol: str
    pid: int
    store: str
    file: str | None
    folders_given: bool
    listing: dict[str, Any]


class DaemonClient:
    """The knowledge base of a running daemon; for any number of threads.

    All methods are those of ``KnowledgeBase``. They raise the exceptions that the daemon raised, and these besides:
    ``NoDaemon`` where none runs or it is stopping, ``ConnectionLost`` where it ended before it answered, ``StoreBusy``
    where it does not answer, and ``ConfigError`` where it has another version or configuration.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = settings.store_path()
        self._transport = Transport(self._store)
        self._agreed = ""

    def reachable(self) -> bool:
        """Whether a daemon runs."""
        return self._transport.reachable()

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        self._transport.close()

    # Questions.

    def search(self, request: SearchRequest, /) -> Answer:
        """Search with this program's configuration for what the request leaves open."""
        if request.like is None:
            return self._call("search", Answer, self._resolved(request))
        return self._of_file(
            request.like, lambda name: self._call("similar", Answer, self._resolved(request) | {"like": name})
        )

    def ask(self, request: SearchRequest, /) -> Reply:
        """The sentences that answer a question best."""
        config = self._settings.config
        return self._call("ask", Reply, self._fields(request.resolved(config.answer.defaults(config.search))))

    def passage(self, passage_id: str) -> StoredPassage:
        """The passage with an id."""
        return self._call("passage", StoredPassage, {"id": passage_id})

    def read(
        self, file: str, *, first_line: int = 1, last_line: int | None = None, page: int | None = None
    ) -> FileText:
        """The exact text of a file."""
        part = {"first_line": first_line, "last_line": last_line, "page": page}
        return self._of_file(file, lambda name: self._call("file", FileText, {"path": name, **part}))

    def show(self, file: str, line: int | None = None) -> Shown:
        """The passages of a file, or those at a line."""
        return self._of_file(file, lambda name: self._call("show", Shown, {"path": name, "line": line}))

    def resolve(self, name: str) -> str:
        """The absolute path of the file that a name means."""
        return self._call("resolve", str, {"path": name})

    def links(self, file: str) -> Links:
        """The links of a file and those to it."""
        return self._of_file(file, lambda name: self._call("links", Links, {"path": name}))

    def broken_links(self) -> list[ResolvedLink]:
        """All broken links."""
        return list(self._call("broken_links", tuple[ResolvedLink, ...]))

    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:
        """The filter values that match no file."""
        return self._call("unmatched", tuple[Unmatched, ...], filters)

    def documents(self, filters: Filters | None = None) -> list[KnownFile]:
        """The indexed files."""
        return list(self._call("documents", tuple[KnownFile, ...], filters or Filters()))

    def tags(self, filters: Filters | None = None) -> list[tuple[str, int]]:
        """Every tag with the number of its documents."""
        found = self._call("tags", tuple[Tag, ...], filter_fields(filters))
        return [(one.tag, one.files) for one in found]

    def status(self) -> Status:
        """The state of the index."""
        return self._call("status", ServiceStatus).index

    # The page.

    def open_page(self, port: int = 0) -> str:
        """Open the page for browsers, at a port or at any free one, and return a link that works once."""
        return self._call("open_page", PageLink, {"port": port}).link

    def close_page(self) -> bool:
        """Close the page; returns whether it was open."""
        return self._call("close_page", PageClosed).closed

    # Changes.

    def sync(self, timeout: float | None = None) -> bool:
        """Wait until everything that is on disk now is indexed."""
        return self._call("sync", Synced, {"timeout": timeout}).done

    def note(
        self,
        text: str,
        *,
        title: str | None = None,
        tags: Sequence[str] = (),
        on_written: Callable[[str], None] = lambda _: None,
    ) -> tuple[str, IndexReport]:
        """Write a note and index it."""
        request = {"text": text, "title": title, "tags": tuple(tags)}
        written = self._call("note", NoteWritten, request)
        on_written(written.path)
        return written.path, written.report

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare disk, catalog and vectors."""
        return self._call("check", CheckReport, {"repair": repair})

    def rebuild(self) -> RebuildReport:
        """Rebuild the vector index."""
        return self._call("rebuild", RebuildReport)

    def index(
        self,
        *,
        full: bool = False,
        dry_run: bool = False,
        accept_deletions: bool = False,
        take_over: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        on_event: Callable[[FileEvent], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> IndexReport:
        """Bring the index up to date; where ``should_stop`` ends it, the report only says that it was interrupted."""
        operation, stop = BY_NAME["index"], should_stop or _never
        request = {"full": full, "dry_run": dry_run, "accept_deletions": accept_deletions, "take_over": take_over}
        self._require_agreement()
        try:
            with self._transport.lines(operation.path, encode(request), stop) as (head, lines):
                if not head.ok:
                    raise _error(head)
                report = _followed(lines, on_progress or _ignore, on_event or _ignore)
            if report.interrupted and not stop():
                raise ConnectionLost  # noqa: TRY301 - the daemon stops; also where the connection breaks
            return report  # noqa: TRY300 - see above
        except ConnectionLost:
            if stop():
                return IndexReport(interrupted=True)
            raise

    # One call.

    def _call(self, name: str, gives: type[_T], request: object = None) -> _T:
        """Ask for an operation and return its result, of the type that the operation gives."""
        self._require_agreement()
        operation = BY_NAME[name]
        path, body = path_and_body(operation, request)
        response = self._transport.request(operation.method, path, body, repeatable=operation.kind != "run")
        if response.configuration != self._agreed:
            # It reloaded its configuration, or another daemon took its place.
            self._require_agreement(response.configuration)
        if not response.ok:
            raise _error(response)
        return decode(response.content, gives)

    def _resolved(self, request: SearchRequest) -> dict[str, Any]:
        """Return the fields of a request with the configured values of this program, in types that JSON has."""
        return self._fields(request.resolved(self._settings.config.search.defaults()))

    def _fields(self, whole: ResolvedRequest) -> dict[str, Any]:
        """Return the fields of a request in types that JSON has."""
        given = {field.name: getattr(whole, field.name) for field in fields(SearchRequest)}
        return given | {
            "limit": int(whole.limit),
            "per_file": int(whole.per_file),
            "min_score": float(whole.min_score),
            "best_seconds": min(float(whole.best_seconds), ANY_SECONDS),
        }

    def _of_file(self, name: str, call: Callable[[str], _T]) -> _T:
        """Call for a file that this program names from its own current folder, else by the name as it stands."""
        name = os.fspath(name)
        absolute = real_path(expand_home(name))
        if absolute == name or not os.path.lexists(absolute):
            return call(name)
        try:
            return call(absolute)
        except NotIndexed:
            if self._is_indexed(absolute):
                raise
            return call(name)

    def _is_indexed(self, absolute: str) -> bool:
        try:
            self.resolve(absolute)
        except NotIndexed:
            return False
        return True

    # Agreement of both configurations.

    def _require_agreement(self, digest: str = "") -> None:
        """Check once for each configuration of the daemon that it is that of this program.

        Args:
            digest: That of the daemon's configuration; empty where it is not known.

        Raises:
            ConfigError: The daemon runs another version of kb, or with other values.
        """
        if self._agreed and digest in {"", self._agreed}:
            return
        response = self._transport.request("GET", _SETTINGS)
        if not response.ok:
            raise _other_version("another version of kb")
        try:
            theirs = decode(response.content, _DaemonSettings)
        except ValueError as error:
            raise _other_version("another version of kb") from error
        if (theirs.version, theirs.protocol) != (__version__, PROTOCOL):
            raise _other_version(f"kb {theirs.version}")
        if theirs.store != self._store:
            raise ConfigError(f"this daemon serves the store {theirs.store}", "Stop it first: kb watch --stop")
        ours = shared_values(self._settings)
        if keys := differences(ours, theirs.listing, folders=not theirs.folders_given):
            file = self._settings.file
            raise disagreement(keys, theirs.pid, theirs.file, str(file) if file else None, "program")
        self._agreed = response.configuration


def _other_version(version: str) -> ConfigError:
    return ConfigError(f"the daemon runs {version}", "Restart it: kb watch --stop, then kb watch")


def _error(response: Response) -> Exception:
    """Return the exception for a response that is no success."""
    if response.media_type != MEDIA_TYPE:
        if response.status == _UNAVAILABLE:
            return StoreBusy("the daemon has too many connections", "Try again in a moment")
        return StoreError(f"the daemon answered with HTTP status {response.status}", "Restart it: kb watch --stop")
    return _error_of(decode(response.content, Problem))


def _error_of(problem: Problem) -> Exception:
    if problem.type == NOT_BEGUN:
        return NoDaemon()
    if problem.type != "about:blank":
        return error_of(problem)
    kind = StoreBusy if problem.status == _UNAVAILABLE else StoreError
    return kind(problem.detail, problem.remedy)


def _followed(
    lines: Iterator[bytes], on_progress: Callable[[IndexProgress], None], on_event: Callable[[FileEvent], None]
) -> IndexReport:
    """Pass on what an index run reports, and return its result.

    Raises:
        ConnectionLost: It ended without a result.
    """
    for line in lines:
        told = decode(line, _Line)
        if told.progress is not None:
            on_progress(told.progress)
        if told.event is not None:
            on_event(told.event)
        if told.problem is not None:
            raise _error_of(told.problem)
        if told.result is not None:
            return told.result
    raise ConnectionLost


class _Line(msgspec.Struct, frozen=True):
    """A line of the response to an index run."""

    progress: IndexProgress | None = None
    event: FileEvent | None = None
    result: IndexReport | None = None
    problem: Problem | None = None


def _ignore(_: object) -> None:
    """Nobody follows the run."""


def _never() -> bool:
    return False
