"""Made notes of any number, and a made model for them: what a store of that size costs without the time of a model."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from benchmarks.recall import DIMENSION, PER_CLUSTER, SPREAD
from kb.testing import FakeTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kb.embedding.encoder import Encoder
    from kb.ports import TokenCounter

PER_FOLDER: Final = 100
PER_FILE: Final = 10
_WORDS_PER_PASSAGE: Final = 60
_VOCABULARY: Final = 50_000
# Words of a language are about as frequent as their rank says (Zipf's law).
_EXPONENT: Final = 1.0
_CONSONANTS: Final = "bcdfghjklmnprstvwz"
_VOWELS: Final = "aeiou"
_SEED: Final = 11


class Texts:
    """Passages of words as frequent as those of a language; the same for a number every time."""

    def __init__(self) -> None:
        self._words = _vocabulary()
        shares = 1.0 / np.arange(1, _VOCABULARY + 1) ** _EXPONENT
        self._until = np.cumsum(shares / shares.sum())

    def note(self, number: int, passages: int = PER_FILE) -> str:
        """A Markdown note of that many passages, each below a heading."""
        chance = np.random.default_rng([_SEED, number])
        drawn = self._drawn(chance, passages * _WORDS_PER_PASSAGE).reshape(passages, _WORDS_PER_PASSAGE)
        parts = [f"# Note {number}"]
        for place, words in enumerate(drawn.tolist(), 1):
            parts.append(f"## Part {place}" if passages > 1 else "")
            parts.append(f"{' '.join(words).capitalize()}.")
        return "\n\n".join(part for part in parts if part) + "\n"

    def question(self, number: int, words: int = 6) -> str:
        """A question of words that are neither the most frequent ones nor in hardly any passage."""
        chance = np.random.default_rng([_SEED, number, 1])
        return " ".join(self._words[chance.integers(100, 5000, size=words)].tolist())

    def _drawn(self, chance: np.random.Generator, count: int) -> NDArray[np.str_]:
        found: NDArray[np.str_] = self._words[np.searchsorted(self._until, chance.random(count))]
        return found


@cache
def _vocabulary() -> NDArray[np.str_]:
    chance = np.random.default_rng(_SEED)
    syllables = [one + other for one in _CONSONANTS for other in _VOWELS]
    words: dict[str, None] = {}
    while len(words) < _VOCABULARY:
        drawn = chance.integers(len(syllables), size=chance.integers(1, 6)).tolist()
        words["".join(map(syllables.__getitem__, drawn))] = None
    return np.array(list(words))


def write_notes(folder: Path, count: int, passages: int = PER_FILE) -> None:
    """Write made notes, a hundred a folder; those that are there already are left, so that it may be repeated."""
    texts = Texts()
    for number in range(count):
        file = folder / note_path(number)
        if number % PER_FOLDER == 0:
            file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text(texts.note(number, passages), "utf-8")


def note_path(number: int) -> str:
    """Where a made note is, in its folder."""
    return f"{number // PER_FOLDER:05}/note-{number:07}.md"


class MadeModel:
    """A model whose vector of a text is drawn by the text's digest, near one of many centres, and the same every time.

    Args:
        passages: How many passages there are to be, which gives the number of centres.
        delay: Seconds that each text takes, as a large model would.
    """

    fingerprint = "made vectors"
    dimension = DIMENSION

    def __init__(self, passages: int, delay: Callable[[int], None] = lambda _: None) -> None:
        self.tokens: TokenCounter = FakeTokens()
        self._delay = delay
        chance = np.random.default_rng(_SEED)
        self._centres = _units(chance.standard_normal((max(1, passages // PER_CLUSTER), DIMENSION)))

    @property
    def encoder(self) -> Encoder:
        """The same object, for what is declared to take kb's encoder."""
        return cast("Any", self)  # type: ignore[no-any-return]

    def load(self) -> None:
        """There is nothing to load."""

    def runs(self) -> str:
        """Where it runs."""
        return "nowhere: its vectors are made"

    def share(self, _wait: Callable[[], None]) -> None:
        """Nothing takes long enough to stand back."""

    def embed_documents(self, texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of texts, shape (len(texts), dimension)."""
        self._delay(sum(tokens))
        return np.array([self._vector(text) for text in texts], np.float32).reshape(len(texts), DIMENSION)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a question."""
        return self._vector(text)

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """The vectors of sentences."""
        return np.array([self._vector(text) for text in texts], np.float32)

    def question_parts(self, _text: str) -> int:
        """One: questions are short."""
        return 1

    def _vector(self, text: str) -> NDArray[np.float32]:
        seed = int.from_bytes(sha256(text.encode()).digest()[:8], "little")
        noise = np.random.default_rng(seed).standard_normal(DIMENSION) / np.sqrt(DIMENSION)
        point = self._centres[seed % len(self._centres)] + SPREAD * noise
        found: NDArray[np.float32] = (point / np.linalg.norm(point)).astype(np.float32)
        return found


def _units(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found
