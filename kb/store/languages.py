"""Which language a passage is in, as far as stemming needs it: by its script, else by its most common small words."""

from __future__ import annotations

import re
from typing import Final

ENGLISH: Final = "english"
COMPOUNDING: Final = frozenset(
    {"german", "dutch", "swedish", "danish", "norwegian", "finnish", "hungarian", "estonian"}
)
"""Languages that write compounds as one word."""

SCRIPTS: Final = (
    (0x0370, 0x03FF, "greek"),
    (0x1F00, 0x1FFF, "greek"),
    (0x0400, 0x052F, "russian"),
    (0x0530, 0x058F, "armenian"),
    (0x0600, 0x06FF, "arabic"),
    (0x0900, 0x097F, "hindi"),
    (0x0B80, 0x0BFF, "tamil"),
)
"""First and last character of scripts and the Snowball algorithm for words in them."""

# The small words that a page of a language can hardly do without; those that several share count for each of them.
_SMALL_WORDS: Final = {
    ENGLISH: "the of and to is in that it for was on are with as be this by at from or an not have which but you",
    "german": "der die das und ist nicht ein eine einen einem einer den dem des zu mit von für auf sich auch es im wie",
    "dutch": "de het een en van is dat niet te zijn voor met op aan er ook maar bij wordt naar deze uit om hoe wat",
    "swedish": "och att det som en är på för av med till den inte om ett har var kan från vid så hur vad eller jag",
    "danish": "og at det er en på for af med til den ikke der som et har var kan fra ved så hvordan hvad eller jeg de",
    "norwegian": "og at det er en på for av med til den ikke som et har var kan fra ved så hvordan hva eller jeg de ble",
    "french": "le la les des et est un une du dans que qui pour pas sur au aux avec ce par plus sont ne cette comment",
    "spanish": "el la los las de que y en un una es por con para del se no su al lo como más qué cómo fue sus cuál",
    "portuguese": "o a os as de que e em um uma é por com para do da não se dos das ao como mais foi na no são pelo",
    "italian": "il lo la gli le di che e un una è per con del della non si dei delle nel alla come più sono anche cosa",
    "romanian": "și de la în care este un o cu pe nu din să pentru mai fost sau cum ce prin după lui ale sunt",
    "catalan": "el la els les de que i en un una és per amb del no es al dels com més va aquest però són",
    "polish": "i w na z nie jest że do się to o jak po od za dla przez są tym co czy jego lub oraz który",
    "czech": "a v na je se že s z do to o jak po od za pro ve jsou by byl nebo který ale co jako při",
    "finnish": "ja on ei se että oli kuin mutta joka ovat myös tai hän kun sen niin mitä ole olla miten jos sekä",
    "hungarian": "a az és hogy nem is egy van meg de volt csak ez mint ki már vagy el még azt mi hogyan",
    "estonian": "ja on ei see et oli kui aga mis ka või ta oma selle siis mida olla ning kuidas seda kes",
    "turkish": "ve bir bu için ile da de olarak olan çok daha ne gibi en sonra kadar nasıl değil ya her mi",  # noqa: RUF001 - Turkish
    "indonesian": "yang dan di dari untuk dengan pada adalah ini itu dalam tidak ke sebagai oleh akan juga atau bagaimana",
    "lithuanian": "ir yra kad iš su į tai kaip ne bet buvo už ar jis nuo apie po arba kas",
}
_SETS: Final = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_READ: Final = 4000
# How many different small words a passage has to have, and how large their share, to be in another language.
_ENOUGH: Final = 3
_SHARE: Final = 0.1


def language_of(text: str) -> str:
    """The language of a passage by its small words; English where they say too little, as in code and lists."""
    words = _WORD.findall(text[:_READ].casefold())
    there = set(words)
    kinds = {language: len(there & small) for language, small in _SETS.items()}
    if max(kinds.values()) < _ENOUGH:
        return ENGLISH
    counts = {language: sum(word in _SETS[language] for word in words) for language in kinds}
    best = max(counts, key=lambda language: (counts[language], language == ENGLISH))
    return best if kinds[best] >= _ENOUGH and counts[best] >= _SHARE * len(words) else ENGLISH
