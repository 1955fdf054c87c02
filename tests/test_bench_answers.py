"""The benchmark of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from made_up import answer, hit

from benchmarks import answers
from kb.records import Quote, Reply

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = {"q1": ("When was the roof mended?", "a0-p0", "1974"), "q2": ("Who sells bread?", "a1-p0", "Vogel")}
DOCS = {"a0-p0": "The roof was mended in 1974. It had leaked.", "a1-p0": "Bread is sold by the baker Vogel."}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Two documents with a question each."""
    (tmp_path / "docs").mkdir()
    for name, text in DOCS.items():
        (tmp_path / "docs" / f"{name}.md").write_text(text, "utf-8")
    for file, column in (("queries", 0), ("answers", 2)):
        lines = [f"{id_}\t{values[column]}\n" for id_, values in QUESTIONS.items()]
        (tmp_path / f"{file}.tsv").write_text("".join(lines), "utf-8")
    (tmp_path / "qrels.tsv").write_text("".join(f"{id_}\t{one[1]}\t1\n" for id_, one in QUESTIONS.items()), "utf-8")
    return tmp_path


def test_the_normalisation_is_that_of_squad() -> None:
    """Neither case nor punctuation nor articles count."""
    assert answers.normal("The  U.S. Army, an army") == "us army army"


@pytest.mark.slow
def test_sentences_that_hold_the_answer_are_counted(collection: Path) -> None:
    """Both questions are answered by the first sentence."""
    found = answers.sentences(str(collection), str(collection / "store"), threads=1)
    assert found == {"questions": 2, "one": 1.0, "three": 1.0, "other": 1.0}


def test_a_quote_that_is_in_no_file_is_counted() -> None:
    """Beside one that is."""
    quotes = (Quote("Use ChromaDB.", 1, 5), Quote("Use something else.", 1, 5))
    assert answers.invented(Reply(quotes, answer(hit("Use ChromaDB."))), {"/notes/db.md": "Use ChromaDB."}) == 1
