"""The sentences that answer a question, chosen without a language model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kb.answers.extract import MOST, SentenceExtractor
from kb.records import Answer, FileStat, Freshness, Hit, KnownFile, Signals, StoredPassage
from kb.search.sentence_vectors import SentenceVectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kb.records import Quote

STAT = FileStat(1, 1, 1, 1, 1)
QUESTION = np.array([1.0, 0.0], np.float32)


@dataclass
class Cosines:
    """An embedding model that gives known sentences known cosines, and others 0.2."""

    cosines: dict[str, float] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    batches: int = 0
    dimension: int = 2
    fingerprint: str = "cosines"

    def embed_documents(self, *_: object) -> NDArray[np.float32]:
        """Nobody embeds documents here."""
        raise NotImplementedError

    def embed_query(self, _text: str) -> NDArray[np.float32]:
        """The question."""
        return QUESTION

    def question_parts(self, _text: str) -> int:
        """One."""
        return 1

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors with these cosines."""
        self.texts += texts
        self.batches += 1
        known = [self.cosines.get(text, 0.2) for text in texts]
        return np.array([(one, np.sqrt(1 - one * one)) for one in known], np.float32)


def answered(question: str, *texts: str, fused: Sequence[float] = (), line: int = 10) -> Answer:
    """An answer with a hit for each text, of which the first line is line 10."""
    hits = []
    for rank, text in enumerate(texts, 1):
        file = KnownFile(rank, "/notes", f"{rank}.md", STAT, b"", 0, "done", kind="markdown", language="en")
        passage = StoredPassage(f"{rank}-x-0", file, text, (), line, line + text.count("\n"), None, b"", 0)
        score = fused[rank - 1] if fused else None
        hits.append(Hit(rank, passage, 0.5, 1.0, signals=Signals(fused=score)))
    return Answer(question, "hybrid", Freshness(datetime.now(UTC), 0), tuple(hits))


def best(answer: Answer, model: Cosines | None = None, seconds: float = 60.0) -> list[Quote]:
    """The sentences chosen."""
    return list(SentenceExtractor(SentenceVectors(model or Cosines())).best(answer, QUESTION, seconds))


def test_the_sentence_with_the_words_comes_first_with_its_line() -> None:
    """Whatever its passage: the second one here, whose second line it is on."""
    answer = answered("Which locksmith?", "The door is green. It sticks.", "It rained.\n\nThe locksmith was Vogel.")

    first = best(answer)[0]
    assert (first.text, first.rank, first.line) == ("The locksmith was Vogel.", 2, 12)


def test_the_cosine_of_a_sentence_counts() -> None:
    """Without words of the question, the nearest one answers."""
    model = Cosines({"Nearer by far.": 0.9})
    first = best(answered("xyzzy", "Some sentence here. Nearer by far. Another one."), model)[0]

    assert first.text == "Nearer by far."
    assert first.cosine is not None
    assert round(first.cosine, 2) == 0.9


def test_a_question_for_a_date_prefers_a_date() -> None:
    """Of two sentences alike in everything else."""
    text = "The roof was mended badly. The roof was mended in 1974. The roof was mended again."
    assert best(answered("When was the roof mended?", text))[0].text == "The roof was mended in 1974."
    assert best(answered("How was the roof mended?", text))[0].text == "The roof was mended badly."


def test_a_sentence_beside_the_words_of_the_question_counts() -> None:
    """The answer often follows the sentence that names what it is about."""
    text = "Grass grew there. Cows slept there. The locksmith came. He charged a lot. Rivers froze there."
    assert {one.text for one in best(answered("Which locksmith?", text))} == {
        "The locksmith came.",
        "Cows slept there.",
        "He charged a lot.",
    }


def test_sentences_of_a_passage_that_waits_are_compared_by_their_own_cosine() -> None:
    """That of the passage is not known, which does not keep them from being looked at."""
    embedded = "\n\n".join(f"The locksmith of the town charged {number} euros." for number in range(20, 28))
    waiting = "The locksmith of the town is Vogel."
    answer = answered("Which locksmith of the town is cheap?", embedded, waiting, fused=(3.0, 3.5))
    answer = replace(answer, hits=(answer.hits[0], replace(answer.hits[1], score=None)))

    (first, *_) = best(answer, Cosines({waiting: 0.9}))

    assert first.text == waiting


@pytest.mark.parametrize(
    "picture",
    [
        "#locksmith",
        "#which/locksmith #keys",
        "![The locksmith Vogel](https://example.com/locksmith.png)",
        '<img src="locksmith.png" alt="The locksmith Vogel" width="300">',
    ],
)
def test_a_picture_or_tags_are_no_answer(picture: str) -> None:
    """However well the description of the one or the names of the others match."""
    text = f"{picture}\n\nIt rained."
    assert [one.text for one in best(answered("Which locksmith?", text))] == ["It rained."]


@pytest.mark.parametrize(
    "front",
    [
        "---\ntags: [locksmith, keys]\nauthor: The locksmith Vogel\n---",
        "---\nauthor: The locksmith Vogel\naliases:\n  - Locksmith keys\n- Which locksmith\n---",
        '+++\nkeywords = ["locksmith", "keys"]\nauthor: The locksmith Vogel\n+++',
        "tags: [locksmith, keys]\nauthor: The locksmith Vogel",
    ],
)
def test_tags_and_aliases_are_no_answer(front: str) -> None:
    """They name a note; what else stands in front matter may answer."""
    answer = answered("Which locksmith keys?", f"{front}\n\nIt rained.\n\ntags: none, the locksmith keys", line=1)

    told = [one.text for one in best(answer)]

    assert "author: The locksmith Vogel" in told
    assert {one for one in told if "keys" in one} == {"tags: none, the locksmith keys"}


def test_the_same_sentence_is_quoted_once() -> None:
    """From the better of two passages."""
    found = best(answered("Which locksmith?", "The locksmith was Vogel.", "The locksmith was Vogel.\n\nIt rained."))
    assert [one.rank for one in found if "Vogel" in one.text] == [1]


def test_sentences_far_behind_are_left_out() -> None:
    """One that answers is not followed by two that do not; never more than three."""
    model = Cosines({"The locksmith was Vogel.": 0.95})
    others = " ".join(f"Unrelated sentence {number}." for number in range(6))
    answer = answered("Which locksmith?", "The locksmith was Vogel.", others, fused=(9.0, 1.0))

    assert [one.text for one in best(answer, model)] == ["The locksmith was Vogel."]
    assert len(best(answered("xyzzy", others))) == MOST


def test_a_heading_that_repeats_the_question_is_no_answer() -> None:
    """The sentence below it is, which has none of its words; alone it is still better than nothing."""
    model = Cosines({"How the locksmith works": 0.9, "He comes at night.": 0.4})
    assert (
        best(answered("How does the locksmith work?", "How the locksmith works\n\nHe comes at night."), model)[0].line
        == 12
    )
    assert best(answered("How does the locksmith work?", "How the locksmith works"), model)[0].line == 10


def test_a_sentence_of_another_passage_has_to_be_nearly_as_near() -> None:
    """One of the same passage may be farther."""
    model = Cosines({"The locksmith was Vogel.": 0.9, "The locksmith left.": 0.3, "A locksmith sells bread.": 0.3})
    found = best(
        answered("Which locksmith?", "The locksmith was Vogel. The locksmith left.", "A locksmith sells bread."), model
    )

    assert [one.text for one in found] == ["The locksmith was Vogel.", "The locksmith left."]


def test_nothing_is_quoted_where_nothing_is_near() -> None:
    """Neither the sentence nor its passage, and at most a third of the question's words are there."""
    far = Cosines({"Mount the disk.": 0.05})
    answer = answered("How tall is mount Everest?", "Mount the disk.")
    hits = tuple(replace(hit, score=0.01) for hit in answer.hits)

    assert best(replace(answer, hits=hits), far) == []
    assert best(answer, far) != []
    extractor = SentenceExtractor(SentenceVectors(far))
    assert extractor.best(replace(answer, hits=hits), QUESTION, 60.0, weak=True) != ()
    assert best(replace(answer, question="How to mount the disk?", hits=hits), far) != []


def test_without_time_the_words_decide() -> None:
    """No sentence is embedded, and none has a cosine of its own."""
    model = Cosines()
    found = best(answered("Which locksmith?", "It rained. The locksmith was Vogel."), model, seconds=0.0)

    assert found[0].text == "The locksmith was Vogel."
    assert (found[0].cosine, model.texts) == (None, [])


def test_only_the_likely_sentences_are_embedded() -> None:
    """A long passage costs no more vectors than a short one, and they are computed at once."""
    model = Cosines()
    best(
        answered("Which one?", " ".join(f"This is sentence {number}{', and so on' * 20}." for number in range(40))),
        model,
    )
    assert (len(model.texts), model.batches) == (5, 1)


def test_a_sentence_that_refers_back_has_the_words_before_it_and_is_shown_with_them() -> None:
    """In one paragraph; the sentence after the one that is asked about has the date."""
    text = "The locksmith's shop was founded well. It was founded again in 1974. Rain fell in 1974."
    found = best(answered("When was the locksmith's shop founded?", text))

    assert found[0].text == "The locksmith's shop was founded well. It was founded again in 1974."
    assert found[0].line == 10
    assert [one.text for one in found].count("The locksmith's shop was founded well.") == 0
    # Not across paragraphs, and not where the first one is told already.
    apart = best(answered("When was the locksmith's shop founded?", text.replace(". It", ".\n\nIt")))
    assert all("well. It" not in one.text for one in apart)
    told = best(answered("What of the locksmith's shop?", "The locksmith's shop rose. It fell."), None)
    assert [one.text for one in told] == ["The locksmith's shop rose.", "It fell."]


def test_a_how_question_is_answered_by_what_helped() -> None:
    """Not by the sentence that states the problem in the words of the question; any other question may be."""
    text = "I wanted to mount the disk of the safe by its label. The trick is a file called fstab. Cows slept there."
    assert best(answered("How do I mount the disk of the safe?", text))[0].text == "The trick is a file called fstab."
    assert "I wanted" in best(answered("Which disk of the safe did you mount?", text))[0].text


def test_a_how_question_prefers_code() -> None:
    """And a list: a sentence with a block says more than one without."""
    text = "The disk can be mounted well. The disk can be mounted so:\n\n```\nmount -L disk\n```\nThe disk was mounted."
    assert best(answered("How do I mount the disk?", text))[0].introduced == "mount -L disk"
    assert best(answered("Who mounted the disk?", text))[0].introduced == ""


def test_a_why_question_prefers_a_reason() -> None:
    """Of two sentences alike in everything else."""
    text = "The roof was mended badly. The roof was mended because of rain. The roof was mended again."
    assert best(answered("Why was the roof mended?", text))[0].text == "The roof was mended because of rain."


def test_a_line_of_code_is_shown_with_its_lead_in() -> None:
    """Alone it does not say what it is for."""
    text = "Mount it by its label:\n\n```\nmkdir /mnt\nlocksmith --mount\n```\n"
    found = best(answered("Which locksmith?", text), Cosines({"locksmith --mount": 0.9}))

    assert (found[0].text, found[0].line) == ("Mount it by its label:", 10)
    assert found[0].introduced == "mkdir /mnt\nlocksmith --mount"


def test_what_a_sentence_introduces_comes_with_it() -> None:
    """A line of the block is no further sentence; a source file, where each line is one, has no such blocks."""
    answer = answered("How to mount the disk?", "Mount the disk like this:\n\n```\nmount the disk\nls disk\n```\nWait.")
    model = Cosines({"Mount the disk like this:": 0.9, "mount the disk": 0.8})
    found = best(answer, model)

    assert found[0].introduced == "mount the disk\nls disk"
    assert "mount the disk" not in [one.text for one in found]
    # It takes the place of a better line.
    assert [one.text for one in best(answer, Cosines({"mount the disk": 0.9}))] == [one.text for one in found]
    file = replace(answer.hits[0].passage.file, path="disk.py", kind="code")
    hit = replace(answer.hits[0], passage=replace(answer.hits[0].passage, file=file))
    assert {one.introduced for one in best(replace(answer, hits=(hit,)), model)} == {""}


def test_a_sentence_that_a_long_block_does_not_show_stays() -> None:
    """Where the block that it stands in is cut before it."""
    items = "\n".join(f"- Number {number}" for number in range(30))
    found = best(answered("Which harbour?", f"Keepers of the harbour mind this:\n{items}\n- A harbour light"))

    assert {"Keepers of the harbour mind this:", "- A harbour light"} <= {one.text for one in found}


def test_no_hits_have_no_sentences() -> None:
    """Nothing is made up."""
    assert best(answered("Which?")) == []
