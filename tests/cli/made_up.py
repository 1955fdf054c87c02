"""Made-up answers and a knowledge base that gives them, for the tests of the command line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.config import Config, Settings
from kb.config.schema import Folders
from kb.errors import NotIndexed
from kb.records import (
    Answer,
    BackupReport,
    CheckReport,
    ExportReport,
    Failure,
    FileEvent,
    FileStat,
    FileText,
    Filters,
    Freshness,
    Hit,
    ImportReport,
    IndexProgress,
    IndexReport,
    KnownFile,
    Link,
    Links,
    Prompt,
    Quote,
    RebuildReport,
    Reply,
    ResolvedLink,
    SearchRequest,
    Shown,
    Signals,
    Status,
    StoredPassage,
    Unmatched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal, Self

    from kb.ports import Edit, Stream
    from kb.records import Claim, Step

HOSTILE = "\x1b[31mred\x07 \x9b2J \u202eabc\u2066 \U000e0041 \x7f \r \x1b]52;c;AAAA\x07 [bold]not markup[/bold]"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b\x07]*\x1b\\")
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def without_escapes(text: str) -> str:
    """Text without the escapes that kb itself writes: colours and links."""
    return _ESCAPES.sub("", text)


def acting(text: str) -> list[str]:
    """What in a text a terminal would act on, line ends and tabs aside."""
    return _ACTS.findall(text)


def known_file(path: str = "db.md", folder: str = "/notes", **given: Any) -> KnownFile:
    """A file of the catalog."""
    default = KnownFile(
        id=1,
        folder=folder,
        path=path,
        stat=FileStat(1234, 1, 1, 1, 1),
        content_hash=b"\0" * 32,
        read_ns=1,
        state="done",
        title="Databases",
        tags=("work",),
        date=date(2026, 1, 15),
        passages=2,
        language="en",
    )
    return replace(default, **given)


def passage(text: str = "Use ChromaDB.", path: str = "db.md", **given: Any) -> StoredPassage:
    """A passage of the catalog, its lines as many as its text has."""
    default = StoredPassage(
        id=f"{path}-id",
        file=known_file(path),
        text=text,
        heading=("Databases", "Vectors"),
        first_line=5,
        last_line=5 + text.count("\n"),
        page=None,
        digest=b"\1" * 32,
        ordinal=0,
    )
    return replace(default, **given)


def hit(text: str = "Use ChromaDB.", rank: int = 1, *, changed: bool = False, **given: Any) -> Hit:
    """A hit with a cosine of 0.75."""
    return Hit(
        rank=rank, passage=passage(text, **given), score=0.75, l2=0.7071, changed=changed, signals=Signals(1, 2.5)
    )


def answer(*hits: Hit, question: str = "Which vector store?", pending: int = 0) -> Answer:
    """An answer of an index that is complete but for some pending files."""
    return Answer(question, "dense", Freshness(datetime(2026, 1, 15, 12, tzinfo=UTC), pending), hits)


BACKUP = BackupReport(
    path="/backups/b.kb",
    files=3,
    passages=9,
    vectors=8,
    without_vector=1,
    model="tiny",
    fingerprint="tiny/1",
    folders=("/notes",),
    created="2026-01-15T12:00:00+00:00",
    size=4096,
    written=4096,
    seconds=0.5,
)


@dataclass
class FakeKnowledge:
    """A knowledge base that answers what it was given and remembers what it was asked."""

    given: Answer = field(default_factory=lambda: answer(hit()))
    report: IndexReport = field(default_factory=IndexReport)
    state: Status = field(
        default_factory=lambda: Status(
            ("/notes",), "/notes/.kb", "tiny", "tiny/1", "g1", 3, 9, 0, 0, 0, 4096, 2048, Freshness(None, 0)
        )
    )
    checked: CheckReport = field(default_factory=lambda: CheckReport(3, 9, 9))
    files: list[KnownFile] = field(default_factory=lambda: [known_file("a.md"), known_file("b.md")])
    shown: Shown = field(default_factory=lambda: Shown(known_file(), (passage("one\ntwo"), passage("three"))))
    unknown: tuple[Unmatched, ...] = ()
    during_index: Callable[[Callable[[], bool]], None] | None = None
    error: Exception | None = None
    after_note: BaseException | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    closed: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.closed = True

    def _called(self, name: str, **arguments: Any) -> None:
        self.asked.append((name, arguments))
        if self.error:
            raise self.error

    def index(
        self,
        *,
        full: bool = False,
        dry_run: bool = False,
        accept_deletions: bool = False,
        take_over: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        on_event: Callable[[FileEvent], None] | None = None,  # noqa: ARG002 - the signature is the real one's
        should_stop: Callable[[], bool] | None = None,
    ) -> IndexReport:
        """The report given, after one sight of progress; interrupted where that was wished."""
        given = {"take_over": True} if take_over else {}
        self._called("index", full=full, dry_run=dry_run, accept_deletions=accept_deletions, **given)
        if on_progress:
            on_progress(IndexProgress(2, 2, 20, 20, 3, 0, 6.0, to_embed=6, embedded_of=3))
        if self.during_index and should_stop:
            self.during_index(should_stop)
        return replace(self.report, dry_run=dry_run, interrupted=bool(should_stop and should_stop()))

    def search(self, request: SearchRequest, /) -> Answer:
        """The answer given."""
        self._called("search", request=request)
        return replace(self.given, question=request.question or request.like or "")

    def ask(
        self,
        request: SearchRequest,
        /,
        *,
        model: str | None = None,
        on_step: Callable[[Step | Claim], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """The first sentence of each hit of the answer given."""
        self._called("ask", request=request, model=model, on_step=on_step, should_stop=should_stop)
        quotes = tuple(Quote(one.passage.text, one.rank, one.passage.first_line) for one in self.given.hits)
        return Reply(quotes, replace(self.given, question=request.question))

    def prompt(self, request: SearchRequest, /) -> Prompt:
        """The question."""
        return Prompt("Answer.", request.question)

    def passage(self, passage_id: str) -> StoredPassage:
        """The passage of a hit given."""
        for one in self.given.hits:
            if one.passage.id == passage_id:
                return one.passage
        raise NotIndexed(f"{passage_id} is not in the index")

    def read(
        self, file: str, *, first_line: int = 1, last_line: int | None = None, page: int | None = None
    ) -> FileText:
        """The passages given as one text."""
        self._called("read", file=file, first_line=first_line, last_line=last_line, page=page)
        lines = "\n".join(one.text for one in self.shown.passages).split("\n")
        last = last_line or len(lines)
        return FileText(self.shown.file, "\n".join(lines[first_line - 1 : last]), first_line, last, len(lines), page)

    def show(self, file: str, line: int | None = None) -> Shown:
        """The file given."""
        self._called("show", file=file, line=line)
        return self.shown

    def resolve(self, name: str) -> str:
        """The path of a file given, by its path below the folder."""
        for file in self.files:
            if file.path == name:
                return f"{file.folder}/{file.path}"
        raise NotIndexed(f"{name} is not in the index")

    def unmatched(self, filters: Filters) -> tuple[Unmatched, ...]:  # noqa: ARG002 - the signature is the real one's
        """Those given."""
        return self.unknown

    def documents(self, filters: Filters | None = None) -> list[KnownFile]:
        """The files given."""
        self._called("documents", filters=filters or Filters())
        return self.files

    def links(self, file: str) -> Links:
        """A link of each kind, both ways."""
        self._called("links", file=file)
        note, other = known_file("a.md"), known_file("b.md")
        there = ResolvedLink(note, Link("b#Part", 3, "wiki"), other, 7)
        lost = ResolvedLink(note, Link(HOSTILE, 4, "path", embeds=True), problem="no such file")
        outside = ResolvedLink(note, Link("LICENSE", 5, "path"))
        return Links(note, (there, lost, outside), (ResolvedLink(other, Link("a", 1, "wiki", embeds=True), note),))

    def broken_links(self) -> list[ResolvedLink]:
        """The broken one of those."""
        return [one for one in self.links("").outgoing if one.problem]

    def tags(self, filters: Filters | None = None) -> list[tuple[str, int]]:
        """Two tags."""
        self._called("tags", filters=filters or Filters())
        return [("work", 12), (f"home/{HOSTILE}", 1)]

    def status(self) -> Status:
        """The status given."""
        """The files given."""
        self._called("status")
        return self.state

    def check(self, *, repair: bool = False) -> CheckReport:
        """The report given."""
        self._called("check", repair=repair)
        return self.checked

    def rebuild(self) -> RebuildReport:
        """A new generation from the cache."""
        self._called("rebuild")
        return RebuildReport("g2", 9, 0, 0.5)

    def backup(
        self,
        path: Path,
        *,
        incremental: bool = False,
        keep: int = 7,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> BackupReport:
        """A backup of nine vectors, of which one is missing."""
        self._called("backup", path=path, incremental=incremental, keep=keep)
        assert not should_stop()
        return replace(BACKUP, path=str(path))

    def export(
        self,
        path: Path | Stream,
        kind: Literal["jsonl", "parquet"],
        *,
        vectors: bool = True,
        replace: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> ExportReport:
        """One line with what is hostile to terminals."""
        self._called("export", path=path, kind=kind, vectors=vectors, replace=replace)
        assert not should_stop()
        if not isinstance(path, Path):
            path.write(json.dumps({"text": HOSTILE}, ensure_ascii=False).encode() + b"\n")
        return ExportReport(str(path), 9, 1, 4096, 0.5)

    def export_vectors(self, path: Path, *, should_stop: Callable[[], bool] = lambda: False) -> BackupReport:
        """A file of eight vectors."""
        self._called("export_vectors", path=path)
        assert not should_stop()
        return replace(BACKUP, path=str(path))

    def import_vectors(self, path: Path, *, should_stop: Callable[[], bool] = lambda: False) -> ImportReport:
        """Eight vectors, three of them new."""
        self._called("import_vectors", path=path)
        assert not should_stop()
        return ImportReport(8, 3, 0.5)

    def beside(self, store: str, *, folders: Sequence[str] = (), edit: Edit | None = None) -> FakeKnowledge:
        """This one again."""
        self._called("beside", store=store, folders=tuple(folders), edit=edit)
        return self

    def note(
        self,
        text: str,
        *,
        title: str | None = None,
        tags: Sequence[str] = (),
        on_written: Callable[[str], None] = lambda _: None,
    ) -> tuple[str, IndexReport]:
        """The path of a note, and the report given; with ``after_note``, what happens once it is written."""
        self._called("note", text=text, title=title, tags=tuple(tags))
        on_written("/notes/2026-01-15.md")
        if self.after_note:
            raise self.after_note
        return "/notes/2026-01-15.md", self.report


def settings(*folders: str, file: str | None = "/notes/config.toml") -> Settings:
    """A configuration with these folders."""
    return Settings(Config(folders=Folders(paths=folders)), Path(file) if file else None, Path("/notes"), {})


FAILURE = Failure("/notes", "bad\x1b.md", "not text:\x07 it is binary")
