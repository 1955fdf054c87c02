"""The tools: what each is for, and how it is answered from a knowledge base.

A tool is a function of a source, a call and its arguments that returns a result; ``text`` says the same for the
language model. A new tool is a row of ``TOOLS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kb.api.transport import ConnectionLost, NoDaemon
from kb.errors import AmbiguousName, KbError, NotIndexed, RequestError
from kb.mcp import text
from kb.mcp.paths import named, one_line, plain, shown
from kb.mcp.schemas import (
    UNTRUSTED,
    Arguments,
    FileFilters,
    FoundLink,
    LinksArguments,
    LinksResult,
    ListArguments,
    ListedFile,
    ListResult,
    NoteArguments,
    NoteResult,
    Passage,
    ReadArguments,
    ReadResult,
    Result,
    SearchArguments,
    SearchResult,
    Spot,
    StatusResult,
    arguments_of,
)
from kb.mcp.sources import Building, Call, KnowledgeSource, NotReady, wait_until_built
from kb.mcp.tokens import beginning, shares
from kb.records import DEFAULT_MODE, Filters, Mode, SearchRequest
from kb.search.filters import day_of
from kb.search.types import type_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kb.config import Settings
    from kb.records import Answer, FileText, Hit, KnownFile, ResolvedLink

T = TypeVar("T")

# The text of five hits, with what stands around it, comes to at most 2,500 tokens; more hits have as much each.
_HIT_TOKENS: Final = 380
_MOST_TOKENS: Final = 6_000
_READ_TOKENS: Final = 2_200
_LINKS: Final = 60
# How long a search waits for an index run, where it has found something already, and where it has not.
_WAIT_SECONDS: Final = 2.0
_FIRST_WAIT_SECONDS: Final = 10.0
_MAY_BE_WRITTEN: Final = (
    "kb's daemon stopped before it answered; the note may be written. Look for it with list before you write it again"
)
_TAGS: Final = 20


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: Its name.
        about: What it is for, and when to use which.
        takes: The type of its arguments.
        gives: The type of its result.
        run: Answers a call.
        tell: Says a result in words.
        writes: Whether it writes a file.
    """

    name: str
    about: str
    takes: type[Arguments]
    gives: type[Result]
    run: Callable[[KnowledgeSource, Call, Any], Any]
    tell: Callable[[Any], str]
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to.

    Attributes:
        words: For the language model.
        result: For the program; None after an error.
    """

    words: str
    result: Result | None = None


def answer(tool: Tool, source: KnowledgeSource, call: Call, values: Mapping[str, Any]) -> Outcome:
    """Answer a call; an error is an outcome that says what to do next."""
    try:
        asked = arguments_of(values, tool.takes)
        result = asked_again(lambda: tool.run(source, call, asked), repeatable=not tool.writes)
    except ConnectionLost:
        return Outcome(_MAY_BE_WRITTEN)
    except KbError as error:
        return Outcome(explained(error))
    return Outcome(tool.tell(result), result)


def asked_again(ask: Callable[[], T], *, repeatable: bool = True) -> T:
    """Return what is asked of a daemon; where it stopped or was restarted meanwhile, it is asked once more.

    Args:
        ask: Asks.
        repeatable: Whether it may be asked again although the daemon may have done it.

    Raises:
        ConnectionLost: The daemon stopped before it answered, and may have done it.
        KbError: The daemon keeps stopping, or raised this.
    """
    for _ in range(2):
        try:
            return ask()
        except NoDaemon:
            continue
        except ConnectionLost:
            if not repeatable:
                raise
    raise KbError("kb's daemon keeps stopping", "kb watch --status names its log")


def explained(error: KbError) -> str:
    """Return an error as an agent can act on it: it has no shell of kb's."""
    message = one_line(plain(error.message), most=2_000)
    match error:
        case AmbiguousName():
            return f"{message}. Call again with one of these paths"
        case NotIndexed():
            guess, asked, _ = error.remedy.partition("? ")
            return f"{message}. {f'{plain(guess)}? ' if asked else ''}Find the path with search or list"
        case RequestError() | NotReady():
            return f"{message}. {error.remedy}".rstrip()
        case _ if error.remedy:
            return f"{message}. The user can help: {plain(error.remedy)}"
        case _:
            return f"{message}. Tell the user"


def search(source: KnowledgeSource, call: Call, asked: SearchArguments) -> SearchResult:
    """Find the passages nearest to a question.

    Raises:
        RequestError: The question is empty.
    """
    if not asked.question.strip():
        raise RequestError("the question is empty", "Ask in plain words; list shows files without a question")
    settings = source.settings
    mode = _mode(asked.mode, settings)
    request = SearchRequest(asked.question, limit=asked.limit, mode=mode, filters=_filters(asked, asked.lang))
    with source.opened(call) as kb:
        found = kb.search(request)
        if found.index.as_of is None or (found.index.pending and not found.index.watching):
            # Nobody has indexed the folders yet, or nobody else does it.
            source.refresh()
            wait_until_built(source, call, _WAIT_SECONDS if found.hits else _FIRST_WAIT_SECONDS)
            found = kb.search(request)
    return _search_result(found, settings.folder_paths(), source.building(), asked.limit)


def _mode(asked: str | None, settings: Settings) -> Mode | None:
    """Return the mode that was asked for, else hybrid; None for that of the configuration, where it was chosen there.

    A file that has every key holds the default too, which nobody chose.
    """
    if asked is not None:
        return Mode(asked)
    chosen = settings.typed("search.mode") or settings.config.search.mode != DEFAULT_MODE
    return None if chosen else Mode.HYBRID


def _search_result(found: Answer, folders: Sequence[str], building: Building | None, limit: int) -> SearchResult:
    most = min(_MOST_TOKENS, _HIT_TOKENS * max(limit, len(found.hits)))
    texts = shares([plain(hit.passage.text) for hit in found.hits], most)
    hits = tuple(_passage(hit, shortened, folders) for hit, shortened in zip(found.hits, texts, strict=True))
    near = found.nearest
    return SearchResult(
        untrusted=UNTRUSTED,
        notices=text.search_notices(found, folders, building),
        found=bool(hits) and not found.weak,
        as_of=text.moment(found.index.as_of),
        waiting=found.index.pending,
        nearest=_spot(near, folders) if near else None,
        hits=hits,
    )


def _passage(hit: Hit, shortened: str, folders: Sequence[str]) -> Passage:
    passage = hit.passage
    return Passage(
        path=shown(passage.file, folders),
        lines=(passage.first_line, passage.last_line),
        place=one_line(plain(passage.place)),
        heading=one_line(plain(" > ".join(passage.heading))),
        cosine=_rounded(hit),
        changed=hit.changed,
        cut=len(shortened) < len(passage.text),
        copies=tuple(shown(one.passage.file, folders) for one in hit.duplicates),
        text=shortened,
    )


def _spot(hit: Hit, folders: Sequence[str]) -> Spot:
    passage = hit.passage
    return Spot(shown(passage.file, folders), (passage.first_line, passage.last_line), _rounded(hit))


def _rounded(hit: Hit) -> float | None:
    return None if hit.score is None else round(float(hit.score), 4)


def _filters(asked: FileFilters, lang: tuple[str, ...] = ()) -> Filters:
    """Return the filters; a path is taken from the folders, as it stands in results.

    Raises:
        RequestError: There is no such type of files.
    """
    paths = tuple(one.removeprefix("./") for one in asked.path)
    try:
        types = tuple(type_named(one) for one in asked.type)
    except ValueError as error:
        raise RequestError(str(error)) from error
    return Filters(paths, asked.tag, asked.since, asked.until, types, lang)


def read(source: KnowledgeSource, call: Call, asked: ReadArguments) -> ReadResult:
    """Return the exact text of some lines of a file."""
    with source.opened(call) as kb:
        found = kb.read(named(asked.path), first_line=asked.first_line, last_line=asked.last_line, page=asked.page)
    return _read_result(found, asked.offset, source.settings.folder_paths())


def _read_result(found: FileText, offset: int, folders: Sequence[str]) -> ReadResult:
    left = found.text[offset:]
    kept = beginning(left, _READ_TOKENS)
    ended = len(kept) == len(left)
    # Where the text is cut within a line, the next call reads that line from there.
    next_line = found.first_line + found.text[: offset + len(kept)].count("\n")
    within = 0 if kept.endswith("\n") or not kept else len(kept) - kept.rfind("\n") - 1
    next_offset = within + (offset if "\n" not in kept and "\n" not in found.text[:offset] else 0)
    last = next_line - 1 if kept.endswith("\n") else next_line
    return ReadResult(
        untrusted=UNTRUSTED,
        notices=text.read_notices(found, cut=not ended),
        path=shown(found.file, folders),
        lines=(found.first_line + found.text[:offset].count("\n"), found.last_line if ended else last),
        total_lines=found.lines,
        pages=found.pages,
        changed=found.changed,
        next_line=None if ended else next_line,
        next_offset=0 if ended else next_offset,
        text=plain(kept),
    )


def list_files(source: KnowledgeSource, call: Call, asked: ListArguments) -> ListResult:
    """List the files of the index, sorted by path."""
    folders, filters = source.settings.folder_paths(), _filters(asked)
    with source.opened(call) as kb:
        found = kb.documents(filters)
        unmatched = () if found else kb.unmatched(filters)
    page = found[asked.offset : asked.offset + asked.limit]
    end = asked.offset + len(page)
    return ListResult(
        untrusted=UNTRUSTED,
        notices=text.list_notices(unmatched, source.building()),
        total=len(found),
        files=tuple(_listed(file, folders) for file in page),
        next_offset=end if page and end < len(found) else None,
    )


def _listed(file: KnownFile, folders: Sequence[str]) -> ListedFile:
    title = one_line(plain(file.title), most=80)
    stem = file.path.rpartition("/")[2].rpartition(".")[0]
    return ListedFile(
        shown(file, folders),
        file.stat.size,
        day_of(file).isoformat(),
        "" if title == stem else title,
        tuple(one_line(plain(tag), most=60) for tag in file.tags[:_TAGS]),
    )


def links(source: KnowledgeSource, call: Call, asked: LinksArguments) -> LinksResult:
    """Return the links of a file, and those to it."""
    folders = source.settings.folder_paths()
    with source.opened(call) as kb:
        found = kb.links(named(asked.path))
    every = [*(_outgoing(one, folders) for one in found.outgoing), *(_incoming(one, folders) for one in found.incoming)]
    page = tuple(every[asked.offset : asked.offset + _LINKS])
    end = asked.offset + len(page)
    return LinksResult(
        untrusted=UNTRUSTED,
        path=shown(found.file, folders),
        total=len(every),
        links=page,
        next_offset=end if page and end < len(every) else None,
    )


def _outgoing(one: ResolvedLink, folders: Sequence[str]) -> FoundLink:
    path = shown(one.target, folders) if one.target else one_line(plain(one.link.target))
    return FoundLink("from", path, one.link.line, plain(one.problem))


def _incoming(one: ResolvedLink, folders: Sequence[str]) -> FoundLink:
    return FoundLink("to", shown(one.source, folders), one.link.line, plain(one.problem))


def status(source: KnowledgeSource, call: Call, _asked: Arguments) -> StatusResult:
    """Tell what is indexed, and how up to date it is."""
    folders = tuple(map(plain, source.settings.folder_paths()))
    try:
        with source.opened(call) as kb:
            now, tags = kb.status(), kb.tags()[:_TAGS]
    except NotReady as error:
        return StatusResult(notices=explained(error), state="starting", folders=folders)
    building = source.building()
    return StatusResult(
        untrusted=UNTRUSTED,
        notices=text.status_notices(now, building),
        state="indexing" if building or now.index.as_of is None else "ready",
        folders=folders,
        files=now.files,
        passages=now.passages,
        as_of=text.moment(now.index.as_of),
        waiting=now.index.pending,
        failed=now.failed,
        model=now.model,
        tags={one_line(plain(tag), most=60): count for tag, count in tags},
    )


def note(source: KnowledgeSource, call: Call, asked: NoteArguments) -> NoteResult:
    """Write a new note and index it."""
    folders = source.settings.folder_paths()
    with source.opened(call) as kb:
        path, report = kb.note(asked.text, title=asked.title, tags=asked.tags)
    failed = any(one.absolute_path == path for one in report.failures)
    short = path.removeprefix(f"{folders[0]}/") if len(folders) == 1 else path
    return NoteResult(path=plain(short), indexed=not failed and not report.interrupted)


_SEARCH: Final = (
    "Find passages of the user's files that answer a question. Use it first, instead of reading or grepping files. "
    "found=false: the files do not say"
)
_READ: Final = "Exact text of a file from search or list, by lines or page. next_line: call again for the rest"
_LIST: Final = "Which files there are, by folder, tag, type or date; not for finding content"
_LINKS_ABOUT: Final = "Links in a file and links to it, broken ones too"
_STATUS: Final = "Folders, counts, tags, and how up to date the index is"
_NOTE: Final = "Write a new dated note and index it; never changes a file. Only when the user asks"

TOOLS: Final = (
    Tool("search", _SEARCH, SearchArguments, SearchResult, search, text.search_text),
    Tool("read", _READ, ReadArguments, ReadResult, read, text.read_text),
    Tool("list", _LIST, ListArguments, ListResult, list_files, text.list_text),
    Tool("links", _LINKS_ABOUT, LinksArguments, LinksResult, links, text.links_text),
    Tool("status", _STATUS, Arguments, StatusResult, status, text.status_text),
    Tool("note", _NOTE, NoteArguments, NoteResult, note, text.note_text, writes=True),
)


def offered(*, write: bool) -> tuple[Tool, ...]:
    """Return the tools in their order; those that write only where that is allowed."""
    return tuple(tool for tool in TOOLS if write or not tool.writes)
