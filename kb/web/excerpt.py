"""Excerpts of passages: the best sentences and what stands around them, with marked words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from kb.search.sentences import units
from kb.search.words import Words, weights
from kb.web.documents.markup import marked_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.records import Hit
    from kb.search.sentences import Unit

# In characters: about four lines of a column.
_ROOM: Final = 380
_ROW: Final = 80
_MOST_BEST: Final = 3
# What is written, and what is read, of links, emphasis, boxes and tables.
_MARKUP: Final = {
    "markdown": (
        (re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)"), r"\1"),
        (re.compile(r"!?\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]"), r"\1"),
        (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
        (re.compile(r"(?<![\w*])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])"), r"\1"),
        (re.compile(r"`([^`]+)`"), r"\1"),
        (re.compile(r"^(?:[-*+]\s+)?\[ \]\s"), "☐ "),
        (re.compile(r"^(?:[-*+]\s+)?\[[xX]\]\s"), "☑ "),
        (re.compile(r"^[-*+]\s+"), "• "),
        (re.compile(r"^\||\|$"), ""),
        (re.compile(r"\s+\|\s+"), " · "),
    ),
    "org": (
        (re.compile(r"\[\[[^\[\]]+\]\[([^\[\]]+)\]\]"), r"\1"),
        (re.compile(r"\[\[([^\[\]]+)\]\]"), r"\1"),
        (re.compile(r"^\*+\s+"), ""),
    ),
}
_GAP: Final = Markup('<span class="gap" aria-hidden="true">…</span>')
_BEST: Final = Markup('<strong class="best">{}</strong>')
_LINE: Final = Markup('<span class="row">{}</span>')


def excerpt(hit: Hit, words: Words) -> Markup:
    """Return the best sentences of a hit with their neighbours, as HTML; all of a short passage."""
    kind = hit.passage.file.kind
    found = units(hit.passage.text, kind)
    best = _best(found, hit, words)
    chosen = _around(found, best)
    parts: list[Markup] = []
    for before, at in zip([None, *chosen], chosen, strict=False):
        text = marked_text(_shortened(plain(found[at].text, kind), words), words)
        shown = _BEST.format(text) if at in best or not best else text
        if at and (before is None or at != before + 1):
            shown = _GAP + " " + shown
        if at == chosen[-1] and at != len(found) - 1:
            shown = shown + " " + _GAP
        parts.append(_LINE.format(shown) if found[at].own else shown)
    return Markup(" ").join(parts)


def plain(text: str, kind: str) -> str:
    """Return a sentence without the signs of its markup, as it reads in the document.

    Args:
        text: The sentence.
        kind: The kind of its file.
    """
    if kind not in _MARKUP:
        return text
    for pattern, instead in _MARKUP[kind]:
        text = pattern.sub(instead, text)
    return text.strip()


def _best(found: Sequence[Unit], hit: Hit, words: Words) -> list[int]:
    """Return the positions of the best sentences, best first: by their cosines, else by the words in them."""
    known = {(unit.text, unit.line): at for at, unit in enumerate(found)}
    given = [known[place] for one in hit.best if (place := (one.text, one.line)) in known]
    if given:
        return given[:_MOST_BEST]
    scores = weights([unit.text for unit in found], words)
    order = sorted((at for at, score in enumerate(scores) if score), key=lambda at: (-scores[at], at))
    return order[:_MOST_BEST]


def _around(found: Sequence[Unit], best: Sequence[int]) -> list[int]:
    """Return the positions that are shown, in order: the best sentences, then their neighbours, as long as they fit."""
    wanted = [*best, *(near for at in best for near in (at + 1, at - 1)), *range(len(found))]
    chosen: set[int] = set()
    room = _ROOM
    for at in wanted:
        if not 0 <= at < len(found) or at in chosen:
            continue
        # A line of its own takes a row, however short it is.
        size = max(min(len(found[at].text), _ROOM), _ROW if found[at].own else 0)
        if chosen and size > room:
            break
        chosen.add(at)
        room -= size
    return sorted(chosen)


def _shortened(text: str, words: Words) -> str:
    """Return a long sentence from a little before its first word of the question."""
    if len(text) <= _ROOM:
        return text
    spans = words.spans(text)
    start = max(0, spans[0][0] - _ROOM // 3) if spans else 0
    start = text.find(" ", start) + 1 if start else 0
    cut = text[start : start + _ROOM]
    return f"{'… ' if start else ''}{cut.rsplit(' ', 1)[0]} …"
