"""Parses the content lines of vCard and iCalendar (RFC 6350, RFC 5545)."""

from __future__ import annotations

import quopri
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.formats.builder import clean
from kb.formats.charset import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLD: Final = re.compile(r"\n[ \t]")
# Lines are folded by bytes, so that a fold may stand within a letter of UTF-8.
_FOLD_IN_LETTER: Final = re.compile(rb"(?<=[\x80-\xff])\r?\n[ \t](?=[\x80-\xbf])")
_NAME: Final = re.compile(r"(?:([\w.-]+)\.)?([A-Za-z][\w-]*)")
_PARAMETER: Final = re.compile(r";([A-Za-z0-9-]+)(?:=((?:\"[^\"]*\"|[^\";:,])*(?:,(?:\"[^\"]*\"|[^\";:,])*)*))?")
_ESCAPE: Final = re.compile(r"\\([\\,;:nN])")
# Pictures, sounds and keys.
_DATA: Final = frozenset({"PHOTO", "LOGO", "SOUND", "KEY", "IMAGE"})


_BEGIN: Final = rb"(?:\xef\xbb\xbf)?\s{0,80}BEGIN:%s[ \t]*[\r\n]"
_CALENDAR: Final = re.compile(_BEGIN % b"VCALENDAR", re.IGNORECASE)
_CARD: Final = re.compile(_BEGIN % b"VCARD", re.IGNORECASE)


def is_calendar(data: bytes) -> bool:
    """Whether a file is a calendar, by its first line."""
    return _CALENDAR.match(data) is not None


def is_card(data: bytes) -> bool:
    """Whether a file is a contact, by its first line."""
    return _CARD.match(data) is not None


@dataclass(frozen=True, slots=True)
class ContentLine:
    """A property: its name and group in capitals, its parameters by name in capitals, and its value as written."""

    name: str
    parameters: dict[str, str]
    value: str
    group: str = ""

    @property
    def text(self) -> str:
        """The value without escapes."""
        return unescaped(self.value)

    @property
    def kinds(self) -> str:
        """The kinds in its parameters, such as home and work."""
        said = [one.lower() for one in self.parameters.get("TYPE", "").replace('"', "").split(",")]
        return ", ".join(one for one in said if one and one not in {"internet", "pref", "voice", "x-internet"})


def unescaped(value: str) -> str:
    """Remove the escapes of a value."""
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value).strip()


def parts(value: str, separator: str = ";") -> list[str]:
    """Return the parts of a value, such as a name or an address."""
    return [unescaped(part) for part in re.split(rf"(?<!\\){re.escape(separator)}", value)]


def content_lines(data: bytes, label: str = "") -> Iterator[ContentLine]:
    """Yield the properties of a card or a calendar in order, without those that are binary data.

    Args:
        data: The bytes of a file.
        label: Its declared encoding, if any.
    """
    text = decoded(_FOLD_IN_LETTER.sub(b"", data), label).replace("\r\n", "\n").replace("\r", "\n")
    waiting = iter(_FOLD.sub("", text).split("\n"))
    for line in waiting:
        found = _NAME.match(line)
        if not found:
            continue
        parameters: dict[str, str] = {}
        at = found.end()
        while parameter := _PARAMETER.match(line, at):
            name, value = (parameter[1].upper(), parameter[2]) if parameter[2] is not None else ("TYPE", parameter[1])
            parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
            at = parameter.end()
        if line[at : at + 1] != ":":
            continue
        value = line[at + 1 :]
        encoding = parameters.get("ENCODING", parameters.get("TYPE", "")).upper()
        if "QUOTED-PRINTABLE" in encoding:
            # In version 2.1, a line that ends with an equals sign continues on the next one.
            while value.endswith("=") and (more := next(waiting, None)) is not None:
                value = value[:-1] + more
            value = decoded(quopri.decodestring(value.encode()), parameters.get("CHARSET", "") or label)
        elif found[2].upper() in _DATA or "BASE64" in encoding or encoding == "B":
            continue
        if value[:5].lower() != "data:":
            yield ContentLine(found[2].upper(), parameters, clean(value), (found[1] or "").upper())
