"""Facets: in which folders, types, tags, languages and years the files are that a search looks through."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from kb.formats.registry import REGISTRY
from kb.records import Filters
from kb.search.filters import day_of, selected, tag_count
from kb.search.names import is_known
from kb.search.syntax import narrowed, parse
from kb.web.documents.markup import IN
from kb.web.query import toggled
from kb.web.text import FILTER_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kb.records import KnownFile
    from kb.web.query import Query

_MOST: Final = 8
# What acts in a glob, and how it stands for itself.
_SIGN: Final = re.compile(r"([*?\[\\])")
_ESCAPE: Final = r"\\\1"
_ESCAPED: Final = re.compile(r"\\(.)")
# Of so many combinations of filters, the counts are kept.
_KEPT: Final = 32
_NONE: Final = Filters()


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a facet.

    Attributes:
        label: How it is shown.
        files: How many files have it, among those that pass the other filters.
        address: The address of the search with it, or without it if it is chosen.
        chosen: Whether it is a filter now.
    """

    label: str
    files: int
    address: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """A facet.

    Attributes:
        name: The name of its filter.
        title: The name of the text for its title.
        values: Its most frequent values, chosen ones first.
        more: Its other values.
    """

    name: str
    title: str
    values: tuple[Value, ...]
    more: tuple[Value, ...] = ()


Counts: TypeAlias = Mapping[str, list[tuple[str, int]]]
"""For each filter, its values with the number of files that a search with it looks through, the most frequent first."""


class FacetCounts:
    """Counts the files of facets; the last counts are kept while the files stay as they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: list[KnownFile] = []
        self._counts: dict[tuple[Query, Filters], Counts] = {}

    def of(self, files: list[KnownFile], query: Query, folders: Sequence[str], typed: Filters = _NONE) -> Counts:
        """Return the counts of a search.

        Args:
            files: All files that are searched, filters aside.
            query: The search.
            folders: The watched folders, which are a level of their own where there are several.
            typed: The filters in the question, as ``typed_filters`` returns them.

        Raises:
            RequestError: A filter of the search is not valid.
        """
        key = query.only_filters(), typed
        with self._lock:
            # The catalog returns the same records until one changes, so this compares no more than their identity.
            if files != self._files:
                self._files, self._counts = files, {}
            found = self._counts.get(key)
        if found is None:
            found = _counted(files, query, folders, typed)
            with self._lock:
                if files == self._files:
                    while len(self._counts) >= _KEPT:
                        del self._counts[next(iter(self._counts))]
                    self._counts[key] = found
        return found


def typed_filters(question: str, files: Sequence[KnownFile]) -> Filters:
    """Return the filters that are typed in a question, as the search reads them.

    Args:
        question: The question.
        files: All files of the index.
    """
    today = datetime.now(UTC).astimezone().date()
    return parse(question, today, matches=lambda filters: is_known(filters, selected(files, filters))).filters


def _counted(files: Sequence[KnownFile], query: Query, folders: Sequence[str], typed: Filters) -> Counts:
    whole = narrowed(query.filters, typed)

    def without(*names: str) -> Filters:
        """The filters without those that a facet chooses; where the question has such a filter too, all of them."""
        if any(getattr(typed, name) for name in names):
            return whole
        return replace(whole, **{name: getattr(_NONE, name) for name in names})

    others = {
        "path": without("paths"),
        "type": without("types"),
        "tag": without("tags"),
        "lang": without("languages"),
        "date": without("since", "until"),
    }
    # Without filters these are all the same.
    distinct = {filters: selected(files, filters) for filters in others.values()}
    searched = {name: distinct[filters] for name, filters in others.items()}
    return {
        "path": _folders(searched["path"], query, folders),
        "type": _types(searched["type"]),
        "tag": tag_count(searched["tag"]),
        "lang": _languages(searched["lang"]),
        "date": _years(searched["date"]),
    }


def facets(counts: Counts, query: Query, files: int, folders: Sequence[str]) -> tuple[Facet, ...]:
    """Return the facets of a search; those with no choice are left out.

    Args:
        counts: The counts of the search.
        query: The search.
        files: How many files are searched, filters aside.
        folders: The watched folders.
    """
    found = (
        _facet(query, "path", "facet_folder", counts["path"], folders),
        _facet(query, "type", "facet_type", counts["type"]),
        _facet(query, "tag", "facet_tag", counts["tag"]),
        _facet(query, "lang", "facet_lang", counts["lang"]),
        _by_year(query, counts["date"]),
    )
    return tuple(one for one in found if _chooses(one, files))


def _chooses(facet: Facet, files: int) -> bool:
    """Whether a facet has a choice: not one value alone that all files have."""
    values = (*facet.values, *facet.more)
    return len(values) > 1 or any(one.chosen or one.files < files for one in values)


def _facet(
    query: Query, name: str, title: str, counts: Sequence[tuple[str, int]], folders: Sequence[str] = ()
) -> Facet:
    chosen: tuple[str, ...] = getattr(query, name)
    change = _other_folder if name == "path" else toggled
    known = dict(counts)
    order = [*((one, known.get(one, 0)) for one in chosen), *(one for one in counts if one[0] not in chosen)]
    values = tuple(
        Value(
            _label(value, chosen, folders) if name == "path" else value,
            files,
            query.closed().address(**{name: change(chosen, value)}),
            chosen=value in chosen,
        )
        for value, files in order
    )
    room = max(_MOST, len(chosen))
    return Facet(name, title, values[:room], values[room : room + 60])


def _label(glob: str, chosen: Sequence[str], folders: Sequence[str]) -> str:
    """Return how a folder is named: one within the chosen one without the path of that."""
    inside = next((glob.removeprefix(one) for one in chosen if glob != one and glob.startswith(one)), "")
    return f"{IN} {_plain(inside)}" if inside else folder_name(glob, folders)


def filter_labels(query: Query, folders: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each filter of a search in words, with the name of its field and its value there."""
    for name, value in query.pairs():
        if label := FILTER_LABELS.get(name):
            yield f"{label} {folder_name(value, folders) if name == 'path' else value}", name, value


def folder_name(glob: str, folders: Sequence[str]) -> str:
    """Return the folder of a filter as it is shown: below its watched folder, with the name of that if it is in it."""
    plain = _plain(glob)
    watched = _watched(plain, folders)
    name = watched.rpartition("/")[2]
    if [one.rpartition("/")[2] for one in folders].count(name) != 1:
        return plain
    return name + plain.removeprefix(watched)


def _plain(glob: str) -> str:
    return _ESCAPED.sub(r"\1", glob).strip("/")


def _watched(path: str, folders: Iterable[str]) -> str:
    """Return the watched folder that is or has a folder, without a slash around it; empty if none does."""
    roots = (one.strip("/") for one in folders)
    return next((one for one in roots if one and f"{path}/".startswith(f"{one}/")), "")


def _folders(files: Iterable[KnownFile], query: Query, folders: Sequence[str]) -> list[tuple[str, int]]:
    """Count the files of folders, as globs: those above the chosen one, those in it, and the topmost ones.

    Of several watched folders, these are the topmost ones, each one part of a path.
    """
    roots = {one: [one.strip("/")] for one in folders if one.strip("/")} if len(folders) > 1 else {}
    plain = _plain(query.path[0]) if len(query.path) == 1 else ""
    watched = _watched(plain, roots)
    chosen = [one for one in (watched, *plain.removeprefix(watched).split("/")) if one]
    above, inside, topmost = Counter[str](), Counter[str](), Counter[str]()
    for file in files:
        parts = [*roots.get(file.folder, ()), *file.path.split("/")[:-1]]
        if not parts:
            continue
        if not chosen or parts[0] != chosen[0]:
            topmost[_glob(parts[:1])] += 1
            continue
        shared = next((at for at, (one, other) in enumerate(zip(parts, chosen, strict=False)) if one != other), None)
        depth = min(len(parts), len(chosen)) if shared is None else shared
        for at in range(1, depth + 1):
            above[_glob(parts[:at])] += 1
        if depth == len(chosen) < len(parts):
            inside[_glob(parts[: depth + 1])] += 1
    return [*above.items(), *inside.most_common(), *topmost.most_common()]


def _glob(parts: Sequence[str]) -> str:
    """Return the glob of a folder, in whose names signs of globs stand for themselves."""
    return f"/{_SIGN.sub(_ESCAPE, '/'.join(parts))}/"


def _other_folder(chosen: Sequence[str], value: str) -> tuple[str, ...]:
    """Return the chosen folders with one added or taken away; it takes the place of those around it and in it."""
    if value in chosen:
        return toggled(chosen, value)
    return (*(one for one in chosen if not one.startswith(value) and not value.startswith(one)), value)


def _types(files: Iterable[KnownFile]) -> list[tuple[str, int]]:
    found = Counter(_type_of(file.path, file.kind) for file in files)
    return [one for one in found.most_common() if one[0]]


@lru_cache(maxsize=131_072)
def _type_of(path: str, kind: str) -> str:
    row = REGISTRY.of(path)
    return row.types[0] if row and row.types and row.types[0] else kind


def _languages(files: Iterable[KnownFile]) -> list[tuple[str, int]]:
    return [one for one in Counter(file.language for file in files).most_common() if one[0]]


def _years(files: Iterable[KnownFile]) -> list[tuple[str, int]]:
    """Return the years of files, newest first."""
    return sorted(Counter(f"{day_of(file).year:04d}" for file in files).items(), reverse=True)


def _by_year(query: Query, counts: Sequence[tuple[str, int]]) -> Facet:
    values = []
    for year, number in counts:
        first, last = f"{year}-01-01", f"{year}-12-31"
        chosen = (query.since, query.until) == (first, last)
        since, until = ("", "") if chosen else (first, last)
        values.append(Value(year, number, query.closed().address(since=since, until=until), chosen=chosen))
    return Facet("date", "facet_date", tuple(values[:_MOST]), tuple(values[_MOST:]))
