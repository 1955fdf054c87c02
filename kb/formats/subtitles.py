"""Reads subtitles (SubRip, WebVTT): each cue with its time; numbers and times are not embedded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.formats.escapes import references
from kb.formats.markup import Outline, one_line
from kb.records import Block, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMES: Final = re.compile(
    r"\s*(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)[.,]\d{1,3}\s*-->\s*(?:\d{1,3}:)?[0-5]?\d:[0-5]\d[.,]\d{1,3}"
)
_TAG: Final = re.compile(r"</?[A-Za-z][^<>\n]{0,80}>|<\d[\d:.]*>|\{\\[^{}\n]{0,80}\}")
_TAG_IN_WORD: Final = re.compile(rf"(?<=[^\W_])(?:{_TAG.pattern})(?=[^\W_])")
_SKIPPED: Final = re.compile(r"(?:STYLE|REGION|NOTE)(?:\s|$)")
_HEADER: Final = re.compile(r"\ufeff?WEBVTT(?:[ \t]+(.*))?$")


def parse_subtitles(text: str, first_line: int = 1) -> Outline:
    """Read the cues, each with the time at which it is shown.

    Args:
        text: The whole text of the file.
        first_line: The line to begin with.
    """
    lines = text.split("\n")
    starts = _starts(lines)
    header = _HEADER.match(lines[first_line - 1])
    timed = [(at, found) for at in range(first_line - 1, len(lines)) if (found := _TIMES.match(lines[at]))]
    followed = [*(at for at, _ in timed[1:]), len(lines)]
    noise: list[tuple[int, int]] = []
    blocks: list[Block] = []
    places: list[Place] = []
    spoken = first_line - 1
    for (number, times), following in zip(timed, followed, strict=False):
        last = _last(lines, number, following) if header else _last_of_subrip(lines, number, following)
        # The lines between two cues are numbers, names, comments and styles.
        noise.append((starts[spoken], starts[number] + len(lines[number])))
        noise += [
            (starts[at] + found.start(), starts[at] + found.end())
            for at in range(number + 1, last + 1)
            for found in _TAG.finditer(lines[at])
        ]
        if last > number:
            blocks.append(Block("text", number + 1, last + 1))
            places.append(Place(number + 1, _time(times), soft=bool(places)))
        spoken = last + 1
    if spoken < len(lines) and any(_SKIPPED.match(line) for line in lines[spoken:]):
        noise.append((starts[spoken], len(text)))
    return Outline(
        blocks=tuple(blocks),
        places=tuple(places),
        noise=tuple(noise),
        substitutions=tuple(
            sorted((*references(text), *((one.start(), one.end(), "") for one in _TAG_IN_WORD.finditer(text))))
        ),
        title=one_line((header[1] or "").lstrip("- ")) if header else "",
    )


def _starts(lines: Sequence[str]) -> list[int]:
    """Return the offset at which each line begins."""
    starts, offset = [], 0
    for line in lines:
        starts.append(offset)
        offset += len(line) + 1
    return starts


def _last(lines: Sequence[str], number: int, following: int) -> int:
    """Return the last line of the cue whose times are on a line; a blank line or the next times end it."""
    last = number
    while last + 1 < following and lines[last + 1].strip():
        last += 1
    return last


def _last_of_subrip(lines: Sequence[str], number: int, following: int) -> int:
    """The same for SubRip, which has no comments: everything up to the number of the next cue is spoken."""
    last = following - 1
    if following < len(lines) and last > number and lines[last].strip().isdigit():
        last -= 1
    while last > number and not lines[last].strip():
        last -= 1
    return last


def _time(found: re.Match[str]) -> str:
    """Format a time as players show it: ``0:12:31``."""
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return f"{hours}:{minutes:02}:{seconds:02}"
