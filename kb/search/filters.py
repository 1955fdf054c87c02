"""Filters on files by path, tag, type, language and date.

They are applied before candidates are retrieved, never after.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from kb.errors import RequestError
from kb.records import folded
from kb.search.types import is_of_type, type_named
from kb.system.paths import is_absolute, real_path, with_slashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kb.records import Filters, KnownFile

Key: TypeAlias = tuple[str, str]
_FORMS: Final[tuple[Literal["NFC", "NFD"], ...]] = ("NFC", "NFD")
# Characters with a special meaning in a pattern, or at its beginning.
_SIGNS: Final = re.compile(r"[*?\[\\]|^[!#]|\s$")
# A glob for one file or folder, from the top of a watched folder or absolute; a backslash makes any sign a character.
_ONE_PLACE: Final = re.compile(r"/(?:[^\\*?\[\s]| (?!$)|\\\S)+")
# What is no plain character in a pattern.
_ACTS: Final = re.compile(r"[\\*?\[]")
_LITERAL: Final = r"\\\g<0>"
_NO_TEXT: Final = re.compile("[\ud800-\udfff]")


def globs_from(cwd: str, typed: str) -> tuple[str, ...]:
    """A pattern as typed, and what it means from a folder, where its part without wildcards exists there.

    One that begins with ``./`` or ``../`` means only the latter.

    Args:
        cwd: The absolute path of the folder; empty: there is none.
        typed: The pattern, perhaps with a leading ``!``.
    """
    typed = with_slashes(typed)
    sign, text = ("!", typed[1:]) if typed.startswith("!") else ("", typed)
    if not text or not cwd or is_absolute(text):
        return (typed,)
    # A file may be called a[1].md; what exists goes before a pattern.
    plain, pattern = (text, "") if _on_disk(cwd, text) else _without_wildcards(text)
    there: tuple[str, ...] = ()
    if plain and (place := _on_disk(cwd, plain)):
        folder = real_path(place).rstrip("/")
        below = "/" if pattern or not folder or text.endswith("/") else ""
        everything = "" if folder or pattern else "*"
        there = (f"{sign}{_ACTS.sub(_LITERAL, folder)}{below}{pattern}{everything}",)
    if there and text.split("/")[0] in {".", ".."}:
        return there
    return (sign + text.removeprefix("./"), *there)


def _on_disk(cwd: str, path: str) -> str:
    """Return where a path leads from a folder, with its accents as the disk has them; empty if there is nothing."""
    place = cwd
    for part in path.split("/"):
        forms = (part,) if part.isascii() else (part, *(unicodedata.normalize(form, part) for form in _FORMS))
        # Names as str, undecodable bytes included.
        places = (os.path.join(place, form) for form in forms)  # noqa: PTH118
        place = next(filter(os.path.lexists, places), "")
        if not place:
            return ""
    return place


def _without_wildcards(glob: str) -> tuple[str, str]:
    """The folder before the first wildcard of a pattern, and the rest; no folder where there is no wildcard."""
    wildcard = _ACTS.search(glob)
    end = glob.rfind("/", 0, wildcard.start()) if wildcard else -1
    return glob[: max(end, 0)], glob[end + 1 :]


def _type(word: str) -> str:
    try:
        return type_named(word)
    except ValueError as error:
        raise RequestError(str(error)) from error


def selected(files: Iterable[KnownFile], filters: Filters) -> list[KnownFile]:
    """Return the files that pass all filters, in the order given.

    Raises:
        RequestError: There is no such type of files.
    """
    files = list(files)
    if not filters:
        return files
    at_path = _path_matcher(filters.paths, files)
    has_tags = _tag_matcher(filters.tags)
    of_type = _any_and_none([_type(word) for word in filters.types], is_of_type)
    in_language = _any_and_none(
        [word.casefold() for word in filters.languages], lambda file, language: file.language == language
    )
    return [
        file
        for file in files
        if at_path(file) and has_tags(file) and of_type(file) and in_language(file) and _in_time(file, filters)
    ]


def day_of(file: KnownFile) -> date:
    """Return the date of a file: its own date, else the local day of its last modification."""
    return file.date if file.date is not None else _local_day(file.stat.mtime_ns // 1_000_000_000)


# Of the files of an index, which are counted by day again and again.
@lru_cache(maxsize=131_072)
def _local_day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).astimezone().date()


def _in_time(file: KnownFile, filters: Filters) -> bool:
    if filters.since is None and filters.until is None:
        return True
    day = day_of(file)
    return (filters.since is None or day >= filters.since) and (filters.until is None or day <= filters.until)


def tag_count(files: Iterable[KnownFile]) -> list[tuple[str, int]]:
    """Return all tags with the number of files that have them, the most frequent first.

    A nested tag also counts for those above it. Of several spellings the most frequent one is returned.
    """
    spellings: dict[str, Counter[str]] = {}
    for file in files:
        own: dict[str, str] = {}
        for tag in file.tags:
            for above in _with_those_above(tag):
                own.setdefault(folded(above), _one_form(above))
        for key, tag in own.items():
            spellings.setdefault(key, Counter())[tag] += 1
    counts = [(found.most_common(1)[0][0], found.total()) for found in spellings.values()]
    return sorted(counts, key=lambda one: (-one[1], one[0].casefold()))


def _with_those_above(tag: str) -> Iterator[str]:
    """Yield a tag and those above it: ``a``, ``a/b`` and ``a/b/c``. An empty part is no tag of its own."""
    parts = tag.strip("/").split("/")
    return ("/".join(parts[:depth]) for depth, part in enumerate(parts, 1) if part)


# Many files share few sets of tags.
@lru_cache(maxsize=4096)
def _folded_tags(tags: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_folded(above) for tag in tags for above in _with_those_above(tag))


def _folded(tag: str) -> str:
    """Return a tag without ``#`` and case: ``#Work`` and ``work`` are equal, and so are both forms of an accent."""
    return folded(tag.removeprefix("#").strip("/"))


def _tag_matcher(tags: tuple[str, ...]) -> Callable[[KnownFile], bool]:
    """Return a function that matches files with all of the tags, and none of those that begin with ``!``."""
    wanted = {_folded(tag) for tag in tags if not tag.startswith("!")}
    unwanted = {_folded(tag[1:]) for tag in tags if tag.startswith("!")}
    if not tags:
        return lambda _: True
    return lambda file: wanted <= (own := _folded_tags(file.tags)) and own.isdisjoint(unwanted)


def _any_and_none(words: list[str], is_one: Callable[[KnownFile, str], bool]) -> Callable[[KnownFile], bool]:
    """Return a function that matches files of one of the values, if any, and of none that begins with ``!``."""
    wanted = [word for word in words if not word.startswith("!")]
    unwanted = [word[1:] for word in words if word.startswith("!")]
    return lambda file: (
        (not wanted or any(is_one(file, word) for word in wanted)) and not any(is_one(file, word) for word in unwanted)
    )


def _path_matcher(globs: tuple[str, ...], files: Sequence[KnownFile]) -> Callable[[KnownFile], bool]:
    """Return a function that matches files by one of the globs, if any, and by none that begins with ``!``."""
    if not globs:
        return lambda _: True
    # A file may be called !important.md; an existing name takes precedence.
    unwanted = [glob for glob in globs if glob.startswith("!") and not _literally(glob, files)]
    wanted = [glob for glob in globs if glob not in unwanted]
    chosen = frozenset[Key]().union(*(_matching(glob, files) for glob in wanted))
    left_out = frozenset[Key]().union(*(_matching(glob[1:], files) for glob in unwanted))
    return lambda file: (not wanted or file.key in chosen) and file.key not in left_out


def _matching(glob: str, files: Sequence[KnownFile]) -> frozenset[Key]:
    """Return the files that a glob matches; literally if it looks like a pattern and names a file, or matches none.

    What is no name at all may be one without its suffix.
    """
    literally = _literally(glob, files) if _SIGNS.search(glob) else frozenset[Key]()
    found = literally or _matched(glob, files) or _literally(glob, files)
    return found if found or glob.endswith("/") or _SIGNS.search(glob) else _matched(f"{glob}.*", files)


def _matched(glob: str, files: Sequence[KnownFile]) -> frozenset[Key]:
    """Return the files whose relative or absolute path matches a glob as in .gitignore; none does if it is invalid."""
    from pathspec import GitIgnoreSpec

    if is_absolute(glob) and not glob.startswith("/"):
        # A drive of Windows is a folder of the topmost one.
        glob = f"/{glob}"
    if _ONE_PLACE.fullmatch(glob) and "//" not in glob:
        return _at_place(re.sub(r"\\(.)", r"\1", glob), files)
    try:
        spec = GitIgnoreSpec.from_lines([_one_form(glob)])
    except (ValueError, re.error):
        return frozenset()
    absolute = spec if glob.startswith("/") else GitIgnoreSpec([])
    return frozenset(
        file.key
        for file in files
        if spec.match_file(_one_form(file.path)) or absolute.match_file(_one_form(file.absolute_path).lstrip("/"))
    )


def _at_place(path: str, files: Sequence[KnownFile]) -> frozenset[Key]:
    """Return the files at a path from the top of a watched folder, or an absolute one, or below it."""
    whole = _one_form(path)
    relative, top = whole[1:], whole.rstrip("/")
    below = f"{top}/"
    # A glob that ends in a slash matches folders alone.
    exact = "" if whole.endswith("/") else relative
    return frozenset(
        file.key
        for file in files
        if (own := _one_form(file.path)) == exact
        or own.startswith(below[1:])
        or (absolute := _one_form(file.absolute_path).lstrip("/")).startswith(below[1:])
        or (exact and absolute == relative)
    )


def _literally(path: str, files: Sequence[KnownFile]) -> frozenset[Key]:
    """Return the files with exactly this path: relative, absolute, or with a folder above; or in this folder."""
    wanted = _comparable(path.removeprefix("./")).rstrip("/")
    if not wanted:
        return frozenset()
    found = set()
    for file in files:
        below = _comparable(file.path)
        whole = _comparable(file.absolute_path)
        if whole.endswith(f"/{wanted}") or whole == wanted or f"{below}/".startswith(f"{wanted}/"):
            found.add(file.key)
    return frozenset(found)


def _comparable(path: str) -> str:
    """Return a path for comparison: normalized, with undecodable bytes as in a question."""
    return _one_form(_NO_TEXT.sub("\ufffd", path))


def _one_form(path: str) -> str:
    """Return a path or tag in NFC: some systems write accents as separate characters (NFD)."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)
