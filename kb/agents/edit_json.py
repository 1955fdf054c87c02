"""Changes one entry of a JSON file, with comments or without, and keeps every other byte.

The text is parsed into values with their places, and only the text of the entry is inserted, replaced or cut out:
comments, trailing commas, indentation, line ends and the order of keys stay. What comes out is parsed again, and
everything but the entry has to be as before.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARK: Final = "\ufeff"
_DEEPEST: Final = 200
_END_OF_LINE: Final = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_COMMENT: Final = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_INDENT: Final = "  "


class NotValid(ValueError):
    """A text is not what its format allows, or has a shape in which nothing can be changed; the message says why."""


def parse(text: str, *, strict: bool = False) -> Any:  # noqa: ANN401 - JSON has values of any type
    """Return the value of a JSON text, which may begin with a byte order mark; None where it is blank.

    Args:
        text: The text.
        strict: Whether comments and trailing commas are refused, as in plain JSON.

    Raises:
        NotValid: It is not JSON, or an object has a key twice.
    """
    root = _parsed(text.removeprefix(MARK), strict=strict)
    return None if root is None else root.value


def with_entry(text: str, path: Sequence[str], entry: Mapping[str, Any], *, strict: bool = False) -> str:
    """Put an entry into a text, and the objects that lead to it.

    Of an entry that is there, only the values that differ are replaced; keys that ``entry`` does not have stay.

    Args:
        text: JSON, or blank.
        path: The keys that lead to the entry, its own name last.
        entry: The entry; objects in it are merged like the entry itself.
        strict: See ``parse``.

    Raises:
        NotValid: The text is not JSON, or one of the keys leads to something other than an object.
    """
    mark = MARK if text.startswith(MARK) else ""
    before = parse(text, strict=strict)
    changed = _merged(text.removeprefix(mark), tuple(path), entry, strict=strict)
    if parse(changed, strict=strict) != _with(before or {}, path, entry):
        raise NotValid("it has a shape in which the entry cannot be put")
    return mark + changed


def without_entry(text: str, path: Sequence[str], *, strict: bool = False) -> str:
    """Take an entry out of a text, and the objects that lead to it where nothing else is in them.

    Args:
        text: JSON.
        path: The keys that lead to the entry, its own name last.
        strict: See ``parse``.

    Raises:
        NotValid: The text is not JSON.
    """
    mark = MARK if text.startswith(MARK) else ""
    body = text.removeprefix(mark)
    for depth in range(len(path), 0, -1):
        node = _node_at(body, path[: depth - 1], strict=strict)
        member = node.member(path[depth - 1]) if node else None
        if node is None or member is None:
            return text
        if depth < len(path) and body[member.value.start + 1 : member.value.end - 1].strip():
            break
        body = _cut(body, node, member)
    values = parse(body, strict=strict)
    if _value_at(values, path) is not None or without(values, path) != without(parse(text, strict=strict), path):
        raise NotValid("it has a shape from which the entry cannot be taken")
    return mark + body


# --- The values that have to come out -----------------------------------------------------------------------------


def _with(values: dict[str, Any], path: Sequence[str], entry: Mapping[str, Any]) -> dict[str, Any]:
    key, *rest = path
    there = values.get(key)
    inner = there if isinstance(there, dict) else {}
    if rest:
        return {**values, key: _with(inner, rest, entry)}
    merged = dict(inner)
    for name, value in entry.items():
        merged = _with(merged, (name,), value) if isinstance(value, dict) else {**merged, name: value}
    return {**values, key: merged}


def without(values: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The values without an entry, and without the objects that lead to it where nothing else is in them."""
    key, *rest = path
    others = {name: value for name, value in values.items() if name != key}
    inner = without(values[key], rest) if rest and isinstance(values.get(key), dict) else {}
    return {**others, key: inner} if inner else others


def _value_at(values: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - JSON has values of any type
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


# --- Changing the text --------------------------------------------------------------------------------------------


def _merged(text: str, path: tuple[str, ...], entry: Mapping[str, Any], *, strict: bool) -> str:
    there = _node_at(text, path, strict=strict)
    if there is None or there.members is None:
        return _put(text, path, dict(entry), strict=strict)
    for name, value in entry.items():
        if isinstance(value, dict):
            text = _merged(text, (*path, name), value, strict=strict)
        elif name not in there.value or there.value[name] != value:
            text = _put(text, (*path, name), value, strict=strict)
    return text


def _put(text: str, path: Sequence[str], value: object, *, strict: bool) -> str:
    """Set the value at a path."""
    node = _parsed(text, strict=strict)
    if node is None:
        end = "" if not text or text.endswith("\n") else _newline(text)
        return f"{text}{end}{_rendered(_nested(path, value), _newline(text), _INDENT, '')}{_newline(text)}"
    for depth, key in enumerate(path):
        if node.members is None:
            raise NotValid(f"{'.'.join(path[:depth]) or 'the file'} is not an object")
        member = node.member(key)
        if member is None:
            return _inserted(text, node, key, _nested(path[depth + 1 :], value))
        node = member.value
    rendered = _rendered(value, _newline(text), _unit(text), _indent_at(text, node.start))
    return text[: node.start] + rendered + text[node.end :]


def _inserted(text: str, node: _Node, key: str, value: object) -> str:
    """Insert a member at the end of an object, in the style of those that are there."""
    newline, unit = _newline(text), _unit(text)
    last = node.members[-1] if node.members else None
    if last is None:
        own = _indent_at(text, node.start)
        kept = _content_end(text, node.start + 1, node.end - 1)
        rest = text[kept:] if "\n" in text[kept : node.end - 1] else f"{newline}{own}{text[node.end - 1 :]}"
        member = _member_text(key, value, newline, unit, own + unit)
        return f"{text[:kept]}{newline}{own}{unit}{member}{rest}"
    kept = _content_end(text, last.end, node.end - 1)
    begun = text.rfind("\n", 0, last.start) + 1
    indent = text[begun : last.start]
    if indent.strip() or not begun:
        # The object is on one line, and its last comment may end that line.
        own = _indent_at(text, last.start)
        separator = f"{newline}{own}" if _is_line_comment(text, last.end, kept) else " "
        member = f"{_string(key)}: {_string(value)}"
    else:
        separator = newline + indent
        member = _member_text(key, value, newline, unit, indent)
    comma = "" if last.has_comma else ","
    after = "," if last.has_comma else ""
    return f"{text[: last.value.end]}{comma}{text[last.value.end : kept]}{separator}{member}{after}{text[kept:]}"


def _cut(text: str, node: _Node, member: _Member) -> str:
    """Cut a member out of an object, and the comma that is then one too many."""
    members = node.members or ()
    at = members.index(member)
    previous = members[at - 1] if at else None
    first = previous.end if previous else node.start + 1
    begin = _content_end(text, first, member.start)
    between = text[member.value.end : member.end - 1] if member.has_comma else ""
    rest = (between if between.strip() else "") + text[member.end :]
    if _is_line_comment(text, first, begin) and not _END_OF_LINE.match(rest):
        # What follows must not become part of the comment.
        begin = member.start
    if previous is None or member.has_comma:
        return text[:begin] + rest
    return text[: previous.value.end] + text[previous.value.end : previous.end - 1] + text[previous.end : begin] + rest


def _node_at(text: str, path: Sequence[str], *, strict: bool) -> _Node | None:
    """The value at a path; None where there is none."""
    node = _parsed(text, strict=strict)
    for key in path:
        member = node.member(key) if node else None
        if member is None:
            return None
        node = member.value
    return node


def _parsed(text: str, *, strict: bool) -> _Node | None:
    return _Parser(text, strict).document()


def _nested(path: Sequence[str], value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _content_end(text: str, begin: int, end: int) -> int:
    """Where the last comment between two places ends, which have only blanks and comments between them."""
    ends = [found.end() for found in _COMMENT.finditer(text, begin, end)]
    return ends[-1] if ends else begin


def _is_line_comment(text: str, begin: int, end: int) -> bool:
    """Whether the last comment between two places, which ends at the second, runs to the end of its line."""
    comments = [found[0] for found in _COMMENT.finditer(text, begin, end)]
    return bool(comments) and comments[-1].startswith("//")


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """What a level is indented by: the indent of the first line that has one."""
    found = re.search(r'^([ \t]+)"', text, re.MULTILINE)
    return found[1] if found else _INDENT


def _indent_at(text: str, place: int) -> str:
    """The indent of the line of a place."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _member_text(key: str, value: object, newline: str, unit: str, indent: str) -> str:
    return f"{_string(key)}: {_rendered(value, newline, unit, indent)}"


def _rendered(value: object, newline: str, unit: str, indent: str) -> str:
    """A value as text: the members of objects on lines of their own, lists on one."""
    if not isinstance(value, dict) or not value:
        return _string(value)
    inner = indent + unit
    members = [f"{newline}{inner}{_member_text(key, one, newline, unit, inner)}" for key, one in value.items()]
    return f"{{{','.join(members)}{newline}{indent}}}"


def _string(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# --- Reading the text ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Member:
    """A key and its value in an object; ``end`` is after its comma where there is one, else after its value."""

    key: str
    start: int
    value: _Node
    end: int

    @property
    def has_comma(self) -> bool:
        return self.end > self.value.end


@dataclass(frozen=True, slots=True)
class _Node:
    """A value and where it stands; ``members`` is None where it is no object."""

    start: int
    end: int
    value: Any
    members: tuple[_Member, ...] | None = None

    def member(self, key: str) -> _Member | None:
        return next((one for one in self.members or () if one.key == key), None)


@dataclass(slots=True)
class _Parser:
    """Parses a text.

    Attributes:
        text: The text, without a byte order mark.
        strict: Whether comments and trailing commas are refused, as in plain JSON.
        at: Where it stands.
    """

    text: str
    strict: bool = False
    at: int = 0
    _depth: int = field(default=0, init=False)

    def document(self) -> _Node | None:
        """The root value; None where there are only blanks and comments."""
        self._skip()
        if self.at == len(self.text):
            return None
        node = self._value()
        self._skip()
        if self.at < len(self.text):
            raise self._error("text after the end")
        return node

    def _value(self) -> _Node:
        start = self.at
        first = self.text[start : start + 1]
        if first in ("{", "["):
            self._depth += 1
            if self._depth > _DEEPEST:
                raise self._error("too many levels")
            node = self._object() if first == "{" else self._array()
            self._depth -= 1
            return node
        if first == '"':
            text = self._string()
            return _Node(start, self.at, text)
        found = _SCALAR.match(self.text, start)
        if not found:
            raise self._error("a value is missing")
        try:
            value = json.loads(found[0])
        except ValueError as error:
            raise self._error("a number has too many digits") from error
        self.at = found.end()
        return _Node(start, self.at, value)

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            raise self._error("a string is missing or not closed")
        try:
            value: str = json.loads(found[0])
        except ValueError as error:
            raise self._error("a string has an unknown escape") from error
        self.at = found.end()
        return value

    def _object(self) -> _Node:
        start = self.at
        members: dict[str, _Member] = {}
        self.at += 1
        comma = True
        while not self._closes("}", after_comma=comma and bool(members)):
            if not comma:
                raise self._error("a comma is missing")
            first = self.at
            key = self._string()
            if key in members:
                raise self._error(f"the key {key!r} is there twice")
            self._skip()
            self._take(":")
            self._skip()
            value = self._value()
            comma = self._comma()
            members[key] = _Member(key, first, value, self.at if comma else value.end)
        values = {key: one.value.value for key, one in members.items()}
        return _Node(start, self.at, values, tuple(members.values()))

    def _array(self) -> _Node:
        start = self.at
        values: list[Any] = []
        self.at += 1
        comma = True
        while not self._closes("]", after_comma=comma and bool(values)):
            if not comma:
                raise self._error("a comma is missing")
            values.append(self._value().value)
            comma = self._comma()
        return _Node(start, self.at, values)

    def _closes(self, bracket: str, *, after_comma: bool) -> bool:
        self._skip()
        if self.text[self.at : self.at + 1] != bracket:
            return False
        if after_comma and self.strict:
            raise self._error("a comma before a closing bracket")
        self.at += 1
        return True

    def _comma(self) -> bool:
        """Whether a comma follows; it is taken."""
        before = self.at
        self._skip()
        if self.text[self.at : self.at + 1] == ",":
            self.at += 1
            return True
        self.at = before
        return False

    def _take(self, character: str) -> None:
        if self.text[self.at : self.at + 1] != character:
            raise self._error(f"{character!r} is missing")
        self.at += 1

    def _skip(self) -> None:
        found = _BLANK.match(self.text, self.at)
        end = found.end() if found else self.at
        if self.strict and _COMMENT.search(self.text, self.at, end):
            raise self._error("a comment")
        self.at = end

    def _error(self, what: str) -> NotValid:
        line = self.text.count("\n", 0, self.at) + 1
        return NotValid(f"line {line}: {what}")
