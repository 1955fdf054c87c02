"""The table of operations: what programs can ask of kb, with the types of requests and responses.

An operation is one function over ``Knowledge``. The HTTP server, the OpenAPI document and the Python client are made
from this table: a new operation is a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final, Literal, get_type_hints

import msgspec

from kb.errors import RequestError
from kb.ports import Knowledge, RunningDaemon
from kb.records import (
    Answer,
    CheckReport,
    Claim,
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
    SearchRequest,
    Shown,
    Status,
    Step,
    StoredPassage,
    Unmatched,
)

Method = Literal["GET", "POST"]
Scope = Literal["read", "write", "local"]
Kind = Literal["question", "run", "wait"]
# What a client may follow while an operation runs.
Reported = IndexProgress | FileEvent | Step | Claim

_MOST_FILES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation works with.

    Attributes:
        kb: The knowledge base.
        daemon: The daemon that holds it.
        gone: Whether the client has hung up, or the daemon stops.
        report: Sends what happens to a client that follows it.
    """

    kb: Knowledge
    daemon: RunningDaemon
    gone: Callable[[], bool]
    report: Callable[[Reported], None]


@dataclass(frozen=True)
class Operation:
    """Something that a program can ask.

    Attributes:
        method: The HTTP method. Requests of GET are in the query of the address.
        path: The path of the address.
        run: What it does. Its name, its first line and its annotations are those of the operation.
        scope: ``read``, ``write`` for what changes files, and ``local`` for what only the socket of the user offers.
        streams: Whether the response is lines of JSON: ``{"progress": ...}`` and ``{"event": ...}`` while it runs, at
            the end ``{"result": ...}`` or ``{"problem": ...}``.
        events: The types of the server-sent events, by name, that a client gets that accepts them; the last event is
            ``result`` or ``problem``. Empty where the response is always JSON.
        kind: Which threads run it: those for questions, those for runs, or those that wait for the index.
        without: The fields of the request that mean nothing here.
        requires: The fields that have to be there, although the type of the request has a default for them.
        example: A request for the documentation.
    """

    method: Method
    path: str
    run: Callable[[Call, Any], Any]
    scope: Scope = "read"
    streams: bool = False
    events: Mapping[str, type] = field(default_factory=dict)
    kind: Kind = "question"
    without: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name, and its ``operationId`` in OpenAPI."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """What it does, in one sentence."""
        return (self.run.__doc__ or "").partition("\n")[0]

    @cached_property
    def takes(self) -> type:
        """The type of the request."""
        _, request, _ = get_type_hints(self.run).values()
        return request  # type: ignore[no-any-return]  # whatever is annotated

    @cached_property
    def gives(self) -> type:
        """The type of the response."""
        return get_type_hints(self.run)["return"]  # type: ignore[no-any-return]  # the same


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request without fields."""


class PassageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A passage.

    Attributes:
        id: Its id, as in a hit.
    """

    id: str


class FileRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a file: lines, or a page.

    Attributes:
        path: The file: its path below a folder or absolute, its name, alias or title.
        first_line: The first line.
        last_line: The last line; null for the last one of the file.
        page: The page, instead of lines.
    """

    path: str
    first_line: int = 1
    last_line: int | None = None
    page: int | None = None


class NameRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file.

    Attributes:
        path: Its path below a folder or absolute, its name, alias or title.
        line: The line, where a passage at a line is meant.
    """

    path: str
    line: int | None = None


class FilesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which files to list.

    Attributes:
        path: Globs as in .gitignore, one of which has to match.
        tag: Tags that a file must all have.
        type: Names of file types, one of which has to match.
        lang: ISO 639 codes, one of which has to match.
        since: The earliest date.
        until: The latest date.
        limit: How many files at most, 1 to 1,000.
        offset: How many files to leave out at the beginning.
    """

    path: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    lang: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    limit: int = 100
    offset: int = 0

    def filters(self) -> Filters:
        """The filters that this stands for."""
        return Filters(self.path, self.tag, self.since, self.until, self.type, self.lang)


class FileList(msgspec.Struct, frozen=True):
    """Files of the index, sorted by folder and path.

    Attributes:
        files: Those from ``offset`` on.
        total: How many there are in all.
        unmatched: Values of the filters that match no file.
    """

    files: tuple[KnownFile, ...]
    total: int
    unmatched: tuple[Unmatched, ...] = ()


class Tag(msgspec.Struct, frozen=True):
    """A tag, and how many files have it or a nested tag."""

    tag: str
    files: int


class SyncRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait for the index.

    Attributes:
        timeout: Seconds; null for as long as it takes.
    """

    timeout: float | None = None


class Synced(msgspec.Struct, frozen=True):
    """Whether everything that was on disk is indexed, and what prevented it."""

    done: bool
    errors: tuple[str, ...] = ()


class NoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note to be written.

    Attributes:
        text: Its text.
        title: Its title; null for its first line.
        tags: Its tags.
    """

    text: str
    title: str | None = None
    tags: tuple[str, ...] = ()


class NoteWritten(msgspec.Struct, frozen=True):
    """The path of a note that was written, and the index run that followed."""

    path: str
    report: IndexReport


class ServiceStatus(msgspec.Struct, frozen=True):
    """The state of the index, and of the daemon that keeps it."""

    index: Status
    daemon: dict[str, Any]


class IndexRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An index run; see ``KnowledgeBase.index``."""

    full: bool = False
    dry_run: bool = False
    accept_deletions: bool = False
    take_over: bool = False


class PageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to open the page for browsers, if it is not open yet: a port, 0 for any that is free."""

    port: int = 0


class PageLink(msgspec.Struct, frozen=True):
    """A link that opens the page in one browser, once."""

    link: str


class PageClosed(msgspec.Struct, frozen=True):
    """Whether the page was open."""

    closed: bool


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A comparison of disk, catalog and vectors; ``repair`` fixes differences."""

    repair: bool = False


def search(call: Call, request: SearchRequest) -> Answer:
    """Find the passages nearest to a question, best first."""
    if request.like is not None:
        raise RequestError("a search for a question has no field like", "POST it to /v1/similar")
    return call.kb.search(request)


def similar(call: Call, request: SearchRequest) -> Answer:
    """Find passages of other files that are similar to a whole file, given as like."""
    if request.like is None:
        raise RequestError("the file is missing", 'Name it in the field like: {"like": "notes/backup.md"}')
    return call.kb.search(request)


def ask(call: Call, request: SearchRequest) -> Reply:
    """Answer a question in sentences of the files, or of the configured language model, with their sources."""
    told: list[Claim] = []

    def tell(step: Step | Claim) -> None:
        call.report(step)
        if isinstance(step, Claim):
            told.append(step)

    reply = call.kb.ask(request, on_step=tell, should_stop=call.gone)
    if not told:
        # Without a language model the sentences are those of the files.
        for quote in reply.quotes:
            call.report(Claim(quote.text, (quote,)))
    return reply


def passage(call: Call, request: PassageRequest) -> StoredPassage:
    """Return a passage by its id."""
    return call.kb.passage(request.id)


def file(call: Call, request: FileRequest) -> FileText:
    """Return the exact text of a file, by lines or by page."""
    return call.kb.read(request.path, first_line=request.first_line, last_line=request.last_line, page=request.page)


def files(call: Call, request: FilesRequest) -> FileList:
    """List the indexed files."""
    if not 1 <= request.limit <= _MOST_FILES or request.offset < 0:
        raise RequestError(
            f"limit must be from 1 to {_MOST_FILES}, and offset not below 0", "Ask for the rest with offset"
        )
    found = call.kb.documents(request.filters())
    page = tuple(found[request.offset : request.offset + request.limit])
    return FileList(page, len(found), call.kb.unmatched(request.filters()))


def links(call: Call, request: NameRequest) -> Links:
    """Return the links from and to a file."""
    return call.kb.links(request.path)


def tags(call: Call, request: FilesRequest) -> tuple[Tag, ...]:
    """Count the tags of the indexed files."""
    return tuple(Tag(tag, count) for tag, count in call.kb.tags(request.filters()))


def status(call: Call, _request: Nothing) -> ServiceStatus:
    """Tell the state of the index and of the daemon."""
    return ServiceStatus(call.kb.status(), call.daemon.status())


def sync(call: Call, request: SyncRequest) -> Synced:
    """Wait until everything that is on disk now is indexed."""
    done = call.daemon.sync(request.timeout, call.gone)
    return Synced(done, () if done else tuple(call.daemon.status()["errors"]))


def note(call: Call, request: NoteRequest) -> NoteWritten:
    """Write a dated note into the first folder and index it."""
    if not request.text.strip():
        raise RequestError("the note is empty", "Put its text into the field text")
    return NoteWritten(*call.kb.note(request.text, title=request.title, tags=request.tags))


def index(call: Call, request: IndexRequest) -> IndexReport:
    """Update the index from the folders."""
    return call.kb.index(
        full=request.full,
        dry_run=request.dry_run,
        accept_deletions=request.accept_deletions,
        take_over=request.take_over,
        on_progress=call.report,
        on_event=call.report,
        should_stop=call.gone,
    )


def open_page(call: Call, request: PageRequest) -> PageLink:
    """Open the page for browsers, and return a link that works once."""
    return PageLink(call.daemon.open_page(request.port))


def close_page(call: Call, _request: Nothing) -> PageClosed:
    """Close the page for browsers, and end its sessions."""
    return PageClosed(call.daemon.close_page())


def check(call: Call, request: CheckRequest) -> CheckReport:
    """Compare disk, catalog and vectors."""
    return call.kb.check(repair=request.repair)


def rebuild(call: Call, _request: Nothing) -> RebuildReport:
    """Rebuild the vector index."""
    return call.kb.rebuild()


def show(call: Call, request: NameRequest) -> Shown:
    """Return the indexed passages of a file, or those at a line."""
    return call.kb.show(request.path, request.line)


def resolve(call: Call, request: NameRequest) -> str:
    """Return the absolute path of the file that a name means."""
    return call.kb.resolve(request.path)


def unmatched(call: Call, request: Filters) -> tuple[Unmatched, ...]:
    """Return the filter values that match no file."""
    return call.kb.unmatched(request)


def documents(call: Call, request: Filters) -> tuple[KnownFile, ...]:
    """Return all indexed files that match."""
    return tuple(call.kb.documents(request))


def broken_links(call: Call, _request: Nothing) -> tuple[ResolvedLink, ...]:
    """Return all broken links."""
    return tuple(call.kb.broken_links())


_OF_QUESTIONS: Final = ("question", "mode", "explain", "literal", "rerank", "best_seconds", "cwd")

OPERATIONS: Final = (
    Operation(
        "POST",
        "/v1/search",
        search,
        without=("like",),
        requires=("question",),
        example={"question": "where do the backups go?", "limit": 3, "filters": {"paths": ["*.md"]}},
    ),
    Operation(
        "POST",
        "/v1/ask",
        ask,
        events={"step": Step, "sentence": Claim},
        without=("like",),
        requires=("question",),
        example={"question": "where do the backups go?"},
    ),
    Operation(
        "POST",
        "/v1/similar",
        similar,
        without=_OF_QUESTIONS,
        requires=("like",),
        example={"like": "backup.md", "limit": 3},
    ),
    Operation("GET", "/v1/passage", passage, example={"id": "1-5b6f8c"}),
    Operation("GET", "/v1/file", file, example={"path": "backup.md", "first_line": 1, "last_line": 20}),
    Operation("GET", "/v1/files", files, example={"tag": "disk", "limit": 10}),
    Operation("GET", "/v1/show", show, example={"path": "backup.md", "line": 3}),
    Operation("GET", "/v1/links", links, without=("line",), example={"path": "backup.md"}),
    Operation("GET", "/v1/tags", tags, without=("limit", "offset"), example={"path": "*.md"}),
    Operation("GET", "/v1/status", status),
    Operation("POST", "/v1/sync", sync, kind="wait", example={"timeout": 10}),
    Operation(
        "POST",
        "/v1/notes",
        note,
        scope="write",
        kind="run",
        example={"text": "The backups go to the cellar disk every night.", "title": "Backups", "tags": ["disk"]},
    ),
    Operation("POST", "/local/index", index, scope="local", streams=True, kind="run"),
    Operation("POST", "/local/open-page", open_page, scope="local", kind="run"),
    Operation("POST", "/local/close-page", close_page, scope="local", kind="run"),
    Operation("POST", "/local/check", check, scope="local", kind="run"),
    Operation("POST", "/local/rebuild", rebuild, scope="local", kind="run"),
    Operation("POST", "/local/resolve", resolve, scope="local"),
    Operation("POST", "/local/unmatched", unmatched, scope="local"),
    Operation("POST", "/local/documents", documents, scope="local"),
    Operation("POST", "/local/broken-links", broken_links, scope="local"),
)
BY_NAME: Final = {one.name: one for one in OPERATIONS}
