"""Cosines that were published for models, by which the real weights tell themselves from any others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.embed.locate import BGE_M3, BUNDLED

if TYPE_CHECKING:
    from kb.embed.spec import Located

QUESTION: Final = "Which planet is known as the Red Planet?"
ANSWERS: Final = (
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
)
# From sentence-transformers' own tests of its published models (tests/sentence_transformer/test_pretrained.py), where
# they are computed in bfloat16 and may differ by one in a hundred.
GOLDEN: Final[dict[str, tuple[float, ...]]] = {
    BGE_M3: (0.41025, 0.71249, 0.64761, 0.65188),
    BUNDLED: (0.46371, 0.81205, 0.72828, 0.75051),
}
TOLERANCE: Final = 0.01


def golden_of(located: Located) -> tuple[float, ...] | None:
    """The cosines that were published for a model; None where there are none."""
    return GOLDEN.get(located.name) if located.published else None
