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
_NAME: Final = re.compile(r"(?:([\w.-]+)\.)?([A-Za-z][\w-]*)")
_PARAMETER: Final = re.compile(r";([A-Za-z0-9-]+)(?:=((?:\"[^\"]*\"|[^\";:,])*(?:,(?:\"[^\"]*\"|[^\";:,])*)*))?")
_ESCAPE: Final = re.compile(r"\\([\\,;:nN])")
# Pictures, sounds and keys.
_DATA: Final = frozenset({"PHOTO", "LOGO", "SOUND", "KEY", "IMAGE"})


@dataclass(frozen=True, slots=True)
class ContentLine:
    """One property: its name in capitals, its parameters by name in capitals, its value as it is written."""

    name: str
    parameters: dict[str, str]
    value: str

    @property
    def text(self) -> str:
        """The value as a reader sees it."""
        return unescaped(self.value)

    @property
    def kinds(self) -> str:
        """What the parameters call it: home, work."""
        said = [one.lower() for one in self.parameters.get("TYPE", "").replace('"', "").split(",")]
        return ", ".join(one for one in said if one and one not in {"internet", "pref", "voice", "x-internet"})


def unescaped(value: str) -> str:
    """A value without the signs that keep separators from separating."""
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value).strip()


def parts(value: str, separator: str = ";") -> list[str]:
    """The parts of a value, as a name or an address has them."""
    return [unescaped(part) for part in re.split(rf"(?<!\\){re.escape(separator)}", value)]


def content_lines(data: bytes, label: str = "") -> Iterator[ContentLine]:
    """The properties of a card or a calendar in their order, without those that are data.

    Args:
        data: The bytes of a file.
        label: The encoding that it is said to be in.
    """
    text = decoded(data, label).replace("\r\n", "\n").replace("\r", "\n")
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
            # Version 2.1 goes on in the next line where one ends with an equals sign.
            while value.endswith("=") and (more := next(waiting, None)) is not None:
                value = value[:-1] + more
            value = decoded(quopri.decodestring(value.encode()), parameters.get("CHARSET", "") or label)
        elif found[2].upper() in _DATA or "BASE64" in encoding or encoding == "B":
            continue
        if value[:5].lower() != "data:":
            yield ContentLine(found[2].upper(), parameters, clean(value))
