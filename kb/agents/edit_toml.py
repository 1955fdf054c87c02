"""Changes one table of a TOML file and keeps every other byte.

A new table is written at the end, and taken out line by line. A table that is there is changed by tomlkit, which keeps
comments and layout. What comes out is parsed again, and everything but the table has to be as before.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from kb.agents.edit_json import MARK, NotValid, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\n]*|[\[\]{}]|\n",
    re.DOTALL,
)


def parse(text: str) -> dict[str, Any]:
    """Return the values of a TOML text, which may begin with a byte order mark.

    Raises:
        NotValid: It is not TOML.
    """
    try:
        return tomllib.loads(text.removeprefix(MARK))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = str(error)
        raise NotValid(message[:1].lower() + message[1:]) from error


def with_entry(text: str, path: Sequence[str], entry: Mapping[str, Any]) -> str:
    """Put a table into a text. Of one that is there, only the values that differ are replaced.

    Args:
        text: TOML, or nothing.
        path: The keys that lead to the table, its own name last.
        entry: Its values: texts, lists of texts, and tables of them.

    Raises:
        NotValid: The text is not TOML, or has a value where the table belongs.
    """
    before = parse(text)
    there = _value_at(before, path)
    if there is None:
        changed = text + _appended(text, path, entry)
    elif all(there.get(key) == value for key, value in entry.items()):
        return text
    else:
        begin, end = _region(text, tuple(path))
        changed = text[:begin] + _updated(text[begin:end], path, entry) + text[end:]
    try:
        after = parse(changed)
    except NotValid as error:
        raise NotValid(f"{path[0]} is written in a way to which no table can be added") from error
    if without(after, path) != without(before, path):
        raise NotValid("it has a shape in which the table cannot be put")
    return changed


def without_entry(text: str, path: Sequence[str]) -> str:
    """Take a table out of a text, with the tables in it.

    Args:
        text: TOML.
        path: The keys that lead to the table, its own name last.

    Raises:
        NotValid: The text is not TOML, or writes the table in a way in which it cannot be taken out.
    """
    before = parse(text)
    if _value_at(before, path) is None:
        return text
    lines = list(_table_lines(text, tuple(path)))
    changed = _cut(text, lines) if lines else _deleted(text, path)
    after = parse(changed)
    if _value_at(after, path) is not None or without(after, path) != without(before, path):
        raise NotValid("it has a shape from which the table cannot be taken")
    return changed


def _value_at(values: dict[str, Any], path: Sequence[str]) -> dict[str, Any] | None:
    for key in path:
        if key not in values:
            return None
        values = values[key]
        if not isinstance(values, dict):
            raise NotValid(f"{key} is not a table")
    return values


# --- A new table --------------------------------------------------------------------------------------------------


def _appended(text: str, path: Sequence[str], entry: Mapping[str, Any]) -> str:
    """The lines of a table at the end of a text: after an empty line, without a last line end where it has none."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = list(_lines(path, entry))
    if not text.removeprefix(MARK):
        return newline.join(lines) + newline
    if text.endswith("\n"):
        return newline + newline.join(lines) + newline
    return newline * 2 + newline.join(lines)


def _lines(path: Sequence[str], entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{'.'.join(path)}]"
    tables = {key: value for key, value in entry.items() if isinstance(value, dict)}
    yield from (f"{key} = {_literal(value)}" for key, value in entry.items() if key not in tables)
    for key, value in tables.items():
        yield ""
        yield from _lines((*path, key), value)


def _literal(value: str | Sequence[str]) -> str:
    import tomlkit

    return tomlkit.item(value).as_string()


# --- A table that is there ----------------------------------------------------------------------------------------


def _region(text: str, path: tuple[str, ...]) -> tuple[int, int]:
    """Where a table and those in it stand, if they follow one another; else the whole text.

    Tables that others stand between are not written back by tomlkit as they were, so that it gets these lines alone.
    """
    tables = list(_table_lines(text, path))
    if tables and not without(parse(text[tables[0][0] : tables[-1][1]]), path):
        return tables[0][0], tables[-1][1]
    return 0, len(text)


def _updated(text: str, path: Sequence[str], entry: Mapping[str, Any]) -> str:
    there = _value_at(parse(text), path) or {}
    if lines := list(_table_lines(text, tuple(path))):
        # tomlkit would put new keys behind the comments that belong to the next table.
        newline = "\r\n" if "\r\n" in text else "\n"
        begin = text.find("\n", lines[0][0]) + 1 or len(text)
        new = "".join(
            f"{key} = {_literal(value)}{newline}"
            for key, value in entry.items()
            if key not in there and not isinstance(value, dict)
        )
        text = f"{text[:begin]}{'' if text[:begin].endswith(chr(10)) else newline}{new}{text[begin:]}" if new else text

    def update(table: MutableMapping[str, Any]) -> None:
        for key, value in entry.items():
            if isinstance(value, dict) and isinstance(table.get(key), dict):
                table[key].update(value)
            elif table.get(key) != value:
                table[key] = value

    return _by_tomlkit(text, [*path], update)


def _deleted(text: str, path: Sequence[str]) -> str:
    """Take out a table that has no header of its own: an inline table, or dotted keys."""

    def delete(table: MutableMapping[str, Any]) -> None:
        del table[path[-1]]

    return _by_tomlkit(text, path[:-1], delete)


def _by_tomlkit(text: str, path: Sequence[str], change: Any) -> str:  # noqa: ANN401 - a function over tomlkit's tables
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    mark = MARK if text.startswith(MARK) else ""
    body = text.removeprefix(mark)
    try:
        document = tomlkit.parse(body)
        if tomlkit.dumps(document) != body:
            raise NotValid("it is written in a way that cannot be kept byte for byte")
        table: Any = document
        for key in path:
            table = table[key]
        change(table)
        return mark + tomlkit.dumps(document)
    except (TOMLKitError, AttributeError, TypeError) as error:
        raise NotValid(f"{'.'.join(path)} cannot be changed ({error})") from error


def _cut(text: str, tables: Sequence[tuple[int, int]]) -> str:
    """Cut tables out, and the empty line before the first, as it was written."""
    for begin, end in reversed(tables):
        before, after = text[:begin], text[end:]
        if not after and not text.endswith("\n"):
            before = re.sub(r"(\r?\n){1,2}\Z", "", before)
        elif begin > 0:
            before = re.sub(r"(?<=\n)\r?\n\Z", "", before)
        text = before + after
    return text


def _table_lines(text: str, path: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where the tables at a path and below it stand: from their headers to the last line with a value of theirs."""
    headers = [*_headers(text), (len(text), ())]
    for (begin, name), (until, _) in itertools.pairwise(headers):
        if name[: len(path)] == path:
            # Comments and empty lines before the next header belong to that.
            kept = re.search(r"(?:^[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z))*\Z", text[begin:until], re.MULTILINE)
            yield begin, begin + kept.start() if kept and until < len(text) else until


def _headers(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The headers of a valid text: where their lines begin, and the keys that they name."""
    depth = 0
    line = 1 if text.startswith(MARK) else 0
    skip_to = 0
    for token in _TOKEN.finditer(text):
        if token.start() < skip_to:
            continue
        match token[0]:
            case "\n":
                line = token.end()
            case "[" if depth == 0 and not text[line : token.start()].strip():
                end = text.find("\n", token.start())
                skip_to = len(text) if end < 0 else end
                yield line, _named(text[line:skip_to])
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1


def _named(header: str) -> tuple[str, ...]:
    """The keys of a header."""
    values: Any = tomllib.loads(header.strip())
    keys = []
    while isinstance(values, dict) and values:
        ((key, values),) = values.items()
        keys.append(key)
    return tuple(keys)
