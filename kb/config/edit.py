"""Changes one value in a ``config.toml`` and leaves every other byte of it as it is."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRING: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|\'\'\'(?:[^\']|\'(?!\'\'))*\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_HEADER: Final = re.compile(r"\[\s*([^\[\]\n]+?)\s*\][^\n]*(?:\n|$)")
_KEY: Final = re.compile(r"""((?:[\w.\- \t]|"[^"\n]*"|'[^'\n]*')+?)\s*=[ \t]*""")
_PLAIN: Final = re.compile(r"[^\s,\[\]{}#]+")


@dataclass(frozen=True, slots=True)
class _Found:
    """A key with its section, or the header of a section, and where in the text it stands; a header has no value."""

    key: str
    begin: int
    value: int
    end: int


def with_folder(text: str, folder: str) -> str:
    """A configuration with one more folder in ``folders.paths``; comments and layout stay.

    Raises:
        ConfigError: It is written in a way that this cannot change.
    """
    wanted = _parsed(text)
    section = wanted.setdefault("folders", {})
    section["paths"] = [*section.get("paths", []), folder]
    found = _key(text, "folders.paths")
    if found is None:
        return _checked(_with_key(text, "folders", "paths", f"[{_quoted(folder)}]"), wanted, "folders.paths")
    return _checked(_appended(text, found, folder), wanted, "folders.paths")


def with_value(text: str, key: str, value: str) -> str:
    """A configuration with another text as the value of a dotted key; comments and layout stay.

    Raises:
        ConfigError: It is written in a way that this cannot change.
    """
    section, _, name = key.partition(".")
    wanted = _parsed(text)
    wanted.setdefault(section, {})[name] = value
    found = _key(text, key)
    if found is None:
        return _checked(_with_key(text, section, name, _quoted(value)), wanted, key)
    return _checked(text[: found.value] + _quoted(value) + text[found.end :], wanted, key)


def _checked(text: str, wanted: dict[str, Any], key: str) -> str:
    """The new text, once it says what was wanted and nothing else has changed in it.

    Raises:
        ConfigError: It does not.
    """
    try:
        same = _parsed(text) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        value = wanted[key.partition(".")[0]][key.partition(".")[2]]
        raise ConfigError(
            f"{key} is written in a way that kb does not edit",
            f"Open the file and write there: {key} = {json.dumps(value, ensure_ascii=False)}",
        )
    return text


def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))


def _key(text: str, key: str) -> _Found | None:
    return next((one for one in _statements(text) if one.key == key and one.value), None)


def _statements(text: str) -> Iterator[_Found]:
    """The headers and keys of a file in order, until something is met that this does not understand."""
    at = 1 if text.startswith("\ufeff") else 0
    section = ""
    while True:
        at = _end(_BLANK, text, at)
        if at >= len(text):
            return
        if header := _HEADER.match(text, at):
            section = _plain_key(header[1])
            yield _Found(section, at, 0, header.end())
            at = header.end()
            continue
        key = _KEY.match(text, at)
        if key is None:
            return
        end = _value_end(text, key.end())
        name = _plain_key(key[1])
        yield _Found(f"{section}.{name}" if section else name, at, key.end(), end)
        at = end


def _plain_key(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _value_end(text: str, at: int) -> int:
    """Where a value ends: a string, a list or table with everything in it, or a plain word."""
    depth = 0
    while at < len(text):
        if text[at] in "[{":
            depth += 1
            at += 1
        elif text[at] in "]}":
            depth -= 1
            at += 1
        elif text[at] in "\"'":
            at = max(_end(_STRING, text, at), at + 1)
        elif depth and text[at] in " \t\r\n#,":
            at = max(_end(_BLANK, text, at), at + 1)
        else:
            at = max(_end(_PLAIN, text, at), at + 1)
        if depth <= 0:
            break
    return at


def _appended(text: str, found: _Found, folder: str) -> str:
    """The text with one more string at the end of a list, laid out as the one before it."""
    inside, close = found.value + 1, found.end - 1
    last, comma = -1, False
    begins = [inside]
    at = inside
    while (at := _end(_BLANK, text, at)) < close:
        if text[at] == ",":
            comma = True
            at += 1
            continue
        begins.append(at)
        at = last = _value_end(text, at)
        comma = False
    if last < 0:
        return text[:inside] + _quoted(folder) + text[inside:]
    line = text.rfind("\n", 0, begins[-1]) + 1
    indent = text[line : begins[-1]]
    alone = line > found.value and not indent.strip()
    if not alone:
        return f"{text[:last]}, {_quoted(folder)}{text[last:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    after = last + text[last:close].index(",") + 1 if comma else last
    stop = text.find("\n", after, close)
    stop = after if stop < 0 else stop - (text[stop - 1] == "\r")
    one_more = f"{newline}{indent}{_quoted(folder)}{',' if comma else ''}"
    return f"{text[:last]}{'' if comma else ','}{text[last:stop]}{one_more}{text[stop:]}"


def _with_key(text: str, section: str, name: str, value: str) -> str:
    """The text with a key that it does not have, at the top of its section, which is added where it is missing."""
    newline = "\r\n" if "\r\n" in text else "\n"
    statements = list(_statements(text))
    for one in statements:
        if one.key == section and not one.value:
            head = text[: one.end] if text[: one.end].endswith("\n") else text[: one.end] + newline
            return f"{head}{name} = {value}{newline}{text[one.end :]}"
    for one in statements:
        if one.key.startswith(f"{section}."):
            return f"{text[: one.begin]}{section}.{name} = {value}{newline}{text[one.begin :]}"
    gap = "" if not text or text.endswith("\n") else newline
    return f"{text}{gap}{newline}[{section}]{newline}{name} = {value}{newline}"


def _quoted(value: str) -> str:
    """A text in TOML: JSON's strings are TOML's, as long as nothing beyond the basic plane is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
