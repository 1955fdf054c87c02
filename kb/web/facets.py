"""Facets: in which folders, types, tags, languages and years the files are that a search looks through."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kb.formats.registry import REGISTRY
from kb.search.filters import day_of, selected, tag_count
from kb.web.query import toggled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.records import KnownFile
    from kb.web.query import Query

_MOST: Final = 8


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


def facets(files: Sequence[KnownFile], query: Query) -> tuple[Facet, ...]:
    """Return the facets of a search; those with no choice are left out.

    Args:
        files: All files of the index.
        query: The search.

    Raises:
        RequestError: A filter of the search is not valid.
    """
    wanted = query.filters
    others = {
        "path": replace(wanted, paths=()),
        "type": replace(wanted, types=()),
        "tag": replace(wanted, tags=()),
        "lang": replace(wanted, languages=()),
    }
    searched = {name: selected(files, filters) for name, filters in others.items()}
    dated = selected(files, replace(wanted, since=None, until=None))
    found = (
        _facet(query, "path", "facet_folder", _folders(searched["path"], query)),
        _facet(query, "type", "facet_type", _types(searched["type"])),
        _facet(query, "tag", "facet_tag", tag_count(searched["tag"])),
        _facet(query, "lang", "facet_lang", _languages(searched["lang"])),
        _years(query, dated),
    )
    return tuple(one for one in found if _chooses(one, len(files)))


def _chooses(facet: Facet, files: int) -> bool:
    """Whether a facet has a choice: not one value alone that all files have."""
    values = (*facet.values, *facet.more)
    return len(values) > 1 or any(one.chosen or one.files < files for one in values)


def _facet(query: Query, name: str, title: str, counts: Sequence[tuple[str, int]]) -> Facet:
    chosen: tuple[str, ...] = getattr(query, name)
    known = dict(counts)
    order = [*((one, known.get(one, 0)) for one in chosen), *(one for one in counts if one[0] not in chosen)]
    values = tuple(
        Value(
            _label(name, value), files, query.closed().address(**{name: toggled(chosen, value)}), chosen=value in chosen
        )
        for value, files in order
    )
    room = max(_MOST, len(chosen))
    return Facet(name, title, values[:room], values[room : room + 60])


def _label(name: str, value: str) -> str:
    return value.strip("/") if name == "path" else value


def _folders(files: Iterable[KnownFile], query: Query) -> list[tuple[str, int]]:
    """Count the files of the folders one level below the chosen one, else of the topmost ones, as globs."""
    chosen = query.path[0].strip("/") if len(query.path) == 1 else ""
    depth = chosen.count("/") + 1 if chosen else 0
    found: Counter[str] = Counter()
    for file in files:
        parts = file.path.split("/")[:-1]
        if parts and (not chosen or "/".join(parts[:depth]) == chosen):
            # Within the chosen folder, those below it.
            found["/" + "/".join(parts[: depth + 1]) + "/"] += 1
        elif parts:
            found[f"/{parts[0]}/"] += 1
    return found.most_common()


def _types(files: Iterable[KnownFile]) -> list[tuple[str, int]]:
    found: Counter[str] = Counter()
    for file in files:
        row = REGISTRY.of(file.path)
        found[row.types[0] if row and row.types and row.types[0] else file.kind] += 1
    return [one for one in found.most_common() if one[0]]


def _languages(files: Iterable[KnownFile]) -> list[tuple[str, int]]:
    return [one for one in Counter(file.language for file in files).most_common() if one[0]]


def _years(query: Query, files: Iterable[KnownFile]) -> Facet:
    """Return the years of files, newest first."""
    found = Counter(day_of(file).year for file in files)
    values = []
    for year, number in sorted(found.items(), reverse=True):
        first, last = f"{year:04d}-01-01", f"{year:04d}-12-31"
        chosen = (query.since, query.until) == (first, last)
        since, until = ("", "") if chosen else (first, last)
        values.append(Value(str(year), number, query.closed().address(since=since, until=until), chosen=chosen))
    return Facet("date", "facet_date", tuple(values[:_MOST]), tuple(values[_MOST:]))
