"""The search modes: what hits are ranked by. The only list of them.

A new mode is a member of ``Mode``, a row in ``MODES``, and a class in ``kb/search`` that ranks by it. The choices and
help of ``--mode``, shell completion, the configuration, ``kb eval``, the page and the notices derive from these.
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


_NOTHING: Final = "nothing found"


@dataclass(frozen=True, slots=True)
class ModeTraits:
    """The properties of a mode.

    Every mode needs the model and the vectors: the score of a hit is its cosine, whatever it is ranked by.

    Attributes:
        strategy: The class that implements it, as ``module:class``; see ``kb.search.retrieve.Strategy``.
        ranks_by: What it ranks by, in a word or two, without commas, so that it fits both "Rank by X (one), Y (another)
            or Z (a third)" in ``--help`` and a list of choices on the page.
        about: The same for the configuration, with a reason to choose it.
        by_meaning: Whether it ranks by cosine.
        by_words: Whether it ranks by the words of the question.
        answered_by: What answers a question whatever the cosine: a passage that contains all or most of its words, by
            weight, or any hit. Where nothing does and no cosine is high enough, the hits are weak. A mode that leaves
            passages out has to be answered by any hit: then no hit is weak, and no passage that it leaves out is named.
        nothing_found: What is said where it finds nothing: a sentence in lower case without its full stop.
    """

    strategy: str
    ranks_by: str
    about: str
    by_meaning: bool
    by_words: bool
    answered_by: Literal["all words", "most words", "any hit"] = "all words"
    nothing_found: str = _NOTHING


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
        nothing_found="no passage has a word of the question",
    ),
}
DEFAULT_MODE: Final = Mode.COSINE
MODE_NAMES: Final = tuple(mode.value for mode in Mode)


def _first(*, by_meaning: bool, by_words: bool) -> Mode:
    return next(mode for mode, one in MODES.items() if (one.by_meaning, one.by_words) == (by_meaning, by_words))


# The modes that texts for people and agents recommend: the first of its kind.
BY_MEANING: Final = _first(by_meaning=True, by_words=False)
BY_WORDS: Final = _first(by_meaning=False, by_words=True)
BY_BOTH: Final = _first(by_meaning=True, by_words=True)


def nothing_found(mode: str) -> str:
    """Return what is said where a search finds nothing: a sentence in lower case without its full stop.

    Args:
        mode: The ``mode`` of an ``Answer``, which is no mode where passages like a file were searched for.
    """
    return MODES[Mode(mode)].nothing_found if mode in MODE_NAMES else _NOTHING
