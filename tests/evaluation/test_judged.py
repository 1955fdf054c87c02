"""Reading collections: BEIR's and TREC's forms, spans, and what is said of a line that is written otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kb.errors import KbError
from kb.evaluation.judged import Span, read_judged

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, **files: str) -> Path:
    """A folder with these files; ``__`` in a name stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, "utf-8")
    return folder


def test_beir(tmp_path: Path) -> None:
    """Questions as JSON lines, judgements with a heading, in a folder of their own."""
    written(tmp_path, queries__jsonl='{"_id": "q1", "text": "Why?"}\n{"_id": "q2", "text": "How?"}\n')
    written(tmp_path / "qrels", test__tsv="query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\tc\t0\n")

    found = read_judged(str(tmp_path))

    assert found.questions == {"q1": "Why?"}
    assert found.relevant == {"q1": {"a": 2}}
    assert found.unjudged == 1
    assert found.documents == {"a"}


def test_trec(tmp_path: Path) -> None:
    """Four columns divided by spaces or tabs; names of files with spaces are for tabs."""
    written(tmp_path, queries__tsv="1\tWhy?\r\n2\tHow?\n", qrels__txt="1 0 a 1\n2\t0\tmy notes/b.md\t3\n")

    found = read_judged(str(tmp_path / "queries.tsv"))

    assert found.questions == {"1": "Why?", "2": "How?"}
    assert found.relevant == {"1": {"a": 1}, "2": {"my notes/b.md": 3}}


def test_spans_beside_the_questions(tmp_path: Path) -> None:
    """The characters that answer are read where they are given; a text in the fifth column is for people."""
    written(tmp_path, queries__tsv="1\tWhy?\n", qrels__tsv="1\ta\t1\n", spans__tsv="1\ta\t3\t9\ttext\n1\ta\t20\t30\n")

    found = read_judged(str(tmp_path))

    assert found.spans == {"1": (Span("a", 3, 9), Span("a", 20, 30))}


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"queries__tsv": "1 Why?\n", "qrels__tsv": "1\ta\t1\n"}, "line 1 of .*queries.tsv"),
        ({"queries__jsonl": '{"id": 1}\n', "qrels__tsv": "1\ta\t1\n"}, "line 1 of .*queries.jsonl"),
        ({"queries__tsv": "1\tWhy?\n", "qrels__tsv": "1\ta\t1\n1\tb\n"}, "line 2 of .*qrels.tsv"),
        ({"queries__tsv": "1\tWhy?\n", "qrels__tsv": "1\ta\t0.5\n"}, "line 1 of .*qrels.tsv"),
        ({"queries__tsv": "1\tWhy?\n", "qrels__tsv": "h\th\th\n1\ta\tgood\n"}, "line 2 of .*qrels.tsv"),
        ({"queries__tsv": "1\tWhy?\n", "qrels__tsv": "1\ta\t0\n"}, "none of the 1 questions"),
        ({"queries__tsv": "1\tWhy?\n"}, "there is no qrels.tsv"),
        ({"qrels__tsv": "1\ta\t1\n"}, "there is no queries.tsv"),
        (
            {"queries__tsv": "1\tWhy?\n", "qrels__tsv": "1\ta\t1\n", "spans__tsv": "1\ta\t9\t3\n"},
            "line 1 of .*spans.tsv",
        ),
    ],
)
def test_what_is_written_otherwise_is_told(tmp_path: Path, files: dict[str, str], complaint: str) -> None:
    """The file and its line are named."""
    written(tmp_path, **files)

    with pytest.raises(KbError, match=complaint):
        read_judged(str(tmp_path))
