"""A question as it is typed: what is asked, what has to stand there or must not, and which files are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.records import Filters, ReadAs
from kb.search.dates import parse_day
from kb.search.flags import is_option
from kb.search.types import type_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

_QUOTED: Final = r'"[^"]+"|\u201c[^\u201d]+\u201d|\u201e[^\u201c\u201d]+[\u201c\u201d]|\u00ab[^\u00bb]+\u00bb'
# A single letter after a minus is an option of some program: it excludes nothing, and neither does a number.
_FLAG: Final = r"[a-z][.,;:!?)]*(?:\s|$)"
# Each stands at the beginning of a word: 3-2 is no exclusion, and C:path no filter. What ends a sentence is no part.
_PARTS: Final = re.compile(
    rf"(?<!\S)(?:"
    rf"(?P<key>-?(?:tag|path|type|lang|since|until)):(?P<value>{_QUOTED}|[^\s\"]*[^\s\".,;:!?)])"
    rf"|(?P<minus>-)(?P<unwanted>{_QUOTED}|(?!{_FLAG})[^\W\d](?:\S*[^\s.,;:!?)])?)"
    rf"|(?P<phrase>{_QUOTED})"
    rf")(?![^\s.,;:!?)])",
    re.IGNORECASE,
)
_MARKS: Final = '"\u201c\u201d\u201e\u00ab\u00bb'
_EVERYTHING: Final = Filters()


@dataclass(frozen=True, slots=True)
class Question:
    """What a typed question asks for.

    Attributes:
        text: What the model and the keyword index are asked, phrases included.
        phrases: What has to stand in a passage, word for word.
        without: Words and phrases that must not stand in it.
        filters: Which files are asked.
        named: Those filters as they were typed.
        as_words: What looks like an exclusion or a filter and is part of the question, as it was typed.
    """

    text: str
    phrases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    filters: Filters = _EVERYTHING
    named: tuple[str, ...] = ()
    as_words: tuple[str, ...] = ()

    @property
    def read_as(self) -> ReadAs:
        """What an answer says of it."""
        return ReadAs(self.text, self.phrases, self.without, self.named, self.as_words)


def parse(
    typed: str, today: date, *, literal: bool = False, written: Callable[[str], bool] = lambda _: False
) -> Question:
    """Read a question with ``"an exact phrase"``, ``-word``, and ``tag:work`` or another of the filters.

    A filter that begins with ``-`` leaves out what it names. What reads like a filter but names no day or type is
    taken as part of the question, as is ``-word`` where that is an option of a program (``kb.search.flags``).

    Args:
        typed: The question.
        today: What days are counted back from.
        literal: Take everything as part of the question.
        written: Whether the notes have a word written as an option.
    """
    if literal:
        return Question(" ".join(typed.split()))
    phrases: list[str] = []
    without: list[str] = []
    filters = Filters()
    named: list[str] = []
    as_words: list[str] = []
    rest: list[str] = []
    end = 0
    for match in _PARTS.finditer(typed):
        rest.append(typed[end : match.start()])
        end = match.end()
        if match["key"]:
            narrowed = _narrowed(filters, match["key"].lower(), match["value"].strip(_MARKS), today)
            (named if narrowed else as_words).append(match[0])
            rest += [] if narrowed else [match[0]]
            filters = narrowed or filters
        elif match["minus"]:
            word = match["unwanted"]
            if word[0] not in _MARKS and is_option(word, typed[: match.start()], typed[end:], written):
                as_words.append(match[0])
                rest.append(match[0])
            else:
                without.append(word.strip(_MARKS))
        else:
            phrases.append(match["phrase"].strip(_MARKS))
            rest.append(phrases[-1])
    rest.append(typed[end:])
    text = " ".join(" ".join(rest).split())
    return Question(text, _said(phrases), _said(without), filters, tuple(named), tuple(dict.fromkeys(as_words)))


def narrowed(filters: Filters, more: Filters) -> Filters:
    """The filters that let through what both let through; of two globs, types or languages any may match."""
    return Filters(
        paths=filters.paths + more.paths,
        tags=filters.tags + more.tags,
        types=filters.types + more.types,
        languages=filters.languages + more.languages,
        since=max((day for day in (filters.since, more.since) if day), default=None),
        until=min((day for day in (filters.until, more.until) if day), default=None),
    )


def _said(phrases: Iterable[str]) -> tuple[str, ...]:
    return tuple(phrase for phrase in dict.fromkeys(phrases) if phrase.strip())


def _narrowed(filters: Filters, key: str, value: str, today: date) -> Filters | None:
    """The filters with one more; None where it names nothing."""
    name = key.removeprefix("-")
    unwanted = key.startswith("-")
    try:
        if name in {"since", "until"}:
            day = parse_day(value, today)
            days = Filters(since=day) if name == "since" else Filters(until=day)
            return None if unwanted else narrowed(filters, days)
        if name == "type":
            type_named(value.removeprefix("!"))
    except ValueError:
        return None
    chosen = (f"!{value}" if unwanted else value,)
    match name:
        case "tag":
            more = Filters(tags=chosen)
        case "path":
            more = Filters(paths=chosen)
        case "type":
            more = Filters(types=chosen)
        case _:
            more = Filters(languages=chosen)
    return narrowed(filters, more)
