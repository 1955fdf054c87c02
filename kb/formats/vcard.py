"""Reads contacts: the names, numbers, addresses and notes of each card (RFC 6350, vCard 2.1 to 4.0)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.contentlines import content_lines, parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.formats.builder import TextBuilder
    from kb.formats.contentlines import ContentLine
    from kb.sandbox.protocol import Limits

__all__ = ["cards", "extract", "prepare"]

# The properties of a card with their labels for readers; the others are for programs.
_LABELS: Final = {
    "NICKNAME": "Nickname",
    "ORG": "Organization",
    "TITLE": "Title",
    "ROLE": "Role",
    "TEL": "Phone",
    "EMAIL": "E-mail",
    "ADR": "Address",
    "BDAY": "Birthday",
    "ANNIVERSARY": "Anniversary",
    "URL": "Web",
    "IMPP": "Messenger",
    "RELATED": "Related",
    "NOTE": "Note",
    "CATEGORIES": "Categories",
    "X-ABRELATEDNAMES": "Related",
    "X-PHONETIC-FIRST-NAME": "Phonetic",
    "X-PHONETIC-LAST-NAME": "Phonetic",
    "X-SOCIALPROFILE": "Profile",
}
_DAY: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:T.*)?")
_STRUCTURED: Final = frozenset({"ORG", "ADR"})
# A label that its owner wrote for the properties of its group; programs write theirs as _$!<Home>!$_.
_OWN_LABEL: Final = "X-ABLABEL"
_MADE_LABEL: Final = re.compile(r"_\$!<(.*)>!\$_")


def cards(data: bytes, label: str = "") -> Iterator[str]:
    """Yield the text of each card: its name and a line for each fact.

    Args:
        data: The bytes of a file.
        label: Its declared encoding, if any.
    """
    for card in _cards(data, label):
        name = _name_of(card)
        yield "\n".join(filter(None, (name, *_facts(card, name))))


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add each card to the builder.

    Raises:
        Unreadable: There is no card in it.
    """
    found = list(_cards(data))
    if not found:
        raise Unreadable("is not a contact: it has no card", "Open it with an address book")
    if len(found) == 1:
        builder.set_properties(_name_of(found[0]))
    builder.add_tags(tag for card in found for one in card if one.name == "CATEGORIES" for tag in parts(one.value, ","))
    for card in found:
        name = _name_of(card)
        builder.add_place(f"contact: {name or 'no name'}", reset_headings=True)
        builder.add_heading(name, 1)
        builder.add_text("\n".join(_facts(card, name)))


def _cards(data: bytes, label: str = "") -> Iterator[list[ContentLine]]:
    """Yield the properties of each card."""
    card: list[ContentLine] | None = None
    for one in content_lines(data, label):
        value = one.value.strip().upper()
        if one.name == "BEGIN" and value == "VCARD":
            card = []
        elif one.name == "END" and value == "VCARD" and card is not None:
            yield card
            card = None
        elif card is not None:
            card.append(one)
    if card:
        yield card  # the file was cut short


def _name_of(card: Sequence[ContentLine]) -> str:
    """Return the name of a contact: the full name, else its parts, else the organization or an address."""
    said: dict[str, str] = {}
    for one in card:
        said.setdefault(one.name, one.value)
    family, given, more, before, after, *_ = [*parts(said.get("N", "")), "", "", "", "", ""]
    whole = line(" ".join(parts(said.get("FN", ""))))
    return (
        whole
        or line(f"{before} {given} {more} {family} {after}")
        or line(
            next((" ".join(parts(said[name])) for name in ("ORG", "NICKNAME", "EMAIL", "TEL") if said.get(name)), "")
        )
    )


def _facts(card: Sequence[ContentLine], name: str) -> Iterator[str]:
    labels = {one.group: _MADE_LABEL.sub(r"\1", one.text) for one in card if one.name == _OWN_LABEL}
    for one in card:
        if one.name == "N":
            # The parts of the name, if the full name lacks some of them.
            spelled = line(" ".join(reversed([part for part in parts(one.value)[:3] if part])))
            if not set(spelled.split()) <= set(name.split()):
                yield f"Name: {spelled}"
        elif label := _LABELS.get(one.name):
            value = one.text
            if one.name in _STRUCTURED:
                value = ", ".join(filter(None, map(line, parts(one.value))))
            elif (one.name in {"BDAY", "ANNIVERSARY"}) and (day := _DAY.fullmatch(value)):
                value = "-".join(day.groups())
            kinds = ", ".join(filter(None, (one.kinds, labels.get(one.group, "") if one.group else "")))
            if value:
                yield f"{label}{f' ({kinds})' if kinds else ''}: {value}"
