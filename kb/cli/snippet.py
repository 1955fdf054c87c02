"""The best sentences of a passage for a question, and where the question's words stand in a text: no model needed."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

# The words that questions are made of whatever they ask, in the languages most notes are in.
_COMMON: Final = (
    "a about all an and any are as at be been by can could did do does for from had has have how i if in into "
    "is it its just may me my no not of on one or our should so some that the their them then there these they "
    "this those to too use used using was we were what when where which who whom whose why will with would you "
    "your "
    "don doesn didn isn aren wasn weren won couldn shouldn wouldn ve re ll "
    "der die das den dem des ein eine einen einem einer und oder ist sind waren wie was wer wo wann warum "
    "ich du er sie es wir ihr nicht mit von zu zum zur im in auf aus bei für kann mein meine "
    "le la les un une des du de et ou est sont qui que quoi quel quelle quels quelles comment pourquoi je tu "
    "il elle nous vous ne pas dans sur avec par ce cette ces mon ma mes "
    "el los las unos unas y o es qué quién cómo cuándo dónde por para con en del mi se no lo al "
    "il gli un uno una e è sono che chi quando dove perché per con di da nel della "
)
_STOP_WORDS: Final = frozenset(_COMMON.split())
_WORD: Final = re.compile(r"\w+")
_WIDE: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]+")
_ENDING: Final = re.compile(r"(?:ings|ing|ies|ed|es|s|e|y)$")
_Y_ENDINGS: Final = r"(?:y|ies|ied|ying)"
_ENDINGS: Final = r"(?:s|es|e|d|ed|ing|ings|er|ers|ion|ions|n|en|'s|\u2019s)?"
_STEM: Final = 4
_SENTENCE_END: Final = re.compile(r"[.!?…]+[\"'”\u2019»)\]*_]*(?=\s+[^a-z\s])|[。\uff01\uff1f]+[」』”\u2019)]*")
_HEADING: Final = re.compile(r"#{1,6}\s")
_RULE: Final = re.compile(r"(?:`{3,}|~{3,}).*|[-=|:+*_\s]+")
_ITEM: Final = re.compile(r"(?:[-*+•]|\d{1,4}[.)])\s|\|")
_FENCES: Final = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class Words:
    """The content words of a question, each as the pattern that finds it and its common endings."""

    patterns: tuple[re.Pattern[str], ...] = ()

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the words stand in a text: in order, apart from one another."""
        found = sorted(match.span() for pattern in self.patterns for match in pattern.finditer(text))
        apart: list[tuple[int, int]] = []
        for first, last in found:
            if apart and first <= apart[-1][1]:
                apart[-1] = (apart[-1][0], max(last, apart[-1][1]))
            else:
                apart.append((first, last))
        return apart


def words_of(question: str) -> Words:
    """The words of a question that say what it is about; all of them where it has no others."""
    folded = [word.casefold() for word in _WORD.findall(unicodedata.normalize("NFC", question))]
    content = [word for word in folded if word not in _STOP_WORDS and (len(word) > 1 or word.isdigit())]
    terms = dict.fromkeys(term for word in content or folded for term in _terms(word))
    return Words(tuple(re.compile(pattern, re.IGNORECASE) for pattern in map(_pattern, terms)))


def _terms(word: str) -> list[str]:
    """A word itself; of a script without spaces, its pairs of characters."""
    wide = _WIDE.search(word)
    if not wide:
        return [word]
    run = wide[0]
    return [run[at : at + 2] for at in range(max(1, len(run) - 1))]


def _pattern(term: str) -> str:
    if _WIDE.match(term):
        return re.escape(term)
    stem = _ENDING.sub("", term)
    if len(stem) < _STEM:
        # Short words are too often parts of others for more than a plural.
        short = term[:-1] if len(term) >= _STEM and term.endswith("s") and not term.endswith("ss") else term
        return rf"(?<!\w){re.escape(short)}(?:s|'s|\u2019s)?(?!\w)"
    endings = _Y_ENDINGS if term.endswith(("y", "ies")) else _ENDINGS
    return rf"(?<!\w)(?:{re.escape(stem)}{endings}|{re.escape(term)}{_ENDINGS})(?!\w)"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence on one line, and the line of the passage, from 0, on which it begins."""

    text: str
    line: int


def sentences(text: str) -> list[Sentence]:
    """The sentences of a passage: list items, table rows and lines of code stand by themselves.

    Headings, fences and rules are left out unless there is nothing else.
    """
    units: list[Sentence] = []
    paragraph: list[Sentence] = []
    headings: list[Sentence] = []
    fenced = False

    def flush() -> None:
        units.extend(_split(paragraph))
        paragraph.clear()

    for number, raw in enumerate(unicodedata.normalize("NFC", text).split("\n")):
        line = Sentence(" ".join(raw.split()), number)
        fence = line.text.startswith(_FENCES)
        if not line.text or fence or _RULE.fullmatch(line.text) or (not fenced and _HEADING.match(line.text)):
            flush()
            fenced ^= fence
            if line.text and _HEADING.match(line.text):
                headings.append(line)
        elif fenced:
            units.append(line)
        else:
            if _ITEM.match(line.text):
                flush()
            paragraph.append(line)
    flush()
    return units or headings or _split([Sentence(" ".join(text.split()), 0)])


def _split(lines: list[Sentence]) -> list[Sentence]:
    """The lines of a paragraph, joined and cut where sentences end."""
    joined = " ".join(line.text for line in lines)
    starts = [0, *accumulate(len(line.text) + 1 for line in lines)]
    ends = [match.end() for match in _SENTENCE_END.finditer(joined)]
    found: list[Sentence] = []
    for first, last in zip([0, *ends], [*ends, len(joined)], strict=True):
        part = joined[first:last].strip()
        if part:
            at = first + joined[first:last].index(part[0])
            found.append(Sentence(part, lines[bisect_right(starts, at) - 1].line))
    return found


def snippet(text: str, words: Words, *, budget: int = 280, most: int = 3) -> Sentence:
    """The sentences of a passage that say most of what the question asks, on one line, in their own order.

    What is left out between them, before or after is marked by an ellipsis. At most about ``budget`` characters. The
    line is that of the first one.
    """
    units = sentences(text)
    if not units:
        return Sentence("", 0)
    chosen = _chosen([unit.text for unit in units], words, budget, most)
    parts = [units[at].text for at in chosen]
    if len(parts) == 1:
        parts = [_clip(parts[0], words, budget)]
    return Sentence(_framed(parts, chosen, len(units)), units[chosen[0]].line)


def _chosen(units: list[str], words: Words, budget: int, most: int) -> list[int]:
    """The places of the best sentences that fit, then of those beside them; the first ones where none has a word."""
    present = [[pattern.search(unit) is not None for pattern in words.patterns] for unit in units]
    common = [max(1, sum(column)) for column in zip(*present, strict=True)]
    scores = [sum(1 / count for here, count in zip(row, common, strict=True) if here) for row in present]
    best = sorted((at for at, score in enumerate(scores) if score), key=lambda at: (-scores[at], at))
    chosen = _fitting(units, best or list(range(min(most, len(units)))), [], budget, most)
    # An answer often stands in the sentence after the one that has the question's words.
    beside = [near for at in chosen for near in (at + 1, at - 1) if 0 <= near < len(units)]
    return sorted(_fitting(units, beside, chosen, budget, most))


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
