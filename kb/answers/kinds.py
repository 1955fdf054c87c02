"""What a question asks for (a date, number, name or place), and whether a sentence holds one. Functions of values."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(Enum):
    """What the answer to a question is."""

    DATE = "date"
    NUMBER = "number"
    PLACE = "place"
    NAME = "name"


# English, Spanish, German, French; then Chinese and Thai, which are written without spaces. The first kind that matches
# counts: *in welchem Jahr* is a date, and *what is the name of the city* a place.
_ASKED: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.DATE: (
        (
            r"when|how recently|(?:what|which) (?:year|date|day|month|century|decade|time)|"
            r"cu[aá]ndo|qu[eé] (?:año|fecha|d[ií]a|mes|siglo|d[eé]cada)|"
            r"wann|welche[mnsr]? (?:jahr|datum|tag|monat|jahrhundert|jahrzehnt)|"
            r"quand|quelle (?:année|date)|quel (?:jour|mois|siècle)"
        ),
        "什么时候|什麼時候|何时|何時|哪一?年|哪个世纪|几月|哪一?天|เมื่อใด|เมื่อไร|เมื่อไหร่|ปีใด|ปีไหน|ปีอะไร|วันใด|วันไหน|ศตวรรษใด|ศตวรรษที่เท่าไร",
    ),
    Kind.NUMBER: (
        (
            r"how (?:many|much|old|long|far|tall|high|large|big|often|fast|deep|wide|heavy)|at what age|"
            r"what (?:percent|percentage|number|amount|proportion|share|population|price|temperature)|"
            r"cu[aá]nt[oa]s?|qu[eé] (?:porcentaje|cantidad|n[uú]mero|edad|proporci[oó]n)|"
            r"wie ?viele?|wie (?:alt|lange?|hoch|weit|groß|oft|schnell|schwer|teuer|tief|breit)|"
            r"combien|quel (?:âge|pourcentage|nombre|montant)|quelle (?:quantité|proportion|distance)"
        ),
        "多少|几[个個名人次岁歲年天种]|幾|多[长長高大远遠久]|百分之几|กี่|เท่าไร|เท่าไหร่|เท่าใด|จำนวน",
    ),
    Kind.PLACE: (
        (
            r"where|(?:what|which) (?:city|country|state|place|town|village|region|county|continent|location)|"
            r"a?d[oó]nde|qu[eé] (?:ciudad|pa[ií]s|lugar|estado|regi[oó]n|pueblo)|"
            r"wo|wohin|woher|welche[mnrs]? (?:stadt|land|ort|region|staat)|"
            r"où|quelle (?:ville|région)|quel (?:pays|lieu|endroit)"
        ),
        "哪里|哪裡|哪儿|何处|何地|什么地方|哪个(?:城市|国家|地方|州)|ที่ไหน|ที่ใด|เมืองใด|เมืองไหน|เมืองอะไร|ประเทศใด|ประเทศไหน|ประเทศอะไร|รัฐใด",
    ),
    Kind.NAME: (
        (
            r"who|whom|whose|what (?:is|was) the name|qui[eé]n(?:es)?|c[oó]mo se llam\w+|"
            r"wer|wen|wem|wessen|wie hei(?:ß|ss)\w+|(?:^|à |de |par |avec |pour )qui|comment s['\u2019]appel\w+"
        ),
        "谁|誰|哪位|何人|叫什么|ใคร|ชื่ออะไร|ผู้ใด",
    ),
}
_QUESTIONS: Final = {
    kind: re.compile(rf"(?<!\w)(?:{spaced})(?!\w)|{joined}", re.IGNORECASE) for kind, (spaced, joined) in _ASKED.items()
}

_MONTHS: Final = (
    "January|February|March|April|May|June|July|August|September|October|November|December|"
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|"
    "Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember|"
    "janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre"
)
_DAYS: Final = (
    "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|lunes|martes|miércoles|jueves|viernes|sábado|domingo|"
    "Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
)
_AGES: Final = "century|centuries|decade|siglos?|década|Jahrhunderts?|Jahrzehnts?|siècles?"
_DATE: Final = re.compile(
    rf"(?<!\w)(?:1\d{{3}}|20\d\d)(?:s|er)?(?!\w)|(?<!\w)(?:{_MONTHS}|{_DAYS}|{_AGES})(?!\w)|"
    r"\d+\s*(?:年|月|世纪|世紀)|ศตวรรษ\S*|(?:พ\.ศ\.|ค\.ศ\.|ปี)\s*\d+|"
    "มกราคม|กุมภาพันธ์|มีนาคม|เมษายน|พฤษภาคม|มิถุนายน|กรกฎาคม|สิงหาคม|กันยายน|ตุลาคม|พฤศจิกายน|ธันวาคม"
)
_NUMBER_WORDS: Final = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundreds? thousands? millions? billions? "
    "half third quarter dozens? once twice first second "
    "dos tres cuatro cinco seis siete ocho nueve diez once doce quince veinte treinta cuarenta cincuenta cien cientos "
    "mil millón millones mitad tercio "
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig hundert tausend Millionen? "
    "Hälfte Drittel deux trois quatre cinq sept huit neuf dix onze douze quinze vingt trente cent mille millions? "
    "moitié tiers"
)
_NUMBER: Final = re.compile(
    rf"\d+(?:[.,]\d+)*|(?<!\w)(?:{'|'.join(_NUMBER_WORDS.split())})(?!\w)|[一二两三四五六七八九十百千万亿]+|半",
    re.IGNORECASE,
)
# A word with a capital that does not begin the sentence.
_CAPITAL: Final = re.compile(r"(?<=[^\W\d_])[,;:]?\s+[\"'“\u2018(]?([^\W\d_][\w'\u2019-]+)|^([^\W\d_][\w'\u2019-]+)")
_WORD: Final = re.compile(r"\w+")


def kind_of(question: str) -> Kind | None:
    """Return what a question asks for, by its question words in English, Spanish, German, French, Chinese or Thai.

    Returns:
        None where it asks for something else, or in another language.
    """
    return next((kind for kind, pattern in _QUESTIONS.items() if pattern.search(question)), None)


def holds(kind: Kind, sentence: str, question: str, *, language: str = "") -> bool:
    """Whether a sentence holds a date, number, name or place that the question does not.

    Args:
        kind: What is looked for. Names and places are words with a capital, and cannot be told from one another.
        sentence: The sentence, on one line.
        question: The question.
        language: The ISO 639 code of the document; names cannot be told in German, where every noun has a capital.
    """
    known = {word.casefold() for word in _WORD.findall(question)}
    if kind is Kind.DATE:
        return any(match[0].casefold() not in known for match in _DATE.finditer(sentence))
    if kind is Kind.NUMBER:
        return any(match[0].casefold() not in known for match in _NUMBER.finditer(sentence))
    return language != "de" and any(_is_new_name(match, known) for match in _CAPITAL.finditer(sentence))


def _is_new_name(match: re.Match[str], known: set[str]) -> bool:
    """Whether a word has a capital, does not begin the sentence, and is not in the question."""
    word = match[1]
    return word is not None and word[0].isupper() and word.casefold() not in known
