"""The search modes: what hits are ranked by. The only list of them.

A new mode is a member of ``Mode``, a row in ``MODES``, and a class in ``kb/search`` that ranks by it. The choices and
help of ``--mode``, shell completion, the configuration, ``kb eval`` and the notices derive from these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mode(StrEnum):
    """What hits are ranked by."""

    COSINE = "cosine"
    HYBRID = "hybrid"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True)
class ModeTraits:
    """The properties of a mode.

    Every mode needs the model and the vectors: the score of a hit is its cosine, whatever it is ranked by.

    Attributes:
        strategy: The class that implements it, as ``module:class``; see ``kb.search.retrieve.Strategy``.
        ranks_by: What it ranks by, in a word or two, for ``--help``.
        about: The same for the configuration, with a reason to choose it.
        by_meaning: Whether it ranks by cosine.
        by_words: Whether it ranks by the words of the question.
        answered_by: How many of the question's words, by weight, a passage must contain to answer it whatever its
            cosine. Where no passage does and no cosine is high enough, the hits are weak.
    """

    strategy: str
    ranks_by: str
    about: str
    by_meaning: bool
    by_words: bool
    answered_by: Literal["all words", "most words"] = "all words"


MODES: Final[Mapping[Mode, ModeTraits]] = {
    Mode.COSINE: ModeTraits(
        "kb.search.retrieve:ByMeaning", "meaning", "meaning alone", by_meaning=True, by_words=False
    ),
    Mode.HYBRID: ModeTraits(
        "kb.search.retrieve:ByBoth",
        "meaning and words",
        "meaning and words, which finds most",
        by_meaning=True,
        by_words=True,
    ),
    Mode.KEYWORD: ModeTraits(
        "kb.search.retrieve:ByWords",
        "words",
        "the words alone, by BM25",
        by_meaning=False,
        by_words=True,
        answered_by="most words",
    ),
}
DEFAULT_MODE: Final = Mode.COSINE
MODE_NAMES: Final = tuple(mode.value for mode in Mode)
