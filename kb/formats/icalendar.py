"""Reads calendars: the days, place, people and description of each event, task and journal entry (RFC 5545)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.formats.builder import Unreadable, line
from kb.formats.charset import prepare
from kb.formats.contentlines import content_lines, parts
from kb.formats.html import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kb.formats.builder import TextBuilder
    from kb.formats.contentlines import ContentLine
    from kb.sandbox.protocol import Limits

__all__ = ["entries", "extract", "prepare"]

_ENTRIES: Final = {"VEVENT": "event", "VTODO": "task", "VJOURNAL": "journal"}
_MOMENT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})\d{2}(Z)?)?")
_PERSON: Final = re.compile(r"mailto:", re.IGNORECASE)
_HTML: Final = re.compile(
    r"</?(?:html-blob|html|p|div|span|br|a|b|i|u|strong|em|ul|ol|li)(?:\s[^<>]{0,1000})?/?>", re.IGNORECASE
)
_EVERY: Final = re.compile(r"FREQ=(\w+)", re.IGNORECASE)
_UNTIL: Final = re.compile(r"UNTIL=(\w+)", re.IGNORECASE)


class Entry(NamedTuple):
    """An event, a task or a journal entry: its title, its day, and its text with one fact per line."""

    kind: str
    summary: str
    day: str
    facts: list[str]
    description: str
    tags: list[str]


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add each entry of a calendar to the builder.

    Raises:
        Unreadable: It is not a calendar.
    """
    if not any(one.name == "BEGIN" and one.value.strip().upper() == "VCALENDAR" for one in content_lines(data)):
        raise Unreadable("is not a calendar: it has no VCALENDAR", "Open it with a calendar program")
    found = list(entries(data))
    calendar = next((one.text for one in content_lines(data) if one.name == "X-WR-CALNAME"), "")
    single = found[0] if len(found) == 1 else None
    builder.set_properties(single.summary if single else calendar, "", single.day if single else "")
    builder.add_tags(tag for one in found for tag in one.tags)
    for one in found:
        builder.add_place(
            f"{one.kind}: " + ", ".join(filter(None, (one.summary or "no title", one.day))), reset_headings=True
        )
        builder.add_heading(one.summary, 1)
        builder.add_text("\n".join(one.facts))
        for paragraph in re.split(r"\n\s*\n", one.description):
            builder.add_text(paragraph)


def entries(data: bytes, label: str = "") -> Iterator[Entry]:
    """Yield the entries of a calendar in order."""
    kind, depth = "", 0
    said: list[ContentLine] = []
    for one in content_lines(data, label):
        value = one.value.strip().upper()
        if one.name == "BEGIN" and kind:
            depth += 1  # an alarm of the entry
        elif one.name == "BEGIN" and value in _ENTRIES:
            kind, said = _ENTRIES[value], []
        elif one.name == "END" and kind and depth:
            depth -= 1
        elif one.name == "END" and kind:
            yield _entry(kind, said)
            kind = ""
        elif kind and not depth:
            said.append(one)
    if kind:
        yield _entry(kind, said)  # the file was cut short


def _entry(kind: str, said: Sequence[ContentLine]) -> Entry:
    first: dict[str, ContentLine] = {}
    for one in said:
        first.setdefault(one.name, one)
    text = {name: line(one.text) for name, one in first.items()}
    begin, end = (_moment(first.get(name)) for name in ("DTSTART", "DTEND"))
    due, done = (_moment(first.get(name)) for name in ("DUE", "COMPLETED"))
    same_day = begin[:10] == end[:10]
    span = begin if not end or end == begin else f"{begin} to {end[11:] if same_day and end[11:] else end}"
    people = [_person(one) for one in said if one.name == "ATTENDEE"]
    facts = [
        ("When", span),
        ("Due", due),
        ("Completed", done),
        ("Repeats", _repeats(text.get("RRULE", ""))),
        ("Location", text.get("LOCATION", "")),
        ("Organizer", _person(first["ORGANIZER"]) if "ORGANIZER" in first else ""),
        ("Attendees", ", ".join(people)),
        ("Status", text.get("STATUS", "").lower()),
        ("Link", text.get("URL", "")),
        ("Comment", "; ".join(line(one.text) for one in said if one.name in {"COMMENT", "CONTACT"})),
    ]
    tags = [tag for one in said if one.name == "CATEGORIES" for tag in parts(one.value, ",") if tag]
    facts.append(("Categories", ", ".join(tags)))
    description = _description(first)
    day = (begin or due or done)[:10]
    return Entry(
        kind, text.get("SUMMARY", ""), day, [f"{name}: {value}" for name, value in facts if value], description, tags
    )


def _description(first: Mapping[str, ContentLine]) -> str:
    """Return the description of an entry, in which Google writes HTML; Outlook has the same as HTML, or that alone."""
    one = first.get("DESCRIPTION") or first.get("X-ALT-DESC")
    text = one.text if one else ""
    if _HTML.search(text) is None:
        return text
    return "\n\n".join(piece.text for piece in parsed(text.replace("\n", "<br>")).pieces)


def _moment(one: ContentLine | None) -> str:
    """Format a date and time for readers, with its time zone."""
    found = _MOMENT.match(one.value.strip()) if one else None
    if not (one and found):
        return ""
    day = f"{found[1]}-{found[2]}-{found[3]}"
    zone = "UTC" if found[6] else one.parameters.get("TZID", "").strip('"/')
    return " ".join(filter(None, (day, f"{found[4]}:{found[5]}" if found[4] else "", zone if found[4] else "")))


def _person(one: ContentLine) -> str:
    """Return the name and address of an organizer or attendee."""
    name = line(one.parameters.get("CN", "").strip('"'))
    address = line(_PERSON.sub("", one.text))
    return f"{name} <{address}>" if name and address and name != address else name or address


def _repeats(rule: str) -> str:
    every, until = _EVERY.search(rule), _UNTIL.search(rule)
    last = _MOMENT.match(until[1]) if until else None
    return (every[1].lower() if every else "") + (f" until {last[1]}-{last[2]}-{last[3]}" if last else "")
