"""Front matter: what a note says about itself in the YAML or TOML block on its first line.

The block comes from whoever wrote the file, so it is bounded and read as plain strings: nothing in it can build an
object, expand without end or stop the document from being read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from kb.read.markup import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST: Final = 64 * 1024
DEEPEST: Final = 16
MOST_ALIASES: Final = 64
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
    """What front matter says. The body begins at ``body_line``, its markup at ``markup_line``.

    The two differ for a block that cannot be understood: it stays part of the text, but it is not markup. ``drawing``
    where the file is one of Excalidraw. ``says`` that some key beside the title has words for a reader: an author, a
    summary, another name.
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


def read_front_matter(text: str) -> FrontMatter:
    """The front matter at the very top of a text; all empty where there is none."""
    fence = text[:4].rstrip()
    if fence not in {"---", "+++"}:
        return FrontMatter()
    # The closing fence has to be within reach: a long document that begins with a rule is not searched whole.
    head = text[: LARGEST + 8].split("\n")
    ends = {"+++"} if fence == "+++" else {"---", "..."}
    if head[0].rstrip() != fence:
        return FrontMatter()
    end = next((number for number, line in enumerate(head) if number and line.rstrip() in ends), None)
    if end is None:
        return FrontMatter()
    block = "\n".join(head[1:end])
    try:
        values = _parse_toml(block) if fence == "+++" else _parse_yaml(block)
    except ValueError:
        return FrontMatter(markup_line=end + 2)
    return FrontMatter() if values is None else _understand(values, end + 2)


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
