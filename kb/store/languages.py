"""The Snowball stemmer for each language, and the languages that write compounds as one word."""

from __future__ import annotations

from typing import Final

ENGLISH: Final = "english"
"""The stemmer for texts of unknown language, such as code and lists, in which English words are common."""

COMPOUNDING: Final = frozenset(
    {"german", "dutch", "swedish", "danish", "norwegian", "finnish", "hungarian", "estonian"}
)
"""The languages that write compounds as one word."""

_ALGORITHMS: Final = {
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "en": ENGLISH,
    "eo": "esperanto",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hu": "hungarian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "sv": "swedish",
    "tr": "turkish",
}
_SCRIPTS: Final = (
    (0x0370, 0x03FF, "greek"),
    (0x1F00, 0x1FFF, "greek"),
    (0x0400, 0x052F, "russian"),
    (0x0530, 0x058F, "armenian"),
    (0x0600, 0x06FF, "arabic"),
    (0x0900, 0x097F, "hindi"),
    (0x0B80, 0x0BFF, "tamil"),
)


def stemmer_for(language: str) -> str:
    """The stemmer for words in Latin letters, by the ISO 639 code of the document's language."""
    return _ALGORITHMS.get(language, ENGLISH)


def stemmer_of_script(letter: str) -> str:
    """The stemmer for words in another script, by their first letter; empty if there is none."""
    code = ord(letter)
    return next((name for low, high, name in _SCRIPTS if low <= code <= high), "")
