"""Results in words, for the language model.

What comes from a file stands between two lines that nobody who wrote the file could know: they hold a number drawn for
this answer.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from kb.mcp.paths import one_line, plain, shown
from kb.mcp.schemas import UNTRUSTED
from kb.records import BY_BOTH, BY_WORDS, MODES, nothing_found
from kb.records.wording import FILTER_PHRASES, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from kb.mcp.schemas import (
        LinksResult,
        ListResult,
        NoteResult,
        Passage,
        ReadResult,
        SearchResult,
        StatusResult,
    )
    from kb.mcp.sources import Building
    from kb.records import Answer, FileText, Freshness, Missing, Status, Unmatched

_SUGGESTIONS: Final = 8
_PROBLEMS: Final = 5
# Decimal digits cost a language model half of what hexadecimal ones do, and the mark stands twice around each text.
_MARKS: Final = 1_000_000
_BY_MEANING_ALONE: Final = [mode for mode, traits in MODES.items() if not traits.by_words]
# Modes that leave passages out: what these say is not known where nothing is found.
_SELECTIVE: Final = [mode for mode, traits in MODES.items() if traits.answered_by == "any hit"]
_BY_WORDS_TOO: Final = f": mode {BY_BOTH} or {BY_WORDS} finds the others"


def moment(when: datetime | None) -> str:
    """Return a time in ISO 8601, to the second; empty for None."""
    return when.isoformat(timespec="seconds") if when else ""


def search_notices(found: Answer, folders: Sequence[str], building: Building | None) -> str:
    """Return what to know about an answer: what it does not cover, and why it has no hits."""
    notices = [_no_hits(found, folders), *_unmatched(found.unmatched)]
    if found.index.as_of is None:
        how_far = f": {building}" if building else ""
        notices.insert(
            0, f"The index is being built{how_far}; this covers what is indexed so far. Ask again in a moment"
        )
    elif found.index.pending:
        notices.append(f"{count(found.index.pending, 'change')} not indexed yet; ask again in a moment")
    notices.append(one_line(plain(found.index.without_server)))
    notices.append(_words_only(found.index, _BY_WORDS_TOO if found.mode in _BY_MEANING_ALONE else ""))
    if found.elsewhere:
        notices.append(f"Passages with the words of the question are not among these hits; mode {BY_WORDS} finds them")
    if found.unfamiliar:
        notices.append(f"The model does not know this language ({found.unfamiliar}); mode {BY_WORDS} is more reliable")
    if found.below:
        notices.append(f"{count(found.below, 'more hit')} left out, being no nearer than unrelated passages")
    if found.missing:
        notices += _missing(found.missing)
    return _sentences(notices)


def _no_hits(found: Answer, folders: Sequence[str]) -> str:
    near = found.nearest
    if found.weak:
        cosine = f", cosine {near.score:.2f}" if near and near.score is not None else ""
        nearest = f" (nearest: {shown(near.passage.file, folders)}{cosine})" if near else ""
        return f"Nothing is near enough to the question to be an answer{nearest}{_not_said(found.index)}"
    if found.hits or found.index.as_of is None or found.unmatched:
        return ""
    if found.mode in _SELECTIVE:
        said = nothing_found(found.mode)
        return f"{said[0].upper()}{said[1:]}"
    return f"Nothing was found{_not_said(found.index)}"


def _not_said(index: Freshness) -> str:
    """Return what it means that nothing was found; nothing while files are found by their words only."""
    return "" if index.words_only else ": the files probably do not say"


def _words_only(index: Freshness, remedy: str) -> str:
    if not index.words_only:
        return ""
    return f"{index.by_meaning:,} of {count(index.files, 'file')} by meaning so far, all by words{remedy}"


def _missing(missing: Missing) -> Iterable[str]:
    if missing.failed:
        yield f"{count(missing.failed, 'file')} could not be indexed, and may hold the answer (status tells more)"
    if missing.held:
        yield f"{count(missing.held, 'file')} missing from the disk at the moment"


def _unmatched(unmatched: Sequence[Unmatched]) -> Iterable[str]:
    for one in unmatched:
        near = ", ".join(one_line(plain(name)) for name in one.near[:_SUGGESTIONS])
        hint = f"; {'similar' if one.similar else 'there is'}: {near}" if near else ""
        yield f"No file {FILTER_PHRASES[one.filter]} {one_line(plain(one.value))}{hint}"


def read_notices(found: FileText, *, cut: bool) -> str:
    """Return what to know about the text of a file."""
    return _sentences(
        [
            "The file changed since it was indexed" if found.changed else "",
            "There is more: call read again with first_line=next_line, offset=next_offset" if cut else "",
        ]
    )


def list_notices(unmatched: Sequence[Unmatched], building: Building | None) -> str:
    """Return why a list is empty, or not complete."""
    now = f"The index is being built: {building}" if building else ""
    return _sentences([*_unmatched(unmatched), now])


def status_notices(now: Status, building: Building | None) -> str:
    """Return what a user should know about the index."""
    reasons = [
        f"Not indexed: {one_line(plain(one.absolute_path))} ({one_line(plain(one.reason))})"
        for one in now.problems[:_PROBLEMS]
    ]
    more = len(now.problems) - _PROBLEMS
    return _sentences(
        [
            f"The index is being built: {building}" if building else "",
            _words_only(now.index, _BY_WORDS_TOO),
            *reasons,
            f"{more} more, which kb status --problems shows" if more > 0 else "",
        ]
    )


class Fence:
    """Marks text of files so that nothing in it, or beside it, can be taken for the beginning or the end of it.

    Args:
        texts: The texts, and what stands beside them, none of which has the mark.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        every = list(texts)
        self.mark = _drawn_mark()
        while any(self.mark in one for one in every):
            self.mark = _drawn_mark()

    def about(self) -> str:
        """The sentence that tells what the marks mean."""
        return f"<{self.mark}> encloses text of a file. {UNTRUSTED}."

    def around(self, text: str) -> str:
        """Return a text between its marks."""
        end = "" if text.endswith("\n") else "\n"
        return f"<{self.mark}>\n{text}{end}</{self.mark}>"


def _drawn_mark() -> str:
    return f"text{secrets.randbelow(_MARKS):06}"


def search_text(result: SearchResult) -> str:
    """Return the hits, each with its place, cosine and text."""
    places = [_place(one) for one in result.hits]
    fence = Fence([result.notices, *places, *(one.text for one in result.hits)])
    index = f"index as of {result.as_of}" if result.as_of else "index incomplete"
    head = f"{count(len(result.hits), 'passage')}, best first; {index}."
    if not result.hits:
        return _lines(result.notices, head if result.as_of else "")
    hits = [
        f"{number}. {place}\n{fence.around(one.text)}{_rest(one)}"
        for number, (place, one) in enumerate(zip(places, result.hits, strict=True), 1)
    ]
    return _lines(result.notices, head, fence.about(), *hits)


def _place(one: Passage) -> str:
    first, last = one.lines
    parts = [f"{one.path}:{first}-{last}", "by words" if one.cosine is None else f"cosine {one.cosine:.2f}"]
    parts += [part for part in (one.place, _heading_above(one)) if part]
    if one.changed:
        parts.append("changed since it was indexed")
    if one.copies:
        parts.append(f"also in {', '.join(one.copies[:_PROBLEMS])}")
    return " | ".join(parts)


def _heading_above(one: Passage) -> str:
    """Return the headings of a passage but for the last where the text begins with that."""
    above, _, last = one.heading.rpartition(" > ")
    return above if last and last == one.text.partition("\n")[0].lstrip("# ").rstrip() else one.heading


def _rest(one: Passage) -> str:
    return f"\n(cut; read lines {one.lines[0]} to {one.lines[1]} for all of it)" if one.cut else ""


def read_text(result: ReadResult) -> str:
    """Return the text of a file, with its lines and how to get the rest."""
    fence = Fence([result.path, result.text])
    first, last = result.lines
    pages = f", {count(result.pages, 'page')}" if result.pages else ""
    head = f"{result.path}, lines {first}-{last} of {result.total_lines}{pages}."
    more = ""
    if result.next_line is not None:
        offset = f", offset={result.next_offset}" if result.next_offset else ""
        more = f"For the rest: read with first_line={result.next_line}{offset}."
    changed = "The file changed since it was indexed." if result.changed else ""
    return _lines(head, changed, fence.about(), fence.around(result.text) if result.text else "It is empty.", more)


def list_text(result: ListResult) -> str:
    """Return one line a file: path, date, size, title and tags."""
    head = f"{count(result.total, 'file')}."
    lines = [f"{one.path} | {one.date} | {_size(one.size)}{_about(one.title, one.tags)}" for one in result.files]
    more = f"For the rest: offset={result.next_offset}." if result.next_offset is not None else ""
    return _lines(result.notices, head, f"{UNTRUSTED}." if lines else "", *lines, more)


def _about(title: str, tags: Sequence[str]) -> str:
    return (f" | {title}" if title else "") + (f" | #{' #'.join(tags)}" if tags else "")


def links_text(result: LinksResult) -> str:
    """Return one line a link."""
    lines = [
        f"line {one.line} links to {one.path}{f' ({one.problem})' if one.problem else ''}"
        if one.direction == "from"
        else f"linked from {one.path}:{one.line}"
        for one in result.links
    ]
    more = f"For the rest: offset={result.next_offset}." if result.next_offset is not None else ""
    return _lines(f"{result.path}: {count(result.total, 'link')}.", f"{UNTRUSTED}." if lines else "", *lines, more)


def status_text(result: StatusResult) -> str:
    """Return the state of the index."""
    facts = [f"{result.state}: {', '.join(result.folders)}"]
    if result.state != "starting":
        facts.append(f"{count(result.files, 'file')}, {count(result.passages, 'passage')}, model {result.model}")
        index = f"index as of {result.as_of}" if result.as_of else "the first index run has not ended"
        facts.append(f"{index}, {result.waiting} waiting, {result.failed} failed")
    tags = ", ".join(f"{tag} ({count})" for tag, count in result.tags.items())
    return _lines(*facts, result.notices, f"tags: {tags}" if tags else "")


def note_text(result: NoteResult) -> str:
    """Return where the note is."""
    return f"Written to {result.path}" + (
        " and indexed." if result.indexed else "; it is not indexed yet. Do not write it again."
    )


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _sentences(notices: Iterable[str]) -> str:
    return " ".join(f"{one.rstrip('.')}." for one in notices if one)


def _size(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004 - decimal units
