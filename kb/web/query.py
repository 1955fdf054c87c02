"""What a view is asked for, in the query of its address: the question, the mode, the filters, the document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from kb.errors import RequestError
from kb.records import BY_WORDS, MODE_NAMES, Filters, SearchRequest, mode_named
from kb.search.types import type_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kb.records import StoredPassage

MOST_HITS: Final = 100
DEFAULT_HITS: Final = 10
_MOST_VALUES: Final = 200
_LONGEST: Final = 20_000
# How long a search may look for the best sentences of its hits, in seconds.
_BEST_SECONDS: Final = 0.3
# What stands in an address as it is.
_SAFE: Final = "/:"
# The fields that narrow a search down.
_NARROWING: Final = ("path", "tag", "type", "lang", "since", "until", "within")
# What links to a view keep of a search, by its name.
_KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "find": ("q", *_NARROWING),
    "ask": ("q", *_NARROWING),
    "tags": _NARROWING,
    "timeline": _NARROWING,
}


@dataclass(frozen=True, slots=True)
class Query:
    """A search as it stands in an address.

    Attributes:
        q: The question.
        mode: The name of the mode; empty for the configured one.
        path: Globs of paths.
        tag: Tags.
        type: Types of files.
        lang: Codes of languages.
        since: The first day, as typed.
        until: The last day, as typed.
        within: The name of a selection of files that is searched alone; empty for all files.
        weak: Whether weak hits are shown.
        limit: The most hits.
        like: A file whose similar files are looked for, instead of a question.
        file: The document that is open, by its absolute path; empty if none is.
        line: The line at which it is open; 0 for the beginning.
        page: The page at which it is open; 0 for that of the line.
        alone: Whether it is open without the results beside it.
    """

    q: str = ""
    mode: str = ""
    path: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    lang: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    within: str = ""
    weak: bool = False
    limit: int = DEFAULT_HITS
    like: str = ""
    file: str = ""
    line: int = 0
    page: int = 0
    alone: bool = False

    @classmethod
    def of(cls, query: bytes) -> Query:
        """Return the search in the query of an address; fields that say nothing are left out.

        Raises:
            RequestError: There are too many values, or one is too long.
        """
        fields = Fields(query)
        return cls(
            q=fields.text("q").strip(),
            mode=mode if (mode := fields.text("mode")) in MODE_NAMES else "",
            path=fields.texts("path"),
            tag=fields.texts("tag"),
            type=fields.texts("type"),
            lang=fields.texts("lang"),
            since=fields.text("since"),
            until=fields.text("until"),
            within=fields.text("within"),
            weak=fields.text("weak") == "1",
            limit=min(max(1, fields.number("limit", DEFAULT_HITS)), MOST_HITS),
            like=fields.text("like"),
            file=fields.text("file"),
            line=fields.number("line"),
            page=fields.number("page"),
            alone=fields.text("alone") == "1",
        )

    @property
    def filters(self) -> Filters:
        """The filters.

        Raises:
            RequestError: A day or a type is not valid.
        """
        return Filters(
            self.path,
            self.tag,
            _day(self.since, "since"),
            _day(self.until, "until"),
            tuple(_type(one) for one in self.type),
            self.lang,
        )

    @property
    def asks(self) -> bool:
        """Whether anything is asked."""
        return bool(self.q or self.like)

    @property
    def narrows(self) -> bool:
        """Whether anything but the question narrows the search down."""
        return any(getattr(self, name) for name in _NARROWING)

    def request(self, files: tuple[int, ...] = (), *, quick: bool = False, best: bool = True) -> SearchRequest:
        """Return the request to search.

        Args:
            files: The ids of the files of the selection; empty for all files.
            quick: Whether to search by words only, for results while typing.
            best: Whether to look for the best sentences by their own cosines, which takes longer than the search.

        Raises:
            RequestError: A filter is not valid.
        """
        if self.like and not self.q:
            return SearchRequest(like=self.like, limit=self.limit, filters=self.filters, files=files)
        return SearchRequest(
            self.q,
            limit=self.limit,
            filters=self.filters,
            files=files,
            mode=BY_WORDS if quick else mode_named(self.mode) if self.mode else None,
            weak=True if self.weak else None,
            best_seconds=_BEST_SECONDS if best and not quick else 0.0,
        )

    def address(self, path: str = "/", /, **changes: Any) -> str:  # noqa: ANN401 - values of any field
        """Return the address of this search with some fields changed, without those that have their default."""
        pairs = replace(self, **changes).pairs()
        return f"{path}?{urlencode(pairs, quote_via=quote, safe=_SAFE, errors='surrogateescape')}" if pairs else path

    def pairs(self) -> list[tuple[str, str]]:
        """The fields of this search with their values, without those that have their default."""
        plain = Query()
        return [
            (name, str(int(one) if isinstance(one, bool) else one))
            for name in self.__slots__
            if (value := getattr(self, name)) != getattr(plain, name)
            for one in (value if isinstance(value, tuple) else (value,))
        ]

    def closed(self) -> Query:
        """The same search without a document."""
        return replace(self, file="", line=0, page=0, alone=False)

    def without(self, name: str, value: str) -> Query:
        """The same search without one value of a filter."""
        kept = getattr(self, name)
        left: Any = tuple(_without(kept, value)) if isinstance(kept, tuple) else ""
        return replace(self, **{name: left})

    @staticmethod
    def kept_by(view: str) -> tuple[str, ...]:
        """The fields of a search that a link to another view keeps."""
        return _KEPT.get(view, ())

    def for_view(self, name: str) -> Query:
        """What a link to another view keeps of this search: its filters, and the question where one is asked."""
        return Query(**{field: getattr(self, field) for field in self.kept_by(name)})

    def only_filters(self) -> Query:
        """The filters of this search and its selection, without a question."""
        return Query(**{name: getattr(self, name) for name in _NARROWING})

    def without_filters(self) -> Query:
        """The same search in all files."""
        plain = Query()
        return replace(self, **{name: getattr(plain, name) for name in _NARROWING})


class Fields:
    """The fields of a query or of a form.

    Args:
        data: The fields, URL-encoded.

    Raises:
        RequestError: There are too many.
    """

    def __init__(self, data: bytes) -> None:
        try:
            pairs = parse_qsl(
                data.decode("ascii", "replace"),
                keep_blank_values=True,
                errors="surrogateescape",
                max_num_fields=_MOST_VALUES,
            )
        except ValueError as error:
            raise RequestError("the request has too many fields", "Leave some of them out") from error
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, longest: int = _LONGEST) -> str:
        """The first value of a field; empty if there is none.

        Raises:
            RequestError: It is too long.
        """
        value = self._values.get(name, [""])[0].replace("\0", "")
        if len(value) > longest:
            raise RequestError(f"{name} is longer than {longest:,} characters", "Write less")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a field that are not empty, each once.

        Raises:
            RequestError: One is too long.
        """
        found = [value.strip().replace("\0", "") for value in self._values.get(name, ())]
        if any(len(value) > _LONGEST for value in found):
            raise RequestError(f"{name} is longer than {_LONGEST:,} characters", "Write less")
        return tuple(dict.fromkeys(value for value in found if value))

    def number(self, name: str, default: int = 0) -> int:
        """The value of a field as a whole number, 0 or more; the default if it is none."""
        value = self.text(name)
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else default  # noqa: PLR2004 - a billion


def at_passage(query: Query, passage: StoredPassage) -> str:
    """Return the address of a passage in its document, with the search beside it."""
    path = quote(passage.file.absolute_path, safe=_SAFE, errors="surrogateescape")
    line = f"&line={passage.first_line}" if passage.first_line else ""
    return f"{_before_file(query.closed())}file={path}{line}#passage"


@lru_cache(maxsize=64)
def _before_file(query: Query) -> str:
    """What the addresses of all documents beside a search begin with, up to the name of the file."""
    return f"{query.address('/read')}{'&' if query.pairs() else '?'}"


def toggled(values: Sequence[str], value: str) -> tuple[str, ...]:
    """Return values with one added, or without it if it is there."""
    return tuple(_without(values, value)) if value in values else (*values, value)


def _without(values: Iterable[str], value: str) -> Iterable[str]:
    return (one for one in values if one != value)


def _day(text: str, name: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise RequestError(f"{name} is not a date: {text}", "Write it as 2026-01-31") from error


def _type(name: str) -> str:
    try:
        return type_named(name)
    except ValueError as error:
        raise RequestError(str(error)) from error
