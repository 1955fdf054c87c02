"""Asking judged questions: how files are called, and what is measured of the hits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from made_up import hit, known_file

from kb.errors import KbError
from kb.evaluation.judged import Judged, Span
from kb.evaluation.run import Names, run_questions

if TYPE_CHECKING:
    from pathlib import Path

    from kb.records import Hit


@pytest.mark.parametrize("name", ["sub/db.md", "/notes/sub/db.md", "sub/db", "db.md", "db"])
def test_a_file_is_called_by_any_of_its_names(name: str) -> None:
    """Path, absolute path or name, with or without the suffix."""
    file = known_file("sub/db.md")

    names = Names([file, known_file("other.md")], frozenset({name, "not there"}))

    assert names.of(file) == name
    assert names.of(known_file("other.md")) == "/notes/other.md"
    assert names.missing == 1


def test_a_name_of_two_files_is_refused() -> None:
    """Which one is meant cannot be told."""
    with pytest.raises(KbError, match=r"a/db\.md or b/db\.md"):
        Names([known_file("a/db.md"), known_file("b/db.md")], frozenset({"db"}))


def test_judgements_of_other_files_are_refused() -> None:
    """An evaluation of an index that has none of them would be all zeros."""
    with pytest.raises(KbError, match="no document"):
        Names([known_file("a.md")], frozenset({"b"}))


def test_files_and_characters_are_measured(tmp_path: Path) -> None:
    """The right file is second, and half of its passage answers; asked for once by file and once by passage."""
    (tmp_path / "right.md").write_text("Use ChromaDB.\n", "utf-8")
    (tmp_path / "wrong.md").write_text("Use nothing.\n", "utf-8")
    files = [known_file(name, str(tmp_path)) for name in ("right.md", "wrong.md")]
    judged = Judged({"1": "Which store?"}, {"1": {"right": 1}}, {"1": (Span("right", 0, 3),)})
    asked: list[tuple[int, int]] = []

    def ask(question: str, *, limit: int, per_file: int) -> tuple[Hit, ...]:
        assert question == "Which store?"
        asked.append((limit, per_file))
        return (
            hit("Use nothing.", 1, path="wrong.md", file=files[1], first_line=1),
            hit("Use ChromaDB.", 2, path="right.md", file=files[0], first_line=1),
        )

    found = run_questions("cosine", ask, judged, Names(files, judged.documents))

    assert asked == [(100, 1), (10, 0)]
    assert found.rankings == {"1": (f"{tmp_path}/wrong.md", "right")}
    assert found.values["1"]["MRR@10"] == 0.5
    assert found.values["1"]["span recall@5"] == 1.0
    assert found.values["1"]["span precision@5"] == pytest.approx(3 / (13 + 12))
    assert found.best["1"].passage.file.path == "wrong.md"
