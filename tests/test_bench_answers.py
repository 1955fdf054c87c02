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
    assert found == {"questions": 2, "one": 1.0, "three": 1.0, "other": 1.0, "alone": 1.0}


def test_questions_over_notes_name_their_answers() -> None:
    """Each has a file and an answer that is no part of the question."""
    asked = answers.questions_over_notes()
    assert len(asked) > 80
    for one in asked:
        assert one.file.endswith((".md", ".org"))
        assert all(one.answers)
        assert not any(text.lower() in one.question.lower() for text in one.answers)


@pytest.mark.slow
def test_questions_over_notes_are_answered_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words in another file are no answer."""
    (tmp_path / "docs").mkdir()
    for name, text in DOCS.items():
        (tmp_path / "docs" / f"{name}.md").write_text(text, "utf-8")
    rows = [
        "notes\ta0-p0.md\tWhen was the roof mended?\t1974 || 1975",
        "notes\ta0-p0.md\tWho sells bread?\tVogel",
        "notes\ta1-p0.md\tWho sells the bread?\tVogel",
    ]
    monkeypatch.setattr(answers, "NOTES", tmp_path / "asked.tsv")
    answers.NOTES.write_text("\n".join(rows), "utf-8")

    found = answers.notes(str(tmp_path / "docs"), str(tmp_path / "store"), threads=1)
    assert found == {"one": pytest.approx(2 / 3), "three": pytest.approx(2 / 3), "other": 1.0}


def test_a_quote_that_is_in_no_file_is_counted() -> None:
    """Beside one that is."""
    quotes = (Quote("Use ChromaDB.", 1, 5), Quote("Use something else.", 1, 5))
    assert answers.invented(Reply(quotes, answer(hit("Use ChromaDB."))), {"/notes/db.md": "Use ChromaDB."}) == 1
