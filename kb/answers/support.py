"""What speaks against a sentence whose quote stands in a file: a function of values.

None of this proves that the sentence follows from the quote. It finds what a model most often gets wrong, or what an
instruction in a document would have it write: other numbers, names and addresses, the opposite, and another matter.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from kb.answers.instructions import addresses_a_model
from kb.records.characters import compared
from kb.search.words import is_stop_word, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NUMBER: Final = re.compile(r"(?:(?<!\S)-)?\d+(?:[.,:]\d+)*")
_NAME: Final = re.compile(r"[^\W\d_][\w'\u2019-]*")
_GERMAN: Final = re.compile(
    r"(?<!\w)(?:der|das|dem|und|ist|sind|hat|nicht|im|am|mit|auf|für|von|zum|zur|eine?[mnrs]?|wird|wurden?)(?!\w)"
)
_ENDING: Final = re.compile(r"(?:['\u2019]s|s)$")
# Addresses, file names and other words with signs in them, which nobody needs to paraphrase.
_ADDRESS: Final = re.compile(r"\S*(?:://|@|www\.)\S*|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?![\w.])")
_AROUND: Final = ".,;:!?()[]<>\"'`"
_WORD: Final = re.compile(r"\w+(?:['\u2019]\w+)?")
_CLAUSE: Final = re.compile(r"[.!?;:\n]|[\u3002\uff01\uff1f]")
# How many words before a quote are looked at for what it leaves out.
_BEFORE: Final = 3
# One in so many of the small words of a sentence is at least in a text of the same language.
_SMALL: Final = 3

# Words of numbers that mean nothing else, by their value.
_WRITTEN: Final[Mapping[str, str]] = {
    word: value
    for value, words in {
        "2": "two dos zwei deux",
        "3": "three tres drei trois",
        "4": "four cuatro vier quatre",
        "5": "five cinco fünf cinq",
        "6": "six seis sechs",
        "7": "seven siete sieben",
        "8": "eight ocho acht huit",
        "9": "nine nueve neun neuf",
        "10": "ten diez zehn dix",
        "11": "eleven onze",
        "12": "twelve doce zwölf douze",
        "13": "thirteen trece dreizehn treize",
        "14": "fourteen catorce vierzehn quatorze",
        "15": "fifteen quince fünfzehn quinze",
        "16": "sixteen sechzehn seize",
        "17": "seventeen siebzehn",
        "18": "eighteen achtzehn",
        "19": "nineteen neunzehn",
        "20": "twenty veinte zwanzig vingt",
        "30": "thirty treinta dreißig trente",
        "40": "forty cuarenta vierzig quarante",
        "50": "fifty cincuenta fünfzig cinquante",
        "60": "sixty sesenta sechzig soixante",
        "70": "seventy setenta siebzig",
        "80": "eighty ochenta achtzig",
        "90": "ninety noventa neunzig",
        "100": "hundred hundreds hundert cien cientos cent",
        "1000": "thousand thousands tausend mil mille",
        "1000000": "million millions millionen millón millones",
    }.items()
    for word in words.split()
}
# English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian; then Chinese, Japanese and Thai. The
# English *no* of a number (No. 5) is none.
_NEGATION: Final = re.compile(
    r"(?<!\w)(?:not|no(?!\.? ?\d)|never|none|nobody|nothing|neither|nor|cannot|without|\w+n['\u2019]t|"
    r"nicht|kein\w*|nie|niemals|niemand|nichts|ohne|ne|pas|jamais|aucun\w*|rien|sans|"
    r"nunca|jamás|ningun[oa]?|ningún|nadie|nada|tampoco|sin|non(?!-)|nessun\w*|senza|não|nenhum\w*|sem|"
    r"niet|geen|nooit|zonder|nigdy|bez|не|нет|никогда|никто|ничего|без)(?!\w)|(?<!\w)n['\u2019](?=\w)|"
    r"不(?!同|久|仅|僅|但|过|過|断|斷)|没有|沒有|未(?!来|來)|[なま]い(?!\w)|ません|ไม่|ห้าม",
    re.IGNORECASE,
)
# What has the word of a negation, and denies nothing.
_AFFIRMED: Final = re.compile(
    r"\bnot (?:only|until|just|before)\b|\bno (?:later|earlier|more|less|fewer|longer) than\b|\bno doubt\b|"
    r"\bnicht nur\b|\berst nicht\b|\bno sólo\b|\bno solo\b|\bne\b[^.]{0,30}\bque\b",
    re.IGNORECASE,
)


def objection(sentence: str, quote: str, *, before: str, after: str, besides: str, source: str, language: str) -> str:
    """Return why a quote does not carry a sentence, for the model that wrote it; empty where nothing speaks against it.

    Args:
        sentence: The sentence.
        quote: The text of the file that is quoted.
        before: What stands before it in its paragraph.
        after: What stands after it there.
        besides: The question and the headings, whose words the sentence may use too.
        source: The whole source.
        language: The ISO 639 code of the file.
    """
    shown = repr(quote[:60])
    if addresses_a_model(f"{before}{quote}{after}") or addresses_a_model(sentence):
        return f"the quote {shown} stands among instructions, and tells nothing"
    known = f"{quote} {besides}"
    for lacking in (
        _other_number(sentence, quote),
        _other_address(sentence, known),
        _other_name(sentence, known, source, language),
    ):
        if lacking:
            return f"{lacking!r} of the sentence does not stand in the quote {shown}"
    if omitted := _omitted_negation(before):
        return f"the quote {shown} leaves out the {omitted!r} before it"
    if _denies(sentence) != _denies(quote):
        return f"the quote {shown} says the opposite of the sentence, or does not say whether"
    if _is_another_matter(sentence, quote, besides, source):
        return f"the quote {shown} says nothing of what the sentence says"
    return ""


def _other_number(sentence: str, quote: str) -> str:
    """Return the first number of a sentence that its quote lacks, in digits or as a word."""
    known = {value for _, value in _numbers(quote)}
    return next((written for written, value in _numbers(sentence) if value not in known), "")


def _numbers(text: str) -> Iterable[tuple[str, str]]:
    """Yield the numbers of a text as they are written, and their values in ASCII digits."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    for match in _NUMBER.finditer(plain):
        yield match[0], "".join(str(unicodedata.digit(one)) if one.isdigit() else one for one in match[0])
    for match in _WORD.finditer(plain):
        if value := _WRITTEN.get(match[0].casefold()):
            yield match[0], value


def _other_address(sentence: str, known: str) -> str:
    """Return the first address or file name of a sentence that is not known."""
    found = (match[0].strip(_AROUND) for match in _ADDRESS.finditer(sentence))
    return next((one for one in found if one.casefold() not in known.casefold()), "")


def _other_name(sentence: str, known: str, source: str, language: str) -> str:
    """Return the first name of a sentence that is not known.

    Whether the first word is a name cannot be told by its capital; it counts as one where the source has it with a
    capital alone. In German all nouns have one: they are looked for in the whole source, and where that is in another
    language, only words beside another one with a capital are taken for names.
    """
    german = _GERMAN.search(sentence) is not None
    if german and language == "de":
        known = f"{known} {source}"
    words = {word.casefold() for word in _NAME.findall(known)}
    bare = {_ENDING.sub("", word) for word in words}
    found = [match[0] for match in _NAME.finditer(sentence)]
    capital = [False, *(word[0].isupper() and not is_stop_word(word) for word in found), False]
    for at, name in enumerate(found):
        if not capital[at + 1] or name.casefold() in words or _ENDING.sub("", name.casefold()) in bare:
            continue
        if german and language != "de" and not (capital[at] or capital[at + 2]):
            continue
        if at or _is_always_capital(name, source):
            return name
    return ""


def _is_always_capital(word: str, text: str) -> bool:
    found = re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)
    return bool(found) and all(one[0].isupper() for one in found)


def _omitted_negation(before: str) -> str:
    """Return the negation among the last words before a quote, in its own clause; empty where there is none."""
    clause = _CLAUSE.split(before)[-1]
    words = list(_WORD.finditer(clause))[-_BEFORE:]
    found = _NEGATION.search(clause, words[0].start()) if words else None
    return found[0] if found and _denies(clause[words[0].start() :]) else ""


def _denies(text: str) -> bool:
    return bool(_NEGATION.search(_AFFIRMED.sub("", text)))


def _is_another_matter(sentence: str, quote: str, besides: str, source: str) -> bool:
    """Whether nothing of what a sentence adds to the question is in its quote.

    A sentence in another language than the source has other words for everything, and is not judged by them.
    """
    if not _is_of_language(sentence, source):
        return False
    asked, quoted = compared(besides)[0], compared(quote)[0]
    added = [pattern for pattern in words_of(sentence).patterns if not pattern.search(asked)]
    return bool(added) and not any(pattern.search(quoted) for pattern in added)


def _is_of_language(sentence: str, text: str) -> bool:
    """Whether a third of the small words of a sentence are in a text too; so they are where it has none."""
    small = {word.casefold() for word in _WORD.findall(sentence) if is_stop_word(word)}
    words = {word.casefold() for word in _WORD.findall(text)}
    return _SMALL * len(small & words) >= len(small)
