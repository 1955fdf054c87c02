"""Snippets: the best sentences of a passage, in the order of the text, cut where they are too long."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from kb.cli.output.wrap import paths_in
from kb.records import Sentence
from kb.records.characters import SPACELESS
from kb.search.sentences import Unit, sentences, units
from kb.search.words import Words, weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST: Final = 3
_GAP: Final = " …"
_SPACELESS: Final = re.compile(f"[{SPACELESS}]")


class Row(NamedTuple):
    """A line of a snippet: its text, its indent, and the hanging indent of its continuation lines."""

    text: str
    indent: int = 0
    hang: int = 0


def by_words(text: str, words: Words, kind: str = "") -> list[Sentence]:
    """Return the sentences of a passage with most of the question's words, best first; else the first one."""
    found = sentences(text, kind)
    scores = weights([one.text for one in found], words)
    return [found[at] for at in _order(scores)][:_MOST] or found[:1]


def snippet(
    text: str, words: Words, best: Sequence[Sentence] = (), *, budget: int = 280, most: int = _MOST, kind: str = ""
) -> Sentence:
    """Return the best sentences of a passage, or those with most of the question's words, joined on one line.

    Omissions are marked by an ellipsis. The text has at most about ``budget`` characters. The line is that of the best
    sentence where ``best`` is given, else that of the first one shown. ``kind`` is the kind of the file.
    """
    found = units(text, kind)
    if not found:
        return Sentence("", 0)
    given = _places(found, best)
    chosen = _chosen(found, [len(unit.text) for unit in found], given or _by_words(found, words), budget, most)
    parts = [found[at].text for at in chosen]
    if len(parts) == 1:
        parts = [_clip(parts[0], words, budget)]
    return Sentence(_framed(parts, chosen, len(found)), found[given[0] if given else chosen[0]].line)


def snippet_rows(
    text: str,
    words: Words,
    best: Sequence[Sentence] = (),
    *,
    width: int,
    rows: int,
    kind: str = "",
    measure: Callable[[str], int] = len,
) -> list[Row]:
    """Return the best sentences of a passage as lines for a terminal; list items, table rows and code stay lines.

    Args:
        text: The passage.
        words: The words of the question.
        best: The best sentences, where they are known.
        width: The width of a line in columns.
        rows: About how many lines to return.
        kind: The kind of the file.
        measure: Returns the width of a text in columns.
    """
    found = units(text, kind)
    if not found:
        return []
    sizes = [_size(unit, width, measure) for unit in found]
    budget = max(width * rows - 10, width // 2)
    chosen = _chosen(found, sizes, _places(found, best) or _by_words(found, words), budget, _MOST)
    if len(chosen) == 1 and sizes[chosen[0]] > budget:
        unit = found[chosen[0]]
        room = budget * len(unit.text) // max(1, measure(unit.text))
        found[chosen[0]] = Unit(_clip(unit.text, words, room), unit.line, unit.block, unit.own, unit.indent)
    return _laid_out(found, chosen, width, measure)


def _size(unit: Unit, width: int, measure: Callable[[str], int]) -> int:
    """Return the columns that a unit takes, in whole lines if it is a line of its own."""
    size = measure(unit.text)
    return -(-(size + 2) // width) * width - 3 if unit.own else size


def _laid_out(found: list[Unit], chosen: list[int], width: int, measure: Callable[[str], int]) -> list[Row]:
    """Return the chosen units as lines, with an ellipsis wherever something was left out."""
    apart = {unit.block for unit in found if unit.own}
    least = min((found[at].indent for at in chosen if found[at].own), default=0)
    rows: list[Row] = []
    for before, at in zip([None, *chosen], chosen, strict=False):
        unit = found[at]
        left_out = at > 0 if before is None else at != before + 1
        begins = before is None or unit.own or (unit.block != found[before].block and found[before].block in apart)
        if not begins:
            last = rows.pop()
            rows.append(last._replace(text=f"{last.text}{_GAP if left_out else ''} {unit.text}"))
            continue
        if rows and left_out and not rows[-1].text.endswith("…"):
            rows[-1] = rows[-1]._replace(text=rows[-1].text + _GAP)
        line = unit.raw if unit.raw and measure(unit.raw) + unit.indent - least <= width else unit.text
        mark = len(line) - len(line.lstrip("-*+• ")) if unit.own else 0
        rows.append(Row(line, unit.indent - least if unit.own else 0, mark))
    if found[chosen[0]] is not found[0] and not rows[0].text.startswith("…"):
        # Lines of their own stay lines.
        shift = 2 if found[chosen[0]].own else 0
        rows = [
            rows[0]._replace(text=f"… {rows[0].text}", hang=rows[0].hang + shift),
            *(row._replace(indent=row.indent + shift) for row in rows[1:]),
        ]
    if chosen[-1] != len(found) - 1 and not rows[-1].text.endswith("…"):
        rows[-1] = rows[-1]._replace(text=rows[-1].text + _GAP)
    return rows


def _places(found: Sequence[Unit], best: Sequence[Sentence]) -> list[int]:
    known = [(unit.text, unit.line) for unit in found]
    return [known.index(place) for one in best if (place := (one.text, one.line)) in known]


def _by_words(found: Sequence[Unit], words: Words) -> list[int]:
    """Return the positions of units with words of the question, best first."""
    return _order(weights([unit.text for unit in found], words))


def _chosen(found: Sequence[Unit], sizes: list[int], best: list[int], budget: int, most: int) -> list[int]:
    """Return the positions of the best sentences that fit, then of their neighbours; else the first ones."""
    chosen = _fitting(sizes, best or list(range(min(most, len(found)))), [], budget, most)
    # An answer is often in the sentence after the one with the question's words.
    neighbours = [near for at in chosen for near in (at + 1, at - 1) if 0 <= near < len(found)]
    return sorted(_fitting(sizes, neighbours, chosen, budget, most))


def _order(scores: list[float]) -> list[int]:
    """Return the positions with a score, best first; of equal ones the first."""
    return sorted((at for at, score in enumerate(scores) if score), key=lambda at: (-scores[at], at))


def _fitting(sizes: list[int], order: list[int], chosen: list[int], budget: int, most: int) -> list[int]:
    """Return the chosen positions with those that also fit, in order; at least one."""
    fitting = list(chosen)
    room = budget - sum(sizes[at] + 3 for at in fitting)
    for at in order:
        needed = sizes[at] + 3
        if at not in fitting and len(fitting) < most and (needed <= room or not fitting):
            fitting.append(at)
            room -= needed
    return fitting


def _framed(parts: list[str], chosen: list[int], count: int) -> str:
    """Join sentences, with an ellipsis wherever something was left out."""
    line = parts[0] if chosen[0] == 0 or parts[0].startswith("…") else f"… {parts[0]}"
    for before, at, part in zip(chosen, chosen[1:], parts[1:], strict=False):
        line += f" {part}" if at == before + 1 else f"{_GAP} {part}"
    return line if chosen[-1] == count - 1 or line.endswith("…") else f"{line}{_GAP}"


def _clip(unit: str, words: Words, budget: int) -> str:
    """Return the part of a long sentence with most of the question's words, cut between words where possible."""
    if len(unit) <= budget:
        return unit
    spans = words.spans(unit)
    starts = [0, *(max(0, first - budget // 4) for first, _ in spans)]
    start = max(starts, key=lambda at: sum(at <= first and last <= at + budget for first, last in spans))
    begin = start if start == 0 else _word_from(unit, start, start + budget // 8)
    end = min(len(unit), begin + budget)
    last = end if end == len(unit) else _word_to(unit, begin, end)
    begin, last = _whole_paths(unit, begin, last)
    return ("… " if begin else "") + unit[begin:last].strip() + (_GAP if last < len(unit) else "")


def _whole_paths(text: str, begin: int, last: int) -> tuple[int, int]:
    """Return a part of a text that cuts no path: the first one is completed, one that does not fit is left out."""
    for first, end in paths_in(text):
        if first < begin < end:
            begin, last = first, max(last, end)
        if first < last < end:
            last = end if first <= begin else first
    return begin, last


def _word_from(text: str, at: int, limit: int) -> int:
    """Return where a word begins: the next one if it is near, else the one that is cut, else here."""
    found = text.find(" ", at, limit)
    if found >= 0 or _SPACELESS.match(text, at):
        return found + 1 if found >= 0 else at
    return text.rfind(" ", max(0, 2 * at - limit), at) + 1 or at


def _word_to(text: str, begin: int, at: int) -> int:
    """Return where a word ends before a position, unless that leaves too little."""
    found = text.rfind(" ", begin, at + 1)
    enough = begin + (at - begin) * (7 if _SPACELESS.match(text, at) else 3) // 8
    return found if found >= enough else at
