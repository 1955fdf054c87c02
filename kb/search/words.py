"""The content words of a question, and where they occur in a text. Functions of values."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.records.characters import MARKS, TWOS, compared, seen, unaccented

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
# Around a word, but no part of it: C++ and C# keep their signs.
_AROUND: Final = ".,;:!?()[]{}<>\"'\u2026\u201c\u201d\u201e\u00ab\u00bb\u00bf\u00a1\u3002\uff1f\uff01"
_STOP_WORDS: Final = frozenset(_COMMON.split())
_WORD: Final = re.compile(rf"[\w{MARKS}]+")
_BEFORE, _AFTER = rf"(?<![\w{MARKS}])", rf"(?![\w{MARKS}])"
_WIDE: Final = re.compile(f"[{TWOS}]+")
_ENDING: Final = re.compile(r"(?:ings|ing|ies|ed|es|s|e|y)$")
_Y_ENDINGS: Final = r"(?:y|ies|ied|ying)"
_ENDINGS: Final = r"(?:s|es|e|d|ed|ing|ings|er|ers|ion|ions|n|en|'s|\u2019s)?"
_STEM: Final = 4
_APOSTROPHE: Final = re.compile("['\u2019]")


@dataclass(frozen=True, slots=True)
class Words:
    """The content words of a question, each as the pattern that finds it and its common endings.

    The patterns are for texts in the form in which they are compared: see ``kb.records.characters``.
    """

    patterns: tuple[re.Pattern[str], ...] = ()

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the words stand in a text: in order, apart from one another."""
        plain, places = (text, None) if text.isascii() or not self.patterns else compared(text)
        found = sorted(match.span() for pattern in self.patterns for match in pattern.finditer(plain))
        if places is not None:
            # Up to where the last letter ends, with the marks that belong to it.
            found = [(places[first], places[last - 1] + _width(text, places[last - 1])) for first, last in found]
        apart: list[tuple[int, int]] = []
        for first, last in found:
            if apart and first <= apart[-1][1]:
                apart[-1] = (apart[-1][0], max(last, apart[-1][1]))
            else:
                apart.append((first, last))
        return apart


def _width(text: str, at: int) -> int:
    """Return the length of the letter at a position, including its combining marks."""
    width = 1
    while at + width < len(text) and unicodedata.combining(text[at + width]):
        width += 1
    return width


def words_of(question: str) -> Words:
    """Return the content words of a question; all its words where it has none."""
    folded = [word.casefold() for word in _WORD.findall(unicodedata.normalize("NFC", seen(question)))]
    content = [word for word in folded if word not in _STOP_WORDS and (len(word) > 1 or word.isdigit())]
    terms = dict.fromkeys(term for word in content or folded for term in _terms(unaccented(word)))
    return Words(tuple(re.compile(pattern, re.IGNORECASE) for pattern in map(_pattern, terms)))


def content_words(question: str) -> str:
    """Strip stop words from a question; return an empty string if nothing remains.

    Joined strings, such as serial numbers and paths, are kept as they are.
    """
    return " ".join(word for word in question.split() if any(map(_is_content, _APOSTROPHE.split(word))))


def inflected(words: str, texts: Mapping[str, str], most: float) -> frozenset[str]:
    """Return the ids of texts that contain all of some words in any inflection, whatever their language.

    The keyword index stems by the detected language of a document, which may be wrong for a note of a few words with
    names in it: *services* still matches *serviced*.

    Args:
        words: Content words of a question. None match if one is a number or joined by punctuation.
        texts: Texts by id.
        most: The largest share of the texts that may match; where more do, none are returned.
    """
    bare = [word.strip(_AROUND) for word in words.split()]
    if not bare or not all(len(word) >= _STEM and word.isalpha() for word in bare):
        return frozenset()
    patterns = words_of(words).patterns
    found = frozenset(id_ for id_, text in texts.items() if all(pattern.search(text) for pattern in patterns))
    return found if len(found) <= most * len(texts) else frozenset()


def is_stop_word(word: str) -> bool:
    """Whether a word is a stop word."""
    return unicodedata.normalize("NFC", word).casefold() in _STOP_WORDS


def _is_content(part: str) -> bool:
    bare = unicodedata.normalize("NFC", seen(part)).casefold().strip(_AROUND)
    return bool(bare) and bare not in _STOP_WORDS and not (len(bare) == 1 and bare.isascii() and not bare.isdigit())


def _terms(word: str) -> list[str]:
    """Return a word itself; in a script without spaces, its character bigrams."""
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
        return rf"{_BEFORE}{re.escape(short)}(?:s|'s|\u2019s)?{_AFTER}"
    endings = _Y_ENDINGS if term.endswith(("y", "ies")) else _ENDINGS
    return rf"{_BEFORE}(?:{re.escape(stem)}{endings}|{re.escape(term)}{_ENDINGS}){_AFTER}"


def weights(units: Sequence[str], words: Words) -> list[float]:
    """How much of the question's words each sentence has: a word counts the more, the fewer of them have it."""
    plain = [unit if unit.isascii() else compared(unit)[0] for unit in units]
    present = [[pattern.search(unit) is not None for pattern in words.patterns] for unit in plain]
    common = [max(1, sum(column)) for column in zip(*present, strict=True)]
    return [sum(1 / count for here, count in zip(row, common, strict=True) if here) for row in present]
