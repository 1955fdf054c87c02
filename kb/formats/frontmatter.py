"""Reads front matter: the metadata of a note in a YAML or TOML block at its top.

The block comes from whoever wrote the file, so it is bounded and read as plain strings: nothing in it can build an
object, expand without end or stop the document from being read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from kb.formats.markup import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LARGEST: Final = 64 * 1024
DEEPEST: Final = 16
MOST_ALIASES: Final = 64
MOST_MISTAKES: Final = 8
LONGEST_NAMED: Final = 40
LONGEST_VALUE: Final = 1000
_TITLE_KEYS: Final = ("title",)
_TAG_KEYS: Final = ("tags", "tag", "keywords", "categories", "category")
_ALIAS_KEYS: Final = ("aliases", "alias")
_LANGUAGE_KEYS: Final = ("lang", "language")
_DATE_KEYS: Final = ("date", "created", "published", "updated", "modified", "lastmod")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
# Front matter of nothing but labels, which are kept as such, and of what programs do with a note is no text to search.
_LABELS: Final = frozenset((*_TITLE_KEYS, *_TAG_KEYS, *_LANGUAGE_KEYS, *_DATE_KEYS))
_SETTINGS: Final = re.compile(
    r"id|uid|uuid|guid|slug|url|permalink|redirect_.*|draft|publish|private|pinned|(?:created|updated).at|type|status|"
    r"layout|template|format|output|engine|execute|jupyter|jupytext|kernelspec|cssclass(?:es)?|theme|icon|image|cover|"
    r"banner|thumbnail|color|toc|math|mathjax|comments|weight|order|nav_.*|sidebar_.*|"
    r".*-plugin|taxonomies|up|down|next|prev|previous|parent|grand_parent"
)
# A key at the beginning of its line, as front matter has it: no blanks in it but single ones, no address.
_ENTRY: Final = re.compile(
    r"(?P<quote>[\"']?)(?P<key>[^\W\d][\w.-]*(?: [\w.-]+){0,3})(?P=quote)\s*:(?=\s|$)(?P<value>.*)"
)
_PAIRS: Final = {"`": "`", '"': '"', "'": "'", "[": "]", "{": "}"}
# A line that belongs to no key: not indented, no item, comment or end of a list.
_STRAY: Final = re.compile(r"(?!-(?:\s|$))[^\s#\]}]")
_AT_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")
_ITEM: Final = re.compile(r"\s*-\s+(?P<item>.*)")
_SWITCHES: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null"})
_LETTER: Final = re.compile(r"[^\W\d_]")
_DATE_FORMS: Final = ("%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y", "%d.%m.%Y")
# Without separators a month has two digits, or a year and a month would read as a day of January.
_NUMERIC_DATE: Final = re.compile(
    r"(\d{4})(?:(?P<separator>[-/._])(\d{1,2})(?P=separator)(\d{1,2})|(\d{2})(\d{2})(?:\d{4}|\d{6})?)(?!\d)"
)
_ENDLESS_KEY: Final = re.compile(
    r"""(?<![\w"'-])(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')){16}"""
)
_BRACKETS: Final = re.compile(r"[<>\[\]]")
_ORDINAL: Final = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b", re.IGNORECASE)
_STAMP: Final = re.compile(r"(\d{4})([-_.]?)(\d{2})\2(\d{2})(?:\d{4}|\d{6})?(?!\d)")
_DAY_FOLDERS: Final = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})$")
_ZETTEL: Final = re.compile(r"(\d{12}|\d{14})(?![0-9])")
_JOURNAL: Final = re.compile(r"(?:^|/)journals/(\d{4})_(\d{2})_(\d{2})$")
_PLAUSIBLE_YEARS: Final = range(1900, 2101)


# The words of Logseq's own form of a day, whatever the language of the system.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}
_TEENS: Final = frozenset({11, 12, 13})


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What front matter says.

    Attributes:
        title: The title; empty where it names none.
        tags: The tags, without their ``#``.
        aliases: Other names of the note.
        date: The note's own date.
        body_line: The line where the body begins, from 1.
        markup_line: The line where its markup begins. The two differ for a block that cannot be understood: it stays
            part of the text, but it is not markup.
        language: The language as written.
        drawing: Whether the file is a drawing of Excalidraw.
        says: Whether some key beside the title has words for a reader: an author, a summary, another name.
        unread: The keys, and the lines without one, that are no valid YAML or TOML and were taken as they stand.
    """

    title: str = ""
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    date: date | None = None
    body_line: int = 1
    markup_line: int = 1
    language: str = ""
    drawing: bool = False
    says: bool = False
    unread: tuple[str, ...] = ()


def read_front_matter(text: str) -> FrontMatter:
    """The front matter at the very top of a text; all empty where there is none.

    A block that is no valid YAML or TOML is read entry by entry: one bad line costs that line alone. A second block
    right behind the first one, as programs leave that put one of their own in front, is read like the first; where both
    have a key, the first block's value holds.
    """
    # The closing fence has to be within reach: a long document that begins with a rule is not searched whole.
    head = text[: LARGEST + 8].split("\n")
    end = _closing(head, 0)
    if end is None:
        return FrontMatter()
    found = _parsed(head[0].rstrip(), head[1:end])
    if found is None:
        return FrontMatter()
    values, unread = found
    if unread and not _is_front_matter(values, unread):
        return FrontMatter(markup_line=end + 2)
    begin = next((number for number in range(end + 1, len(head)) if head[number].strip()), len(head))
    second = _closing(head, begin)
    more = None if second is None else _parsed(head[begin].rstrip(), head[begin + 1 : second])
    if second is not None and more is not None and more[0] and _is_front_matter(*more):
        values, unread, end = {**more[0], **values}, unread + more[1], second
    front = _understand(values, end + 2)
    # A line that no key goes with is text that nothing else keeps.
    stray = any(name not in values for name in unread)
    return replace(front, unread=unread, says=front.says or stray)


def _is_front_matter(values: Mapping[str, Any], unread: Sequence[str]) -> bool:
    """Whether a block is front matter with mistakes, not text between two rules that has a colon somewhere."""
    return any(key not in unread for key in values) or any(key.lower() in _LABELS for key in values)


def _closing(lines: Sequence[str], begin: int) -> int | None:
    """The index of the fence that closes the block whose opening fence is at an index; None where neither is there."""
    fence = lines[begin].rstrip() if begin < len(lines) else ""
    if fence not in {"---", "+++"}:
        return None
    ends = {"+++"} if fence == "+++" else {"---", "..."}
    return next((number for number in range(begin + 1, len(lines)) if lines[number].rstrip() in ends), None)


def _parsed(fence: str, lines: Sequence[str]) -> tuple[Mapping[str, Any], tuple[str, ...]] | None:
    """The values of a block and which of its keys are no valid YAML or TOML; None where it is no front matter."""
    parse = _parse_toml if fence == "+++" else _parse_yaml
    try:
        values = parse("\n".join(lines))
    except ValueError:
        return _entry_by_entry(lines, parse) if fence == "---" else _line_by_line(lines, parse)
    return None if values is None else (values, ())


def _entry_by_entry(
    lines: Sequence[str], parse: Callable[[str], Mapping[str, Any] | None]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What can be read of YAML with mistakes: each key with the lines that belong to it by itself.

    A value that cannot be read is taken as the text that it is, or as the items of the list that follows it.
    """
    values: dict[str, Any] = {}
    unread: list[str] = []
    starts = [number for number, line in enumerate(lines) if _ENTRY.match(line)]
    if not starts:
        return {}, tuple(_shortened(line) for line in lines if line.strip())[:1]
    unread += [_shortened(line) for line in lines[: starts[0]] if _STRAY.match(line)]
    for start, end in pairwise((*starts, len(lines))):
        found = _ENTRY.match(lines[start])
        assert found is not None  # noqa: S101 - the starts were chosen by this
        own = [line for line in lines[start + 1 : end] if not _STRAY.match(line)]
        stray = [line for line in lines[start + 1 : end] if _STRAY.match(line)]
        read = _first_readable((lines[start:end], [lines[start], *own]), parse)
        if read is None:
            unread.append(found["key"])
            read = {found["key"]: _as_it_stands(found["value"], own)}
        unread += map(_shortened, stray)
        values = {**read, **values}
    return values, tuple(unread)


def _line_by_line(
    lines: Sequence[str], parse: Callable[[str], Mapping[str, Any] | None]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What can be read of TOML with mistakes: all of it but the lines at which the parser stops."""
    kept = list(lines)
    unread: list[str] = []
    while len(unread) < MOST_MISTAKES:
        try:
            return parse("\n".join(kept)) or {}, tuple(unread)
        except ValueError as error:
            # The parser of the standard library tells the line in its message alone.
            found = _AT_LINE.search(str(error))
        if found is None:
            break
        unread.append(_shortened(kept.pop(int(found[1]) - 1).partition("=")[0]))
    return {}, tuple(unread) or (_shortened(lines[0]),)


def _first_readable(
    blocks: Iterable[Sequence[str]], parse: Callable[[str], Mapping[str, Any] | None]
) -> Mapping[str, Any] | None:
    for block in blocks:
        try:
            return parse("\n".join(block))
        except ValueError:
            continue
    return None


def _as_it_stands(value: str, below: Sequence[str]) -> str | list[str]:
    """A value that is no valid YAML, without the marks around it; the items below it where its line has nothing."""
    items = [found["item"] for line in below if (found := _ITEM.match(line))]
    if not value.strip() and items:
        return [_without_marks(item) for item in items]
    return _without_marks(" ".join([value, *(line.strip() for line in below)]))


def _without_marks(text: str) -> str:
    """A text without the marks around it, the closing one of which may be missing; empty where it is far too long."""
    text = text.strip()
    closing = _PAIRS.get(text[:1], "")
    if closing and text.find(closing, 1) in {-1, len(text) - 1}:
        text = text[1:].removesuffix(closing).strip()
    return text if len(text) <= LONGEST_VALUE else ""


def _shortened(line: str) -> str:
    line = one_line(line)
    return line if len(line) <= LONGEST_NAMED else f"{line[:LONGEST_NAMED]}\u2026"


def date_of(value: object) -> date | None:
    """A date in one of its usual forms, or None; a year and a month alone name no day."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = one_line(_BRACKETS.sub(" ", str(value))) if isinstance(value, str | int) else ""
    if found := _NUMERIC_DATE.match(text):
        return _valid_date(found[1], found[3] or found[5], found[4] or found[6])
    words = _ORDINAL.sub("", text.replace(",", " ")).split()
    for count in (3, 1):
        for form in _DATE_FORMS:
            try:
                return datetime.strptime(" ".join(words[:count]), form).date()  # noqa: DTZ007 - a day has no zone
            except ValueError:
                continue
    return None


def date_in_name(path: str) -> date | None:
    """The date a file is named by: 2026-11-22, 20261122 or a stamp like 202611221530 first, or folders 2026/11/22.

    Args:
        path: Its path without the suffix.
    """
    found = _STAMP.match(path.rpartition("/")[2])
    if found is not None:
        year, month, day = found[1], found[3], found[4]
    elif folders := _DAY_FOLDERS.search(path):
        year, month, day = folders.groups()
    else:
        return None
    return _valid_date(year, month, day) if int(year) in _PLAUSIBLE_YEARS else None


def names_by_path(path: str) -> tuple[str, ...]:
    """The other names that a file has by its path: the id of a Zettel, Logseq's namespaces and days of the journal.

    Args:
        path: Its path without the suffix.
    """
    stem = path.rpartition("/")[2]
    names = []
    if zettel := _ZETTEL.match(stem):
        names.append(zettel[1])
    if "___" in stem:
        names.append(stem.replace("___", "/"))
    if "%2F" in stem.upper():
        names.append(unquote(stem))
    if (journal := _JOURNAL.search(path)) and (day := _valid_date(*journal.groups())):
        ending = "th" if day.day in _TEENS else _ENDINGS.get(day.day % 10, "th")
        names += [day.isoformat(), f"{_MONTHS[day.month - 1]} {day.day}{ending}, {day.year}"]
    return tuple(names)


def _valid_date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _understand(values: Mapping[str, Any], body_line: int) -> FrontMatter:
    given = {str(key).strip().lower(): value for key, value in values.items()}
    dates = (date_of(given[key]) for key in _DATE_KEYS if key in given)
    titles = (_scalar(given[key]) for key in _TITLE_KEYS if key in given)
    return FrontMatter(
        title=next((title for title in titles if title), ""),
        tags=_unique(tag for key in _TAG_KEYS for tag in _tags(given.get(key))),
        aliases=_unique(alias for key in _ALIAS_KEYS for alias in _names(given.get(key))),
        date=next((day for day in dates if day is not None), None),
        body_line=body_line,
        markup_line=body_line,
        language=next((_scalar(given[key]) for key in _LANGUAGE_KEYS if key in given), ""),
        drawing="excalidraw-plugin" in given,
        says=any(_says(key) and _has_words(value) for key, value in given.items()),
    )


def _says(key: str) -> bool:
    return key not in _LABELS and not _SETTINGS.fullmatch(key)


def _has_words(value: object) -> bool:
    """Whether a value, or one inside it, is more than a number, a date or a switch."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and _LETTER.search(one) and one.lower() not in _SWITCHES and date_of(one) is None:
            return True
    return False


def _scalar(value: object) -> str:
    text = one_line(str(value)) if isinstance(value, str | int | float) else ""
    return "" if text in _NULLS else text


def _names(value: object) -> list[str]:
    """A list of names, however it is written: a list, or one string with commas."""
    items = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else [value]
    return [name for name in map(_scalar, items) if name]


def _tags(value: object) -> list[str]:
    """Tags without their ``#``; a string without commas is split at spaces."""
    names = value.split() if isinstance(value, str) and "," not in value else _names(value)
    return [tag for name in names if (tag := _scalar(name).lstrip("#").strip())]


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _parse_toml(block: str) -> Mapping[str, Any] | None:
    import tomllib

    # Each part of a dotted key is a table in the one before it: the time grows with the square of their number.
    if _ENDLESS_KEY.search(block):
        raise ValueError("nested too deeply")
    try:
        values = tomllib.loads(block)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    taxonomies = values.get("taxonomies")  # Zola keeps tags and categories one level down
    return {**taxonomies, **values} if isinstance(taxonomies, dict) else values


def _parse_yaml(block: str) -> Mapping[str, Any] | None:
    """The mapping that a YAML block is, or None where it is something else, such as text between two rules."""
    import yaml

    # The base loader knows only strings, lists and mappings: no objects, no dates that do not exist, no "no" as False.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _refuse_traps(yaml.parse(block, Loader=loader))
        values = yaml.load(block, Loader=loader)  # noqa: S506 - the base loader builds strings only
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not block.strip():
        return {}
    return values if isinstance(values, dict) else None


def _refuse_traps(events: Iterable[object]) -> None:
    """Stop at nesting that would exhaust the C stack and at aliases that multiply, before anything is built."""
    import yaml

    depth = aliases = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > DEEPEST or aliases > MOST_ALIASES:
            raise ValueError("nested too deeply, or too many aliases")
