"""Answers as the results of a search: what the template shows of each hit, and what is said about all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kb.search.filters import day_of
from kb.search.words import words_of
from kb.web import text
from kb.web.documents.markup import IN
from kb.web.excerpt import excerpt
from kb.web.query import MOST_HITS, at_passage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from kb.records import Answer, Hit, KnownFile
    from kb.search.words import Words
    from kb.web.query import Query


@dataclass(frozen=True, slots=True)
class PlaceLink:
    """A link to a place in a document: its label and its address."""

    label: str
    address: str


@dataclass(frozen=True, slots=True)
class Result:
    """A hit as it is shown.

    Attributes:
        rank: Its rank.
        title: The title of its document.
        trail: The headings above it.
        path: The path of its file, below its watched folder.
        where: Its lines or its page.
        address: The address at which it is read.
        score: Its cosine; None while it waits to be embedded.
        excerpt: Its best sentences, as HTML.
        tags: The tags of its file.
        day: The date of its file.
        changed: Whether its file changed since it was indexed.
        duplicates: Where its near duplicates are.
        embedded_in: The notes that embed its file.
        chosen: Whether it is the passage that is open.
        file: The absolute path of its file.
    """

    rank: int
    title: str
    trail: str
    path: str
    where: str
    address: str
    score: float | None
    excerpt: Markup
    tags: tuple[str, ...]
    day: str
    changed: bool
    duplicates: tuple[PlaceLink, ...]
    embedded_in: tuple[PlaceLink, ...]
    chosen: bool
    file: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence about an answer, with a link to what helps."""

    text: str
    link: PlaceLink | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """All that is shown of an answer.

    Attributes:
        line: How many hits there are, and what they are ranked by.
        hits: The hits.
        notices: What else there is to say.
        read_as: How the question was read, where it has operators.
        nearest: The nearest passage, where it is too far to be a hit.
        more: The address of more results; empty where there are no more, or too many.
        words: The words that are marked.
    """

    line: str
    hits: tuple[Result, ...]
    notices: tuple[Notice, ...]
    read_as: tuple[str, ...]
    nearest: Result | None
    more: str
    words: Words


def results_of(answer: Answer, query: Query, folders: Sequence[str] = ()) -> Results:
    """Return what is shown of an answer.

    Args:
        answer: The answer.
        query: The search.
        folders: The watched folders; their names are shown where there are several.
    """
    words = words_of(answer.query)
    nearest = answer.nearest if not answer.hits else None
    full = len(answer.hits) >= query.limit and query.limit < MOST_HITS
    return Results(
        line=text.results_line(answer),
        hits=tuple(_result(hit, query, words, folders) for hit in answer.hits),
        notices=tuple(_notices(answer, query)),
        read_as=tuple(text.read_as_lines(answer.read_as)) if answer.read_as else (),
        nearest=_result(nearest, query, words, folders) if nearest else None,
        more=query.address("/", limit=min(query.limit * 2, MOST_HITS)) if full else "",
        words=words,
    )


def shown_path(file: KnownFile, folders: Sequence[str]) -> str:
    """Return the path of a file below its watched folder, with the name of that where there are several."""
    if len(folders) < 2:  # noqa: PLR2004 - several
        return file.path
    return f"{file.folder.rstrip('/').rpartition('/')[2]}/{file.path}"


def _result(hit: Hit, query: Query, words: Words, folders: Sequence[str]) -> Result:
    passage, file = hit.passage, hit.passage.file
    trail = [one for one in passage.heading if one != file.title]
    open_here = query.file == file.absolute_path and passage.first_line <= query.line <= passage.last_line
    return Result(
        rank=hit.rank,
        title=file.title or file.path.rpartition("/")[2],
        trail=f" {IN} ".join(trail),
        path=shown_path(file, folders),
        where=text.where(passage),
        address=at_passage(query, passage),
        score=hit.score,
        excerpt=excerpt(hit, words),
        tags=file.tags,
        day=day_of(file).isoformat(),
        changed=hit.changed,
        duplicates=tuple(
            PlaceLink(
                f"{shown_path(one.passage.file, folders)}, {text.where(one.passage)}", at_passage(query, one.passage)
            )
            for one in hit.duplicates
        ),
        embedded_in=tuple(
            PlaceLink(shown_path(note, folders), query.address("/read", file=note.absolute_path, line=0, page=0))
            for note in hit.embedded_in
        ),
        chosen=open_here,
        file=file.absolute_path,
    )


def _notices(answer: Answer, query: Query) -> list[Notice]:
    """Return what there is to say about an answer, the most important first."""
    found = []
    if answer.weak:
        if answer.hits:
            found.append(Notice(text.TEXT["weak_shown"], PlaceLink(text.TEXT["weak_hide"], query.address(weak=False))))
        else:
            found.append(Notice(text.TEXT["weak"], PlaceLink(text.TEXT["weak_show"], query.address(weak=True))))
    elif not answer.hits and not answer.unmatched:
        found.append(Notice(_nothing(answer)))
    if answer.elsewhere:
        found.append(Notice(text.TEXT["elsewhere"]))
    if below := text.below_line(answer):
        found.append(Notice(below, PlaceLink(text.TEXT["weak_show"], query.address(weak=True))))
    found += [Notice(one) for one in (text.unfamiliar_line(answer), text.parts_line(answer)) if one]
    found += [Notice(one) for one in text.unmatched_lines(answer.unmatched)]
    if found and (other := text.by_mode(answer)):
        mode, label = other
        found[-1] = Notice(found[-1].text, PlaceLink(text.TEXT[label], query.address(mode=mode.value)))
    if not answer.hits and (wider := _wider(answer, query)):
        found.append(wider)
    return found


def _wider(answer: Answer, query: Query) -> Notice | None:
    """Return the way from a search that finds nothing to one that looks through more; None where none does.

    The way out of a selection of files stands above the results, whether there are any or not.
    """
    if replace(query, within="").narrows:
        return Notice(text.TEXT["narrowed"], PlaceLink(text.TEXT["within_clear"], query.without_filters().address()))
    read = answer.read_as
    words = (read.text or " ".join(read.phrases)) if read and (read.phrases or read.filters or read.without) else ""
    if not words:
        return None
    return Notice(text.TEXT["operators"], PlaceLink(text.TEXT["words_alone"], query.address(q=words)))


def _nothing(answer: Answer) -> str:
    if answer.read_as and not answer.read_as.text:
        return text.TEXT["no_question"]
    return text.nothing_line(answer)
