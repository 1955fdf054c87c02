"""The best sentences of a passage as they are shown: on one line, in their own order, cut where they are too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.records import Sentence
from kb.search.sentences import sentences
from kb.search.words import Words, weights

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST: Final = 3


def by_words(text: str, words: Words) -> list[Sentence]:
    """The sentences of a passage with most of the question's words, best first; the first one where none has any."""
    units = sentences(text)
    scores = weights([unit.text for unit in units], words)
    return [units[at] for at in _order(scores)][:_MOST] or units[:1]


def snippet(
    text: str, words: Words, best: Sequence[Sentence] = (), *, budget: int = 280, most: int = _MOST
) -> Sentence:
    """The best sentences of a passage, else those that have most of the question's words; on one line, in their order.

    What is left out between them, before or after is marked by an ellipsis. At most about ``budget`` characters. The
    line is that of the best one where those are given, else that of the first one shown.
    """
    units = sentences(text)
    if not units:
        return Sentence("", 0)
    known = [(unit.text, unit.line) for unit in units]
    given = [known.index(place) for one in best if (place := (one.text, one.line)) in known]
    chosen = _chosen([unit.text for unit in units], given, words, budget, most)
    parts = [units[at].text for at in chosen]
    if len(parts) == 1:
        parts = [_clip(parts[0], words, budget)]
    return Sentence(_framed(parts, chosen, len(units)), units[given[0] if given else chosen[0]].line)


def _chosen(units: list[str], given: list[int], words: Words, budget: int, most: int) -> list[int]:
    """The places of the best sentences that fit, then of those beside them; the first ones where none has a word."""
    best = given or _order(weights(units, words))
    chosen = _fitting(units, best or list(range(min(most, len(units)))), [], budget, most)
    # An answer often stands in the sentence after the one that has the question's words.
    beside = [near for at in chosen for near in (at + 1, at - 1) if 0 <= near < len(units)]
    return sorted(_fitting(units, beside, chosen, budget, most))


def _order(scores: list[float]) -> list[int]:
    """The places of what has a score, best first; of equals the one that stands first."""
    return sorted((at for at, score in enumerate(scores) if score), key=lambda at: (-scores[at], at))


def _fitting(units: list[str], order: list[int], chosen: list[int], budget: int, most: int) -> list[int]:
    """What is chosen already and what else fits, in the order given; something always fits into nothing."""
    fitting = list(chosen)
    room = budget - sum(len(units[at]) + 3 for at in fitting)
    for at in order:
        needed = len(units[at]) + 3
        if at not in fitting and len(fitting) < most and (needed <= room or not fitting):
            fitting.append(at)
            room -= needed
    return fitting


def _framed(parts: list[str], chosen: list[int], count: int) -> str:
    """Join sentences, with an ellipsis wherever something was left out."""
    line = parts[0] if chosen[0] == 0 or parts[0].startswith("…") else f"… {parts[0]}"
    for before, at, part in zip(chosen, chosen[1:], parts[1:], strict=False):
        line += f" {part}" if at == before + 1 else f" … {part}"
    return line if chosen[-1] == count - 1 or line.endswith("…") else f"{line} …"


def _clip(unit: str, words: Words, budget: int) -> str:
    """The stretch of a long sentence with most of the question's words in it, cut between words where it can be."""
    if len(unit) <= budget:
        return unit
    spans = words.spans(unit)
    starts = [0, *(max(0, first - budget // 4) for first, _ in spans)]
    start = max(starts, key=lambda at: sum(at <= first and last <= at + budget for first, last in spans))
    first = start if start == 0 else _space_after(unit, start, start + budget // 8)
    end = min(len(unit), start + budget)
    last = end if end == len(unit) else _space_before(unit, end, end - budget // 8)
    return ("… " if first else "") + unit[first:last].strip() + (" …" if last < len(unit) else "")


def _space_after(text: str, at: int, limit: int) -> int:
    found = text.find(" ", at, limit)
    return at if found < 0 else found + 1


def _space_before(text: str, at: int, limit: int) -> int:
    found = text.rfind(" ", max(0, limit), at + 1)
    return at if found < 0 else found
