"""Lookup of files by name (path, file name, alias or title), and suggestions for filters that match nothing."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, Final

from kb.errors import AmbiguousName, NotIndexed
from kb.formats.registry import REGISTRY
from kb.records import Filters, Unmatched, folded
from kb.search.filters import day_of, selected, tag_count
from kb.search.types import is_of_type
from kb.system.paths import is_absolute

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from kb.records import KnownFile, Name

# Suggestions for filters that match no file.

_NEAR: Final = 3
_CUTOFF: Final = 0.6
# Languages by their names in English and in the language itself, and by three-letter codes.
_LANGUAGES: Final[dict[str, str]] = {
    name: code
    for code, names in {
        "ar": "arabic ara",
        "bg": "bulgarian bul",
        "ca": "catalan català cat",
        "cs": "czech čeština ces cze",
        "da": "danish dansk dan",
        "de": "german deutsch deu ger",
        "el": "greek ell gre",
        "en": "english eng",
        "es": "spanish español espanol spa",
        "et": "estonian eesti est",
        "fa": "persian farsi fas per",
        "fi": "finnish suomi fin",
        "fr": "french français francais fra fre",
        "he": "hebrew heb",
        "hi": "hindi hin",
        "hr": "croatian hrvatski hrv",
        "hu": "hungarian magyar hun",
        "id": "indonesian ind",
        "it": "italian italiano ita",
        "ja": "japanese jpn",
        "ko": "korean kor",
        "lt": "lithuanian lit",
        "lv": "latvian lav",
        "nl": "dutch nederlands nld dut",
        "no": "norwegian norsk nor",
        "pl": "polish polski pol",
        "pt": "portuguese português portugues por",
        "ro": "romanian română ron rum",
        "ru": "russian русский rus",
        "sk": "slovak slk slo",
        "sl": "slovenian slv",
        "sr": "serbian srp",
        "sv": "swedish svenska swe",
        "th": "thai tha",
        "tr": "turkish türkçe tur",
        "uk": "ukrainian ukr",
        "vi": "vietnamese vie",
        "zh": "chinese mandarin zho chi",
    }.items()
    for name in names.split()
}


def unmatched(files: Sequence[KnownFile], filters: Filters, *, some: bool = False) -> tuple[Unmatched, ...]:
    """Return the values of filters that match no file of the index by themselves, or all filters if they do together.

    Values after ``!`` are included: one that excludes nothing is as likely a typo.

    Args:
        files: The files of the index.
        filters: The filters.
        some: Whether some file is known to pass all of them.
    """
    done = [file for file in files if file.state != "failed"]
    if not done:
        return ()
    found = [_tag(value, done) for value in _bare(filters.tags)]
    found += _paths(filters.paths, done, some=some)
    found += [_type(value, done) for value in _bare(filters.types)]
    found += [_language(value, done) for value in _bare(filters.languages)]
    # A day that some file passes is within those of the files.
    found += [] if some else _days(filters, done)
    lost = tuple(one for one in found if one is not None)
    if some or any(not selected(done, _alone(filters, one.filter)) for one in lost) or selected(done, filters):
        return lost
    return (*lost, Unmatched("all", ", ".join(_as_typed(filters))))


def is_known(filters: Filters, passing: Sequence[KnownFile]) -> bool:
    """Whether filters mean something here: a file passes them, or a language is named, whose code is then proposed."""
    return bool(passing) or any(map(language_code, filters.languages))


def language_code(name: str) -> str:
    """Return the code of a language by its name or another code; empty where unknown."""
    return _LANGUAGES.get(folded(name), "")


def near(word: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names most similar to a word, the most similar first, including those that contain it."""
    spelled: dict[str, str] = {}
    for name in names:
        spelled.setdefault(folded(name), name)
    wanted = folded(word)
    close = difflib.get_close_matches(wanted, spelled, n=_NEAR, cutoff=_CUTOFF)
    inside = sorted((name for name in spelled if len(wanted) >= _NEAR and wanted in name), key=len)
    return tuple(spelled[name] for name in list(dict.fromkeys([*close, *inside]))[:_NEAR])


def _bare(values: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(value.removeprefix("!") for value in values)


def _tag(value: str, files: Sequence[KnownFile]) -> Unmatched | None:
    if selected(files, Filters(tags=(value,))):
        return None
    return Unmatched("tag", value, near(value.removeprefix("#"), (tag for tag, _ in tag_count(files))))


def _type(value: str, files: Sequence[KnownFile]) -> Unmatched | None:
    if any(is_of_type(file, value.strip().lower()) for file in files):
        return None
    there = Counter(name for file in files for name in REGISTRY.types if name != "code" and is_of_type(file, name))
    return Unmatched("type", value, tuple(name for name, _ in there.most_common()), similar=False)


def _language(value: str, files: Sequence[KnownFile]) -> Unmatched | None:
    there = Counter(file.language for file in files if file.language)
    if folded(value) in there:
        return None
    if (code := language_code(value)) in there:
        return Unmatched("lang", value, (code,))
    return Unmatched("lang", value, tuple(language for language, _ in there.most_common()), similar=False)


def _days(filters: Filters, files: Sequence[KnownFile]) -> Iterator[Unmatched]:
    """Yield the days after or before those of all files, each with the nearest day of a file."""
    if not filters.since and not filters.until:
        return
    days = [day_of(file) for file in files]
    if filters.since and (last := max(days)) < filters.since:
        yield Unmatched("since", filters.since.isoformat(), (last.isoformat(),))
    if filters.until and (first := min(days)) > filters.until:
        yield Unmatched("until", filters.until.isoformat(), (first.isoformat(),))


def _alone(filters: Filters, key: str) -> Filters:
    """Return only the filters of one kind."""
    match key:
        case "tag":
            return Filters(tags=filters.tags)
        case "path":
            return Filters(paths=filters.paths)
        case "type":
            return Filters(types=filters.types)
        case "lang":
            return Filters(languages=filters.languages)
        case _:
            return Filters(since=filters.since, until=filters.until)


def _as_typed(filters: Filters) -> Iterator[str]:
    """Yield each filter as it is written in a question."""
    wanted = _apart(_typed(glob) for glob in filters.paths if not glob.startswith("!"))
    unwanted = _apart(_typed(glob[1:]) for glob in filters.paths if glob.startswith("!"))
    paths = [*wanted, *(f"!{glob}" for glob in unwanted)]
    for key, values in (("tag", filters.tags), ("path", paths), ("type", filters.types), ("lang", filters.languages)):
        for value in values:
            yield f"-{key}:{value[1:]}" if value.startswith("!") else f"{key}:{value}"
    for key, day in (("since", filters.since), ("until", filters.until)):
        if day:
            yield f"{key}:{day.isoformat()}"


def _paths(globs: Sequence[str], files: Sequence[KnownFile], *, some: bool) -> list[Unmatched | None]:
    """Return the patterns that match nothing; those that derive from one typed path count once.

    Where some file matches, and there is one typed path alone, that is not looked up again.
    """
    bare = list(_bare(globs))
    if some and bare == list(globs) and len(_apart(map(_typed, bare))) == 1:
        return []
    lost = [glob for glob in bare if not selected(files, Filters(paths=(glob,)))]
    matched = [_typed(glob) for glob in bare if glob not in lost]
    found = _apart(map(_typed, lost), matched)
    places = _places(files) if found else {}
    return [Unmatched("path", glob, _near_path(glob, places)) for glob in found]


def _apart(globs: Iterable[str], others: Sequence[str] = ()) -> list[str]:
    """Return those of the patterns that are no other form of one before them, or of the others; the shortest first."""
    found: list[str] = []
    for glob in sorted(globs, key=lambda glob: len(glob.rstrip("/"))):
        if not any(_same_place(glob, other) for other in (*others, *found)):
            found.append(glob)
    return found


def _typed(glob: str) -> str:
    return glob.replace("\\", "")


def _same_place(one: str, other: str) -> bool:
    """Whether one of two patterns is the absolute form of the other."""
    one, other = one.rstrip("/"), other.rstrip("/")
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _places(files: Iterable[KnownFile]) -> dict[str, str]:
    """Return all files and folders of the index by their name and by their path."""
    places: dict[str, str] = {}
    for file in files:
        path = file.path
        while path:
            places.setdefault(path, path)
            places.setdefault(path.rpartition("/")[2], path)
            path = path.rpartition("/")[0]
    return places


def _near_path(glob: str, places: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths most similar to a pattern, or to its last literal part."""
    plain = "/".join(part for part in glob.rstrip("/").split("/") if not set(part) & set("*?["))
    found = (*near(plain, places), *near(plain.rpartition("/")[2], places)) if plain else ()
    return tuple(dict.fromkeys(places[name] for name in found))[:_NEAR]


_LISTED: Final = 8


def below(files: Iterable[KnownFile], folders: Collection[str]) -> list[KnownFile]:
    """Return the files that are below some folders, since a catalog from elsewhere may name any path."""
    return [
        file
        for file in files
        if file.folder in folders
        and not file.path.startswith("/")
        and (".." not in file.path or ".." not in file.path.split("/"))
    ]


def file_named(
    files: Iterable[KnownFile],
    name: str,
    absolute: str,
    names: Callable[[Sequence[str]], Sequence[tuple[int, Name]]] = lambda _: (),
) -> KnownFile:
    """Return the file with a name.

    A path takes precedence over the end of a path, that over a name without suffix, then aliases and titles. Accents
    may be composed or not, and case only matters where it distinguishes two files.

    Args:
        files: The files of the index.
        name: The name, or a path below a watched folder.
        absolute: Its absolute path, if it is relative to the current folder.
        names: Returns names of files by their keys, each with the id of its file.

    Raises:
        AmbiguousName: Several files have this name.
        NotIndexed: No file has it, or the file could not be indexed.
    """
    known = list(files)
    for found in _matches(known, name, absolute, names):
        if len(found) > 1:
            paths = sorted(file.absolute_path for file in found)
            more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
            raise AmbiguousName(f"{name} may be {', '.join(paths[:_LISTED])}{more}", "Name one of them by its path")
        if found:
            if found[0].state == "failed":
                reason = found[0].reason
                raise NotIndexed(f"{name} could not be indexed: {reason}", "It is tried again when it changes")
            return found[0]
    remedy = "kb list shows what is; kb index takes in what is new"
    if like := _like(known, name):
        remedy = f"Did you mean {' or '.join(like)}? {remedy}"
    raise NotIndexed(f"{name} is not in the index", remedy)


def _matches(
    files: Sequence[KnownFile],
    name: str,
    absolute: str,
    names: Callable[[Sequence[str]], Sequence[tuple[int, Name]]],
) -> Iterator[list[KnownFile]]:
    """Yield the files that match a name, by each rule in order of precedence."""
    # Most names are absolute paths, and most files have another ending.
    yield [file for file in files if absolute.endswith(file.path) and file.absolute_path == absolute]
    yield [file for file in files if file.path == name]
    whole, short = folded(absolute), folded(name).removeprefix("./")
    yield [file for file in files if folded(file.absolute_path) == whole]
    yield [file for file in files if folded(file.path) == short]
    if is_absolute(name) or not short:
        return
    yield [file for file in files if f"/{folded(file.path)}".endswith(f"/{short}")]
    yield [file for file in files if f"/{_without_suffix(folded(file.path))}".endswith(f"/{short}")]
    key = short.rpartition("/")[2]
    others = {id_ for id_, one in names([key]) if one.kind == "alias" and folded(one.name) == short}
    yield [file for file in files if file.id in others]
    yield [file for file in files if folded(file.title) == short]


def _like(files: Sequence[KnownFile], name: str) -> list[str]:
    """Return the paths of files with similar names."""
    called: dict[str, str] = {}
    for file in files:
        last = file.path.rpartition("/")[2]
        for one in (file.path, last, _without_suffix(last), file.title):
            called.setdefault(one, file.path)
    wanted = name.rpartition("/")[2] if is_absolute(name) else name
    return list(dict.fromkeys(called[one] for one in near(wanted, called)))


def _without_suffix(path: str) -> str:
    stem, dot, _ = path.rpartition(".")
    return stem if dot and stem and not stem.endswith("/") else path
