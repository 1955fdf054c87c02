"""Reads front matter: the metadata of a note in a YAML, TOML or JSON block at its top.

The block is untrusted input, so its size is limited and all values are read as plain strings: it cannot construct
objects, expand without limit, or prevent the document from being read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from kb.formats.markup import one_line
from kb.records.characters import unaccented
from kb.records.documents import ALIAS_KEYS, TAG_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LARGEST: Final = 64 * 1024
DEEPEST: Final = 16
MOST_ALIASES: Final = 64
MOST_MISTAKES: Final = 8
LONGEST_NAMED: Final = 40
LONGEST_VALUE: Final = 1000
_PANDOC_LINES: Final = 3
# What begins front matter, and what ends it. Eleventy and others name the language; JSON is read as YAML.
_YAML_ENDS: Final = frozenset({"---", "..."})
_TOML_FENCES: Final = frozenset({"+++", "---toml"})
_FENCES: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("---", "---yaml", "---yml", "---json"), _YAML_ENDS),
    "+++": frozenset({"+++"}),
    "---toml": frozenset({"---"}),
}
# How many known keys metadata without a fence have at least.
_FEWEST_KNOWN: Final = 2
_TITLE_KEYS: Final = ("title",)
_LANGUAGE_KEYS: Final = ("lang", "language")
_DATE_KEYS: Final = ("date", "created", "published", "updated", "modified", "lastmod")
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_YAML_TAG: Final = "tag:yaml.org,2002:"
# Front matter with only these keys is not embedded: they are stored separately or are for programs.
_LABELS: Final = frozenset((*_TITLE_KEYS, *TAG_KEYS, *_LANGUAGE_KEYS, *_DATE_KEYS))
_SETTINGS: Final = re.compile(
    r"id|uid|uuid|guid|slug|url|permalink|redirect_.*|draft|publish|private|pinned|(?:created|updated).at|type|status|"
    r"layout|template|format|output|engine|execute|jupyter|jupytext|kernelspec|cssclass(?:es)?|theme|icon|image|cover|"
    r"banner|thumbnail|color|toc|math|mathjax|comments|weight|order|nav_.*|sidebar_.*|"
    r".*-plugin|taxonomies|up|down|next|prev|previous|parent|grand_parent"
)
# A key at the beginning of a line: no consecutive blanks, and not a URL.
_ENTRY: Final = re.compile(
    r"(?P<quote>[\"']?)(?P<key>[^\W\d][\w.-]*(?: [\w.-]+){0,3})(?P=quote)\s*:(?=\s|$)(?P<value>.*)"
)
# A known key whose value follows without a blank.
_KNOWN: Final = _LABELS | frozenset(ALIAS_KEYS)
_CLOSE: Final = re.compile(rf"({'|'.join(sorted(_KNOWN))}):(?=\S)(?!//)", re.IGNORECASE)
_PAIRS: Final = {"`": "`", '"': '"', "'": "'", "[": "]", "{": "}"}
# A line that belongs to no key: it is not indented, and is not an item, a comment or the end of a list.
_STRAY: Final = re.compile(r"(?!-(?:\s|$))[^\s#\]}]")
_AT_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")
# A line of tags with the mark that they have in the text, where YAML has a comment.
_MARKED_TAGS: Final = re.compile(
    r"(?P<before>\s*(?:-|(?:tags?|keywords|categories|category)\s*:)\s+)(?P<tags>#[^\s#,'\"]+(?:[\s,]+#[^\s#,'\"]+)*)"
    r"(?P<after>(?:\s+#(?:\s.*)?)?\s*)",
    re.IGNORECASE,
)
_ITEM: Final = re.compile(r"\s*-\s+(?P<item>.*)")
_LINKS_AROUND: Final = re.compile(r"\[\[|\]\]")
_SWITCHES: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null"})
_LETTER: Final = re.compile(r"[^\W\d_]")
# The names of the months, without accents: English, German, Dutch, Nordic, French, Spanish, Portuguese, Italian, Polish
# and Russian, with their short forms.
_MONTH_NAMES: Final = (
    "jan january januar janner januari janvier janv enero ene janeiro gennaio gen stycznia sty января янв",
    "feb february februar februari fevrier fevr fev febrero fevereiro febbraio lutego lut февраля фев февр",
    "mar march marz mrz maart mrt mars marts marzo marco marca марта мар",
    "apr april avril avr abril abr aprile kwietnia kwi апреля апр",
    "may mai mei maj mayo maio maggio mag maja мая",
    "jun june juni juin junio junho giugno giu czerwca cze июня июн",
    "jul july juli juillet juil julio julho luglio lug lipca lip июля июл",
    "aug august augustus augusti aout agosto ago sierpnia sie августа авг",
    "sep sept september septembre septiembre setembro settembre set wrzesnia wrz сентября сен сент",
    "oct october okt oktober octobre octubre outubro out ottobre ott pazdziernika paz октября окт",
    "nov november novembre noviembre novembro listopada lis ноября ноя нояб",
    "dec december dez dezember des desember decembre dic diciembre dicembre dezembro grudnia gru декабря дек",
)
_MONTHS_BY_NAME: Final = {name: at for at, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}
# A weekday may stand before either.
_NAME: Final = r"(?P<month>[^\W\d_]{3,})"
_NAMED_DATES: Final = (
    re.compile(rf"(?:[^\W\d_]+ )?(?P<day>\d{{1,2}}) (?:(?:de|of) )?{_NAME} (?:(?:de|del|of) )?(?P<year>\d{{4}})(?!\d)"),
    re.compile(rf"(?:[^\W\d_]+ )?{_NAME} (?P<day>\d{{1,2}}) (?P<year>\d{{4}})(?!\d)"),
)
_EAST_ASIAN_DATE: Final = re.compile(r"(\d{4}) ?[年년] ?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일]")
# Seconds or milliseconds since 1970, from 2001 on.
_SECONDS: Final = re.compile(r"(1\d{9})(?:\d{3})?")
# Without separators, a month has two digits; otherwise a year and a month could be read as a day.
_NUMERIC_DATE: Final = re.compile(
    r"(\d{4})(?:(?P<separator>[-/._])(\d{1,2})(?P=separator)(\d{1,2})|(\d{2})(\d{2})(?:\d{4}|\d{6})?)(?!\d)"
)
# A day before its month, or after it; which one it is can be told if it is above 12.
_SLASHED_DATE: Final = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?!\d)")
_MOST_MONTHS: Final = 12
_ENDLESS_KEY: Final = re.compile(
    r"""(?<![\w"'-])(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')(?:[ \t]*+\.[ \t]*+(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')){16}"""
)
_BRACKETS: Final = re.compile(r"[<>\[\]]")
_ORDINAL: Final = re.compile(r"(?<=\d)(?:(?:st|nd|rd|th|er)\b|[ºª°])", re.IGNORECASE)
_PUNCTUATION: Final = re.compile(r"[,.\-/]")
_LONGEST_DATE: Final = 100
_STAMP: Final = re.compile(r"(\d{4})([-_.]?)(\d{2})\2(\d{2})(?:\d{4}|\d{6})?(?!\d)")
_DAY_FOLDERS: Final = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})$")
_ZETTEL: Final = re.compile(r"(\d{12}|\d{14})(?![0-9])")
_JOURNAL: Final = re.compile(r"(?:^|/)journals/(\d{4})_(\d{2})_(\d{2})$")
_PLAUSIBLE_YEARS: Final = range(1900, 2101)


# English words in Logseq's dates, which do not depend on the system's language.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}
_TEENS: Final = frozenset({11, 12, 13})


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The content of front matter.

    Attributes:
        title: The title; empty if there is none.
        tags: The tags, without their ``#``.
        aliases: Other names of the note.
        date: The note's own date.
        body_line: The line where the body begins, from 1.
        markup_line: The line where its markup begins. A block that cannot be parsed stays part of the body, but is not
            markup.
        language: The language as written.
        drawing: Whether the file is a drawing of Excalidraw.
        says: Whether a key other than the title has text for readers, such as an author or a summary.
        unread: The keys, and lines without a key, that are not valid YAML or TOML and were read as plain text.
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
    """Read the front matter at the top of a text; all empty if there is none.

    A block that is not valid YAML or TOML is read entry by entry, so that only invalid entries are lost. Some programs
    prepend a block of their own, so a second block right after the first is read too; the first one's values win.
    """
    # Do not search a long document that begins with a horizontal rule as a whole for the closing fence.
    head = text[: LARGEST + 8].split("\n")
    top = next((number for number, line in enumerate(head) if line.strip()), 0)
    end = _closing(head, top)
    if end is None:
        return _json_front_matter(head[top:], top) or _without_fence(head)
    found = _parsed(head[top].rstrip(), head[top + 1 : end])
    # Below blank lines, a rule may as well divide a text.
    if found is None or (top and not any(key.lower() in _LABELS for key in found[0])):
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
    # The text of a line without a key is in no other value.
    stray = any(name not in values for name in unread)
    return replace(front, unread=unread, says=front.says or stray)


def _json_front_matter(head: Sequence[str], above: int) -> FrontMatter | None:
    """Read metadata that are an object of JSON at the top, as Hugo takes them; None if there is none.

    Args:
        head: The lines of the text from the first that is not blank.
        above: How many lines are above them.
    """
    if not head[0].startswith("{"):
        return None
    text = "\n".join(head)
    try:
        values, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if text[end:].partition("\n")[0].strip() or not any(str(key).lower() in _LABELS for key in values):
        return None
    return _understand(values, above + text.count("\n", 0, end) + 2)


def _without_fence(head: Sequence[str]) -> FrontMatter:
    """Read metadata that stand at the top without a fence, as Pandoc, MultiMarkdown and Pelican write them.

    They stay part of the text, since a text may well begin with a line such as ``Title: The Mill``.
    """
    end = next((number for number, line in enumerate(head) if not line.strip()), len(head))
    lines = [line.rstrip() for line in head[:end]]
    entries = [found for line in lines if (found := _ENTRY.fullmatch(line))]
    if 0 < len(lines) <= _PANDOC_LINES and all(line[:1] == "%" for line in lines):
        title, _, day = (*(line[1:].strip() for line in lines), "", "")[:_PANDOC_LINES]
        return FrontMatter(title=_scalar(title), date=date_of(day))
    values = {found["key"]: found["value"].strip() for found in entries}
    known = sum(key.lower() in _LABELS for key in values)
    if known < _FEWEST_KNOWN or len(entries) < len(lines):
        return FrontMatter()
    return replace(_understand(values, 1), says=False)


def _is_front_matter(values: Mapping[str, Any], unread: Sequence[str]) -> bool:
    """Whether a block is front matter with mistakes, rather than text with a colon between two horizontal rules."""
    return any(key not in unread for key in values) or any(key.lower() in _LABELS for key in values)


def _closing(lines: Sequence[str], begin: int) -> int | None:
    """Return the index of the fence that closes the block at an index; None if either fence is missing."""
    ends = _FENCES.get(lines[begin].rstrip()) if begin < len(lines) else None
    if ends is None:
        return None
    return next((number for number in range(begin + 1, len(lines)) if lines[number].rstrip() in ends), None)


def _parsed(fence: str, lines: Sequence[str]) -> tuple[Mapping[str, Any], tuple[str, ...]] | None:
    """Return the values of a block and its invalid keys; None if it is not front matter."""
    is_toml = fence in _TOML_FENCES
    parse = _parse_toml if is_toml else _parse_yaml
    if not is_toml:
        lines = [_with_quoted_tags(line) if "#" in line else line for line in lines]
    try:
        values = parse("\n".join(lines))
    except ValueError:
        return _line_by_line(lines, parse) if is_toml else _entry_by_entry(lines, parse)
    return None if values is None else (values, ())


def _with_quoted_tags(line: str) -> str:
    """Return a line of YAML with its marked tags in quotes; one that has anything else stays as it is."""
    found = _MARKED_TAGS.fullmatch(line)
    return f"{found['before']}'{found['tags']}'{found['after']}" if found else line


def _entry_by_entry(
    lines: Sequence[str], parse: Callable[[str], Mapping[str, Any] | None]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Read YAML with mistakes: each key separately, with the lines that belong to it.

    An invalid value is read as plain text, or as the items of the list below it.
    """
    values: dict[str, Any] = {}
    lines, unread = _aligned(lines)
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
    return values, tuple(dict.fromkeys(unread))


def _aligned(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return lines with their known keys at the beginning and a blank behind the colon, and the keys that had not.

    A key that is indented deeper than one without a value on its line belongs to that one.
    """
    found: list[str] = []
    moved: list[str] = []
    has_below, depth = False, 0
    for line in lines:
        indent = len(line) - len(line.lstrip())
        mended = _CLOSE.sub(r"\1: ", line.strip(), count=1) if _CLOSE.match(line.strip()) else line.strip()
        entry = _ENTRY.match(mended)
        is_known = entry is not None and entry["key"].lower() in _KNOWN
        if indent and ((has_below and indent > depth) or not is_known):
            mended, entry = line, None
        if entry is not None:
            depth, has_below = indent, entry["value"].strip()[:1] in {"", "|", ">"}
            moved += [entry["key"]] if mended != line.rstrip() else []
        found.append(mended)
    return found, moved


def _line_by_line(
    lines: Sequence[str], parse: Callable[[str], Mapping[str, Any] | None]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Read TOML with mistakes, without the lines at which the parser stops; their values are read as plain text."""
    kept = list(lines)
    plain: dict[str, str | list[str]] = {}
    unread: list[str] = []
    while len(unread) < MOST_MISTAKES:
        try:
            return {**plain, **(parse("\n".join(kept)) or {})}, tuple(unread)
        except ValueError as error:
            # tomllib reports the line only in its message, and no line if the block ends too early.
            found = _AT_LINE.search(str(error))
        if not kept:
            break
        key, _, value = kept.pop(int(found[1]) - 1 if found else -1).partition("=")
        unread.append(_shortened(key))
        plain[key.strip()] = _plain_toml(value.strip())
    return {}, tuple(unread) or (_shortened(lines[0]),)


def _plain_toml(value: str) -> str | list[str]:
    """Return a value that is not valid TOML as text, or as the items of a list."""
    if value.startswith("["):
        return [_without_marks(item) for item in value.strip("[] ").split(",")]
    return _without_marks(value)


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
    """Return a value that is not valid YAML without its quotes; if it is empty, the items of the list below it."""
    items = [found["item"] for line in below if (found := _ITEM.match(line))]
    if not value.strip() and items:
        return [_without_marks(item) for item in items]
    return _without_marks(" ".join([value, *(line.strip() for line in below)]))


def _without_marks(text: str) -> str:
    """Remove the quotes around a text, of which the closing one may be missing; empty if the text is too long.

    Within it others may be open and closed, as in ``"She said "no" twice"``.
    """
    text = text.strip()
    closing = _PAIRS.get(text[:1], "")
    # An apostrophe within a word does not close a text.
    ends = [] if not closing else [at for at in range(1, len(text)) if text[at] == closing and not _within(text, at)]
    nested = len(ends) > 1 and len(ends) % 2 and ends[-1] == len(text) - 1 and text[ends[0] - 1].isspace()
    if closing and (nested or ends in ([], [len(text) - 1])):
        text = text[1:].removesuffix(closing).strip()
    return text if len(text) <= LONGEST_VALUE else ""


def _within(text: str, at: int) -> bool:
    """Whether a sign stands between two letters."""
    return text[at - 1].isalpha() and text[at + 1 : at + 2].isalpha()


def _shortened(line: str) -> str:
    line = one_line(line)
    return line if len(line) <= LONGEST_NAMED else f"{line[:LONGEST_NAMED]}\u2026"


def date_of(value: object) -> date | None:
    """Parse a date in one of the common forms; None if it is invalid or has no day."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = one_line(_BRACKETS.sub(" ", str(value))) if isinstance(value, str | int) else ""
    return _date_in_numbers(text) or _date_by_name(text)


def _date_in_numbers(text: str) -> date | None:
    if found := _NUMERIC_DATE.match(text):
        return _valid_date(found[1], found[3] or found[5], found[4] or found[6])
    if found := _EAST_ASIAN_DATE.match(text):
        return _valid_date(*found.groups())
    if found := _SECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(found[1]), UTC).date()
    found = _SLASHED_DATE.match(text)
    if found is None:
        return None
    day, month = (found[1], found[3]) if found[2] == "." or int(found[1]) > _MOST_MONTHS else (found[3], found[1])
    unclear = found[2] != "." and int(day) <= _MOST_MONTHS and day != month
    return None if unclear else _valid_date(found[4], month, day)


def _date_by_name(text: str) -> date | None:
    """Parse a date with the name of its month."""
    plain = unaccented(_ORDINAL.sub("", text[:_LONGEST_DATE]).casefold())
    words = " ".join(_PUNCTUATION.sub(" ", plain).split())
    for form in _NAMED_DATES:
        if (found := form.match(words)) and (number := _MONTHS_BY_NAME.get(found["month"])):
            return _valid_date(found["year"], str(number), found["day"])
    return None


def date_in_name(path: str) -> date | None:
    """Return the date at the beginning of a file name (2026-11-22, 20261122, 202611221530) or in folders (2026/11/22).

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
    """Return other names of a file, by its path: the id of a Zettel, Logseq's namespaces and journal days.

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
        tags=_unique(tag for key in TAG_KEYS for tag in _tags(given.get(key))),
        aliases=_unique(alias for key in ALIAS_KEYS for alias in _names(given.get(key))),
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
    """Whether a value, or one inside it, is more than a number, a date or a boolean."""
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
    """Return a list of names, which may be written as a list or as one string with commas."""
    items = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else [value]
    return [name for name in map(_scalar, items) if name]


def _tags(value: object) -> list[str]:
    """Return tags without their ``#`` and brackets of links; a string without commas or links is split at spaces."""
    if isinstance(value, str):
        value = _LINKS_AROUND.sub(",", value) if "[[" in value else value.replace(";", ",")
    names = value.split() if isinstance(value, str) and "," not in value else _names(value)
    return [tag for name in names if (tag := _LINKS_AROUND.sub("", _scalar(name)).lstrip("#").strip())]


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _parse_toml(block: str) -> Mapping[str, Any] | None:
    import tomllib

    # Parsing a dotted key takes quadratic time in the number of its parts.
    if _ENDLESS_KEY.search(block):
        raise ValueError("nested too deeply")
    try:
        values = tomllib.loads(block)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    taxonomies = values.get("taxonomies")  # Zola keeps tags and categories one level down
    return {**taxonomies, **values} if isinstance(taxonomies, dict) else values


def _parse_yaml(block: str) -> Mapping[str, Any] | None:
    """Parse a YAML block; None if it is not a mapping, such as text between two horizontal rules."""
    import yaml

    # The base loader constructs only strings, lists and mappings: no objects, no dates, no booleans.
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
    """Reject nesting that would exhaust the C stack, and aliases that expand exponentially, before construction."""
    import yaml

    depth = aliases = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.ScalarEvent) and tag and not tag.startswith(_YAML_TAG):
            raise ValueError(f"{tag} is a word of a text, or of another program")
        if depth > DEEPEST or aliases > MOST_ALIASES:
            raise ValueError("nested too deeply, or too many aliases")
