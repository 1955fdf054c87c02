"""kb eval: measures an index that is there, a folder made for the occasion, and a run against another."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from made_up import answer, hit, known_file

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Two questions, one with an answer that comes first and one whose answer never comes."""
    folder = tmp_path / "collection"
    folder.mkdir()
    (folder / "queries.tsv").write_text("1\tWhich store?\n2\tWhich tea?\n3\tNobody knows\n", "utf-8")
    (folder / "qrels.tsv").write_text("1\tdb\t1\n2\ttea\t1\n", "utf-8")
    return folder


@pytest.fixture
def asked(command: CommandLine) -> CommandLine:
    """A knowledge base of two files that always gives the same hit."""
    command.kb.files = [known_file("db.md"), known_file("tea.md")]
    command.kb.given = answer(hit())
    return command


def test_a_table(asked: CommandLine, collection: Path) -> None:
    """Measures by file, over the questions that have an answer."""
    code, out, _ = asked("eval", str(collection), "--mode", "cosine")

    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "2 questions (1 without a relevant document left out), 2 files"
    assert lines[1].split() == ["mode", "nDCG@10", "Recall@10", "Recall@100", "MRR@10", "Success@1"]
    assert lines[2].split() == ["cosine", "0.500", "0.500", "0.500", "0.500", "0.500"]


def test_nothing_is_left_out(asked: CommandLine, collection: Path) -> None:
    """The configuration's limits do not cut the ranking that is measured."""
    asked("eval", str(collection), "--mode", "cosine")

    request = next(arguments["request"] for name, arguments in asked.kb.asked if name == "search")
    assert (request.limit, request.per_file, request.min_score) == (100, 1, -1.0)


@pytest.mark.parametrize("more", [("--mode", "cosine"), ("--json",)])
def test_questions_longer_than_the_model_reads_are_told(
    asked: CommandLine, collection: Path, more: tuple[str, ...]
) -> None:
    """Once, however many modes they are asked in; they count as any other."""
    assert asked("eval", str(collection), *more)[2] == ""

    asked.kb.given = replace(asked.kb.given, parts=2)
    code, _, err = asked("eval", str(collection), *more)

    assert (code, err) == (0, "kb: 2 questions are longer than the model reads: embedded in parts and averaged\n")
    (collection / "queries.tsv").write_text("1\tWhich store?\n", "utf-8")
    assert asked("eval", str(collection), *more)[2].startswith("kb: 1 question is longer than the model reads")


def test_a_run_is_saved_and_compared_with(asked: CommandLine, collection: Path, tmp_path: Path) -> None:
    """A run that is compared with itself differs in nothing; with a better one, question by question."""
    run, better = tmp_path / "run.trec", tmp_path / "better.trec"
    better.write_text("1 Q0 db 1 1.0 x\n2 Q0 tea 1 1.0 x\n", "utf-8")

    asked("eval", str(collection), "--mode", "cosine", "--save", str(run))
    _, same, _ = asked("eval", str(collection), "--mode", "cosine", "--compare", str(run))
    _, worse, _ = asked("eval", str(collection), "--mode", "cosine", "--compare", str(better))

    assert run.read_text("utf-8") == "1\tQ0\tdb\t1\t1.000000\tkb-cosine\n2\tQ0\tdb\t1\t1.000000\tkb-cosine\n"
    assert "cosine against run.trec:\n  no difference" in same
    assert "nDCG@10            -0.500  better in 0, worse in 1 (p = 1.0000, may be chance)" in worse


def test_a_question_that_the_earlier_run_does_not_answer_counts_as_zero(
    asked: CommandLine, collection: Path, tmp_path: Path
) -> None:
    """A question without hits has no line in a run; leaving it out would flatter the run that has fewer answers."""
    run = tmp_path / "run.trec"
    run.write_text("1 Q0 db 1 1.0 x\n", "utf-8")

    _, out, _ = asked("eval", str(collection), "--mode", "cosine", "--compare", str(run), "--json")

    assert json.loads(out)["runs"]["run.trec"]["MRR@10"] == 0.5


def test_json_and_single_questions(asked: CommandLine, collection: Path) -> None:
    """Programs get the means, and each question with its ranking where that is asked for."""
    _, out, _ = asked("eval", str(collection), "--mode", "cosine", "--json", "--per-query")

    told = json.loads(out)
    assert told["runs"]["cosine"]["MRR@10"] == 0.5
    assert (told["questions"], told["unjudged"], told["missing"]) == (2, 1, 0)
    assert told["per_question"]["cosine"]["2"]["text"] == "Which tea?"
    assert told["per_question"]["cosine"]["2"]["ranking"] == ["db"]


def test_a_line_for_each_question(asked: CommandLine, collection: Path) -> None:
    """Fields are divided by tabs, under a heading."""
    _, out, _ = asked("eval", str(collection), "--mode", "cosine", "--per-query")

    assert out.splitlines()[:2] == [
        "mode\tquestion\tnDCG@10\tRecall@10\tRecall@100\tMRR@10\tSuccess@1\ttext",
        "cosine\t1\t1.000\t1.000\t1.000\t1.000\t1.000\tWhich store?",
    ]


def test_a_folder_is_indexed_for_the_occasion(asked: CommandLine, collection: Path, tmp_path: Path) -> None:
    """Its store is made and removed, or kept where that is wished."""
    (tmp_path / "docs").mkdir()

    code, out, _ = asked("eval", str(collection), "--folder", str(tmp_path / "docs"), "--keep", str(tmp_path / "kept"))

    assert code == 0
    assert "nDCG@10" in out
    assert asked.kb.asked[0][0] == "index"
    overrides = asked.loaded[-1][1]
    assert json.loads(overrides["folders.paths"]) == [str(tmp_path / "docs")]
    assert overrides["store.path"] == str(tmp_path / "kept")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--folder", "nowhere"], "is not a folder"),
        (["--keep", "there"], "--keep requires --folder"),
        (["--compare", "nowhere"], "nowhere cannot be read: no such file or directory\n"),
        (["--mode", "taste"], "taste"),
    ],
)
def test_what_cannot_be_done_is_told(asked: CommandLine, collection: Path, more: list[str], complaint: str) -> None:
    """One sentence and exit code 2."""
    code, _, err = asked("eval", str(collection), *more)

    assert code == 2
    assert complaint in err


def test_reranking_is_measured_beside_the_mode(asked: CommandLine, collection: Path) -> None:
    """The mode is asked as it is, whatever the configuration says, then reranked."""
    _, out, _ = asked("eval", str(collection), "--mode", "cosine", "--rerank", "colbert")

    assert [line.split("  ")[0] for line in out.splitlines()[2:4]] == ["cosine", "cosine, colbert"]
    assert "cosine, colbert against cosine:\n  no difference" in out
    wished = [arguments["request"].rerank for name, arguments in asked.kb.asked if name == "search"]
    assert wished == ["off", "off", "colbert", "colbert"]
