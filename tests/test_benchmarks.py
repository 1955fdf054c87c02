"""The benchmarks themselves: their arithmetic by hand-computed examples, and a small one run whole."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import asking, burst, changing, first_words, large, resting, rounds, saving
from benchmarks.__main__ import BENCHMARKS, data_folder, main
from benchmarks.bench import Bench
from benchmarks.corpora import read_collection, write_documents, write_paragraphs, write_small_notes
from benchmarks.index_speed import compare
from benchmarks.indexing import bare_encode
from benchmarks.made import PER_FILE, MadeModel, Texts
from benchmarks.ndcg import ndcg
from benchmarks.no_change import heavy_imports
from benchmarks.recall import Clusters, exact
from benchmarks.reuse import judged
from benchmarks.table import Row, at_least, at_most, skipped, table
from kb.embedding.onnx_runtime import cores
from kb.evaluation.bench import Times

if TYPE_CHECKING:
    from typing import Any

    from kb.embedding.spec import Located

ROOT = Path(__file__).parents[1]
GRADES = {"a": 3.0, "b": 2.0, "c": 1.0}


def test_ndcg_is_what_a_hand_computes() -> None:
    """The gain of each relevant document is divided by log2(rank + 1), and the sum by the best there could be."""
    # Ranks 1 to 4 are discounted by 1, log2(3), 2, log2(5): 2/1 + 0/1.585 + 3/2 + 1/2.3219 = 3.9307.
    # The best order gives 3/1 + 2/1.585 + 1/2 = 4.7619.
    found = ndcg(["b", "x", "a", "c"], GRADES)

    assert found == pytest.approx((2 + 3 / 2 + 1 / log2(5)) / (3 + 2 / log2(3) + 1 / 2))
    assert found == pytest.approx(0.8254, abs=0.0001)


def test_ndcg_looks_no_further_than_its_depth() -> None:
    """A relevant document behind the depth counts for nothing, and the best is of that depth too."""
    assert ndcg(["x", "a"], {"a": 1.0}, depth=1) == 0.0
    assert ndcg(["a", "x"], {"a": 1.0, "b": 1.0}, depth=1) == 1.0


def test_ndcg_refuses_what_it_cannot_judge() -> None:
    """A document that stands twice, and a question without a relevant document, are mistakes."""
    with pytest.raises(ValueError, match="twice"):
        ndcg(["a", "a"], GRADES)
    with pytest.raises(ValueError, match="relevant"):
        ndcg(["a"], {})


@given(st.permutations(["a", "b", "c", "x", "y"]))
def test_ndcg_is_one_for_the_best_order_alone(ranking: list[str]) -> None:
    """It lies between 0 and 1, and is 1 exactly where the relevant documents stand first, in order of their grades."""
    found = ndcg(ranking, GRADES)

    assert 0.0 < found <= 1.0 + 1e-12
    assert (ranking[:3] == ["a", "b", "c"]) == (found > 1.0 - 1e-12)


def test_a_row_is_judged_by_the_number_that_is_shown() -> None:
    """1.1049 is shown as 1.10 and meets 1.10; 1.1051 is shown as 1.11 and does not."""
    assert at_most("n", "w", 1.1049, 1.10, "x") == Row("n", "w", "1.10 x", "at most 1.10 x", met=True)
    assert at_most("n", "w", 1.1051, 1.10, "x").met is False
    assert at_least("n", "w", 0.8986, 0.899).met is True
    assert at_least("n", "w", 0.8984, 0.899).met is False


def test_a_benchmark_that_breaks_off_does_not_take_the_others_along(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the others measured is printed all the same, the one that broke off is named, and the exit code is 1."""

    def breaks(_: Bench) -> list[Row]:
        raise RuntimeError("no more room")

    monkeypatch.setitem(BENCHMARKS, "memory", breaks)
    monkeypatch.setitem(BENCHMARKS, "reuse", lambda _: [Row("reuse", "passages", "1")])

    assert main(["--only", "memory", "reuse", "--json"]) == 1
    found = capsys.readouterr()
    assert [(row["name"], row["measured"], row["met"]) for row in json.loads(found.out)["rows"]] == [
        ("memory", "RuntimeError: no more room", False),
        ("reuse", "1", None),
    ]
    assert "Traceback" in found.err


def test_the_table_is_aligned_and_says_what_is_met() -> None:
    """Every column begins at one place; a missed target is in capitals, a skipped number neither met nor missed."""
    rows = [at_most("one", "a", 2, 1), at_least("longer", "bb", 2, 1), skipped("s", "c", "no data", "at least 1")]

    lines = table(rows).splitlines()

    column = lines[0].index("measured")
    assert [line[column - 2 : column] for line in lines[2:]] == ["  "] * 3
    assert [line.split()[-1] for line in lines[2:]] == ["NO", "yes", "-"]
    assert "skipped: no data" in lines[4]


def test_what_only_explains_a_number_widens_nothing() -> None:
    """A long explanation runs on to the right, and the targets stay beside the numbers."""
    rows = [at_most("n", "w", 2, 1), Row("n", "why", "because " * 20)]

    assert table(rows).splitlines()[2].endswith("2.00      at most 1.00  NO")


def test_a_collection_is_read_without_questions_that_nothing_answers(tmp_path: Path) -> None:
    """Grade 0 is no answer, and a question without any other is left out."""
    (tmp_path / "queries.tsv").write_text("1\tfirst question\n2\tsecond question\n", "utf-8")
    (tmp_path / "qrels.tsv").write_text("1\ta\t2\n1\tb\t0\n2\ta\t0\n", "utf-8")

    found = read_collection(tmp_path)

    assert found.questions == {"1": "first question"}
    assert found.relevant == {"1": {"a": 2.0}}


def test_made_up_files_are_the_same_every_time(tmp_path: Path) -> None:
    """Two runs measure the same texts; no note is so new that an index run would have to read it again."""
    for name in ("one", "two"):
        write_small_notes(tmp_path / name / "notes", 120)
        write_documents(tmp_path / name / "documents", 3)

    texts = [
        {str(file.relative_to(tmp_path / name)): file.read_bytes() for file in (tmp_path / name).rglob("*.md")}
        for name in ("one", "two")
    ]

    assert len(texts[0]) == 123
    assert texts[0] == texts[1]
    note = tmp_path / "one" / "notes" / "000" / "note-00000.md"
    assert (tmp_path / "one").stat().st_mtime - note.stat().st_mtime > 60


def test_clustered_vectors_are_units_near_others_of_their_cluster() -> None:
    """The nearest of a thousand points is far nearer than points at random are in so many dimensions."""
    vectors = Clusters(1000).draw(1000)

    nearest = exact(vectors, vectors[0], depth=2)

    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert nearest[0] == 0
    assert float(vectors[nearest[1]] @ vectors[0]) > 0.5


def run_of(wall: float, **more: Any) -> dict[str, Any]:
    """What a child gives back of a run that took so many seconds."""
    same = {"runtime": "onnx", "threads": 2, "passages": 5}
    return {"wall": wall, "processor": 2 * wall, **same, "spent": {"model": wall / 2}, **more}


def test_the_faster_run_of_each_counts() -> None:
    """12 s against 10 s is 1.20, whatever the slower runs took."""
    rows = compare([run_of(30), run_of(10)], [run_of(12), run_of(40)], texts=5)

    assert (rows[0].measured, rows[0].met) == ("1.20 x", False)
    assert "model 6.0 s" in rows[3].measured
    assert rows[5].measured.startswith("233%: the machine is busy")


@pytest.mark.parametrize("wrong", [{"threads": 1}, {"passages": 4}, {"runtime": "torch"}])
def test_runs_that_differ_are_not_compared(wrong: dict[str, Any]) -> None:
    """Another runtime, another number of threads or of texts makes a ratio mean nothing."""
    with pytest.raises(ValueError, match="differ"):
        compare([run_of(10)], [run_of(10, **wrong)], texts=5)


def test_the_bare_model_runs_as_kb_runs_it(
    minilm: Located, forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the runtime that kb takes where it stands, on the threads of that one."""
    import torch

    (tmp_path / "texts.json").write_text(json.dumps(["one text", "and another"]), "utf-8")
    found = []
    for models in (forms, tmp_path):
        monkeypatch.setenv("KB_MODELS", str(models))
        run = bare_encode(str(tmp_path / "texts.json"), 0, 0)
        found.append((run["runtime"], run["threads"]))

    assert minilm.bundled
    assert found == [("onnx", cores()), ("torch", torch.get_num_threads())]


def test_heavy_libraries_are_seen_in_a_list_of_imports() -> None:
    """Submodules count for their library; names that only begin like one do not."""
    listing = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import json.decoder"], capture_output=True, text=True, check=True
    ).stderr
    line = next(line for line in listing.splitlines() if line.endswith("json.decoder"))

    assert heavy_imports(listing) == set()
    assert heavy_imports(f"{listing}\n{line.replace('json.decoder', 'torch.nn')}") == {"torch"}
    assert heavy_imports(f"{listing}\n{line.replace('json.decoder', 'torchlike')}") == set()


def test_questions_are_judged_by_bare_python_and_by_rest() -> None:
    """80 ms against 10 ms is 8, 170 against 11 more than 15, and 400 while embedding more than three times 170."""
    idle, bare = Times((0.08,) * 19 + (0.17, 0.17)), Times((0.01,) * 19 + (0.011, 0.011))

    rows = asking.judged(idle, bare, Times((0.4,)), "5 files", "1 file")
    quick = asking.judged(idle, bare, Times((0.3,)), "5 files", "1 file")

    assert [(row.measured, row.met) for row in rows[:3]] == [("8.00 x", True), ("15.45 x", False), ("2.35 x", True)]
    assert quick[2].measured == "1.76 x"


def test_no_question_is_asked_twice() -> None:
    """At rest and while it embeds the questions go on: one that was asked before would need no model."""
    asked = list(islice(asking.never_asked(["one", "two"]), 300))

    assert len(set(asked)) == 300


def test_a_save_has_half_a_second_beside_the_quiet() -> None:
    """Nineteen of twenty saves decide."""
    slow_once = Times((0.5,) * 19 + (9.0,))

    assert saving.judged(slow_once, 0.3, 5)[0].met is True
    assert saving.judged(Times((0.81,)), 0.3, 5)[0].met is False


def test_a_burst_must_lose_nothing_and_double_nothing() -> None:
    """One file missed, one listed twice or one difference is a miss, however fast it was."""
    walls = {"owner": 11.0, "bare": 10.0, "writing": 0.1}
    whole: dict[str, Any] = {"differences": []}

    assert [row.met for row in burst.judged(["a", "b"], 0, whole, walls, 2)] == [True, True, None]
    assert burst.judged(["a"], 1, whole, walls, 2)[0].met is False
    assert burst.judged(["a", "a"], 0, whole, walls, 2)[0].measured == "0 missed, 1 twice, 0 differences"
    assert burst.judged(["a", "b"], 0, {"differences": [{}]}, walls, 2)[0].met is False


def test_rest_counts_its_sweeps() -> None:
    """0.4 % at rest and a sweep of 0.6 s every 600 s make half a percent; one of 1.2 s is too much."""
    assert resting.judged(0.004, 0.6, 0, 10**8, "w")[0] == at_most(
        "resting", "share of one core, w, sweeps included", 0.5, 0.5, "%"
    )
    assert resting.judged(0.004, 1.2, 0, 10**8, "w")[0].met is False
    assert resting.judged(0.004, 0.6, 2 * 10**6, 10**8, "w")[1].met is False


def test_rounds_are_compared_with_the_third() -> None:
    """What the first ones take to warm up is left out."""
    assert rounds.judged([100, 150, 200, 220], 5)[0].measured == "1.10 x"
    assert rounds.judged([100, 150, 200, 222], 5)[0].met is False


def test_paragraphs_of_another_seed_are_other_texts(tmp_path: Path) -> None:
    """So that each round embeds, under the same names."""
    for seed in (1, 2):
        write_paragraphs(tmp_path / str(seed), 5, seed)

    one, two = ({file.name: file.read_text() for file in (tmp_path / seed).iterdir()} for seed in ("1", "2"))
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())


def test_one_passage_too_many_misses_the_target() -> None:
    """Of six numbers, one above its limit decides."""
    best = {"line on top": 1, "rename": 0, "move": 0, "copy": 0, "touch": 0, "branch and back": 0}

    assert judged(best).met is True
    assert judged(best | {"copy": 1}).met is False


def test_the_data_is_looked_up_in_order(tmp_path: Path) -> None:
    """The argument goes before the environment."""
    assert data_folder(str(tmp_path / "a"), str(tmp_path / "b")) == tmp_path / "a"
    assert data_folder(None, str(tmp_path / "b")) == tmp_path / "b"


def test_quality_is_skipped_with_the_reason_where_there_are_no_collections(tmp_path: Path) -> None:
    """What cannot be measured is told, with the target it would have."""
    rows = BENCHMARKS["quality"](Bench(tmp_path, data=tmp_path / "nothing"))

    assert [row.met for row in rows] == [None, None]
    assert all("skipped: there is no" in row.measured for row in rows)


@pytest.mark.slow
def test_a_benchmark_runs_whole_and_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousandth of the recall benchmark gives its rows, judged, with the machine they were measured on."""
    code = main(["--only", "recall", "--scale", "1000", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["machine"]["python"]
    assert told["rows"][0]["measured"] == "1.0000"
    assert [row["name"] for row in told["rows"]] == ["recall"] * len(told["rows"])


@pytest.mark.slow
def test_a_made_store_is_asked_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, at a fiftieth of a thousandth of its size: with so few passages exact search finds the same ones."""
    monkeypatch.setattr(large, "QUESTIONS", 20)
    built = large.build(str(tmp_path / "big-5"), 5)
    found = large.measure(str(tmp_path / "big-5"), 5)

    assert min(built.values()) > 0
    assert (found["passages"], found["recall"]) == (5 * PER_FILE, 1.0)
    assert found["memory"] > found["sizes"]["catalog"] > 0
    assert min(found["cosine"]["p50"], found["hybrid"]["p50"], found["opening"]) > 0


def test_what_follows_a_change_is_timed_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing has its time, the index run with its scan more than the scan alone."""
    monkeypatch.setattr(changing, "_TIMES", 3)
    found = changing.measure(str(tmp_path), 10)

    assert found[changing._RUN] > found[changing._SCAN] > 0
    assert len(found) > 5


def test_made_notes_are_found_by_words_before_their_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are asked for, while most of the passages wait."""
    monkeypatch.setattr(first_words, "_TOKENS_PER_SECOND", 1e6)
    found = first_words.measure(str(tmp_path), 40)

    assert found["found"] == found["asked"] > 0
    assert 0 < found["embedded"] <= found["passages"]


def test_made_texts_and_vectors_are_the_same_every_time() -> None:
    """By their number and their text; passages of one subject lie near each other."""
    texts, model = Texts(), MadeModel(1)
    text = texts.note(3)
    # Stores that are kept from one run to the next hold these words.
    assert text.startswith("# Note 3\n\n## Part 1\n\nRupawebike dafevuvalu de rizigunobo de ")
    assert text == texts.note(3) != texts.note(4)
    assert text.count("## ") == PER_FILE
    one, other = model.embed_documents(["one", "other"], [1, 1])
    assert np.array_equal(one, MadeModel(1).embed_query("one"))
    assert float(one @ one) == pytest.approx(1, abs=1e-5)
    assert 0.4 < float(one @ other) < 0.8
