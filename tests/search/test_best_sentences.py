"""Best sentences: by cosine and words together, at their lines, in the time that is given."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_up import hit

from kb.errors import ModelError
from kb.search.best_sentences import MOST, WORDS_GAIN, BestSentences
from kb.search.words import words_of
from kb.testing import FakeEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kb.records import Hit

QUESTION = np.array([1.0, 0.0], np.float32)
NO_WORDS = words_of("xyzzy")
LONG = "It rained for weeks on end in that autumn, and nobody minded much"


@dataclass
class Known:
    """A model whose sentences have known cosines with the question, 0 by default; each batch takes a second."""

    cosines: dict[str, float] = field(default_factory=dict)
    now: float = 0.0
    loaded: bool = True
    batches: list[list[str]] = field(default_factory=list)
    fingerprint: str = "known"
    dimension: int = 2

    def embed_documents(self, *_: object) -> NDArray[np.float32]:
        """Nobody embeds documents here."""
        raise NotImplementedError

    def question_parts(self, _text: str) -> int:
        """One."""
        return 1

    def embed_query(self, _text: str) -> NDArray[np.float32]:
        """The question."""
        return QUESTION

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors with these cosines."""
        if not self.loaded:
            return None
        self.batches.append(list(texts))
        self.now += 1
        known = [self.cosines.get(text, 0.0) for text in texts]
        return np.array([(one, np.sqrt(1 - one * one)) for one in known], np.float32)

    def clock(self) -> float:
        """The time."""
        return self.now


def best_of(model: Known, *texts: str, seconds: float = 100, question: str = "xyzzy") -> list[Hit]:
    """The hits with these texts, with their best sentences."""
    hits = [hit(text, rank) for rank, text in enumerate(texts, 1)]
    return list(BestSentences(model, model.clock).of(hits, QUESTION, words_of(question), seconds))


def test_the_nearest_come_first_with_their_lines() -> None:
    """Whatever their order in the passage; no more than three."""
    model = Known({"Near.": 0.9, "- Nearer.": 0.95, "Some.": 0.5, "Far.": 0.1})

    (found,) = best_of(model, f"{LONG}. Near.\n\nFar. Some.\n- Nearer.")

    told = [(one.text, one.line, round(one.cosine or 0, 2)) for one in found.best]
    assert told == [("- Nearer.", 3, 0.95), ("Near.", 0, 0.9), ("Some.", 2, 0.5)]


def test_the_words_of_the_question_count() -> None:
    """The sentence that has them goes before one that is nearer by less than they are worth."""
    nearer = {"Nothing about it here.": 0.3 + WORDS_GAIN - 0.05, "A locksmith came.": 0.3}
    text = f"{LONG}. Nothing about it here. A locksmith came. {LONG} again."

    assert best_of(Known(nearer), text, question="Which locksmith?")[0].best[0].text == "A locksmith came."
    nearer["Nothing about it here."] = 0.3 + WORDS_GAIN + 0.05
    assert best_of(Known(nearer), text, question="Which locksmith?")[0].best[0].text == "Nothing about it here."


def test_time_is_kept() -> None:
    """Each batch takes a second: of four passages two are done in two seconds and a half, and none in none."""
    texts = [f"{LONG} {number}. And then? {LONG}. So it was {number}." for number in range(4)]

    assert [bool(one.best) for one in best_of(Known(), *texts, seconds=2.5)] == [True, True, False, False]
    assert not any(one.best for one in best_of(Known(), *texts, seconds=0))


def test_a_slow_batch_does_not_switch_it_off() -> None:
    """Each question begins with one batch, whatever those before it took."""
    model = Known()
    best = BestSentences(model, model.clock)

    for number in range(3):
        text = f"{LONG} {number}. And then {number}? {LONG}, {number}. So it was {number}."
        assert best.of([hit(text)], QUESTION, NO_WORDS, 0.1)[0].best


def test_sentences_seen_before_are_not_embedded_again() -> None:
    """Neither in another question nor beside each other, and a passage of them needs no time."""
    model = Known({"Near.": 0.9})
    best = BestSentences(model, model.clock)
    asked = [hit(f"{LONG}. Near. {LONG}. Near. {LONG} too.")]

    first = best.of(asked, QUESTION, NO_WORDS, 10)
    assert best.of(asked, QUESTION, NO_WORDS, 1e-9) == first != tuple(asked)
    assert [text for batch in model.batches for text in batch] == ["Near.", f"{LONG}.", f"{LONG} too."]


def test_what_needs_no_time_is_done_after_time_is_up() -> None:
    """A passage of remembered sentences may come after one that there was no time for."""
    model = Known()
    best = BestSentences(model, model.clock)
    first, late, known = (hit(f"{LONG} {number}. {LONG}, {number}. {LONG}: {number}.") for number in range(3))
    best.of([known], QUESTION, NO_WORDS, 10)

    assert [bool(one.best) for one in best.of([first, late, known], QUESTION, NO_WORDS, 0.1)] == [True, False, True]


def test_of_equal_sentences_the_first_are_taken() -> None:
    """In the order of the text."""
    (found,) = best_of(Known(), "\n".join(f"- {LONG} {number}" for number in range(5)))

    assert [one.line for one in found.best] == [0, 1, 2]


def test_what_is_remembered_is_bounded() -> None:
    """The sentences whose last use is longest ago are forgotten."""
    model = Known()
    best = BestSentences(model, model.clock, remembered=3)
    one, other = (hit(f"{LONG} {number}. {LONG}, {number}. {LONG}: {number}.") for number in range(2))

    for asked in (one, other, other, one):
        assert best.of([asked], QUESTION, NO_WORDS, 10)[0].best
    assert sum(map(len, model.batches)) == 9


def test_a_model_that_is_not_loaded_is_left_so() -> None:
    """The words choose then."""
    assert not best_of(Known(loaded=False), f"{LONG}. {LONG}. {LONG}. {LONG}.")[0].best


def test_what_the_model_cannot_read_fails_no_question() -> None:
    """The hit is there all the same, and its words choose."""

    class Refusing(Known):
        def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
            raise ModelError(f"{len(texts)} texts, one too long", "Lower chunk.max_tokens.")

    assert not best_of(Refusing(), f"{LONG}. {LONG}. {LONG}. {LONG}.")[0].best


def test_what_is_shown_whole_is_not_embedded() -> None:
    """A short passage is its own snippet."""
    model = Known()

    assert not best_of(model, "Use ChromaDB. It is embedded.")[0].best
    assert not model.batches


@given(st.lists(st.text(max_size=80), max_size=12), st.sampled_from(["\n", " ", "\n\n", ". "]))
def test_the_best_are_stretches_of_the_passage(parts: list[str], between: str) -> None:
    """On the line where they begin, white space aside, by falling cosine where no word counts."""
    text = between.join(parts)
    embedder = FakeEmbedder(dimension=16)

    (found,) = BestSentences(embedder).of([hit(text)], embedder.embed_query("What is it?"), NO_WORDS, 60)

    lines = unicodedata.normalize("NFC", text).split("\n")
    assert len(found.best) <= MOST
    for one in found.best:
        assert one.text in " ".join(" ".join(lines[one.line :]).split())
        assert one.text.split(" ")[0] in " ".join(lines[one.line].split())
    scores = [one.cosine for one in found.best]
    assert all(score is not None for score in scores)
    assert scores == sorted(scores, key=lambda score: -(score or 0.0))
