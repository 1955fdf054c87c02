"""kb bench measures on copies: a real owner, real commands, and nothing left behind or touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kb.cli.main import run
from kb.config import Config
from kb.errors import KbError
from kb.evaluation import bench
from kb.evaluation.bench import CommandResult, Program, Sample, Times
from kb.records import Candidates
from kb.testing import FakeEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from kb.embedding.spec import Located


@pytest.fixture
def here(tmp_path: Path, notes: Path, onnx_minilm: Located, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a configuration for four notes, and temporary files of its own."""
    runtime = Path(tempfile.mkdtemp(prefix="kb-", dir="/tmp"))
    (runtime / "tmp").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(tempfile, "tempdir", str(runtime / "tmp"))
    monkeypatch.chdir(tmp_path)
    values = f'[folders]\npaths = ["{notes.name}"]\n[embed]\nmodel = "{onnx_minilm.name}"\noffline = true\n'
    (tmp_path / "config.toml").write_text(values)
    yield runtime
    shutil.rmtree(runtime)


def states(folder: Path) -> dict[str, tuple[int, ...]]:
    """What tells whether anything was written; reading leaves it alone."""
    found = {path.name: path.stat() for path in [folder, *folder.iterdir()]}
    return {name: (one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino) for name, one in found.items()}


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.scale)], ids=["short", "whole"])
def whole(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands without an owner load the model each time; only the run that takes its time has them."""
    if not request.param:
        monkeypatch.setattr(bench, "_without_daemon", lambda *_: Times((60.0,)))


@pytest.mark.slow
@pytest.mark.usefixtures("whole")
def test_it_measures_and_leaves_everything_as_it_was(
    here: Path, notes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every figure is there; the notes are untouched, there is no store, no copy and no owner afterwards."""
    before = states(notes)

    code = run(["bench", "--json", "--seconds", "5"])
    out, err = capfd.readouterr()

    told = json.loads(out)
    assert code == 0, err
    assert "your notes and your store stay as they are" in err
    assert (told["files"], told["passages"]) == ({"sample": 4, "total": 4}, 4)
    assert told["recall"] == {"share": 1.0, "depth": 10, "questions": 4}
    assert told["question"]["without_owner"]["p50"] > told["question"]["with_owner"]["p50"]
    assert told["question"]["with_owner"]["p50"] > told["question"]["python_alone"]["p50"] > 0
    # A folder has to be quiet for 0.3 s before it is looked at.
    assert told["save_to_found"]["p50"] > 0.3
    assert told["memory"] > 50_000_000
    assert told["disk"] > 10_000
    assert states(notes) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "notes"]
    assert list((here / "tmp").glob("kb-*")) == []
    assert list((here / "kb").iterdir()) == []


@pytest.mark.usefixtures("here")
def test_without_text_there_is_nothing_to_measure(notes: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One sentence and what to do about it."""
    for note in notes.iterdir():
        note.unlink()

    assert run(["bench"]) == 2
    assert "no text in the folders" in capfd.readouterr().err


def test_recall_counts_what_the_store_misses() -> None:
    """A store that gives four of the ten nearest has a recall of 0.4."""
    work = _Work()

    found = bench._recall(work, ["word1 word2", "word3"])  # type: ignore[arg-type]  # what it needs of the parts
    work.given = 4
    less = bench._recall(work, ["word1 word2", "word3"])  # type: ignore[arg-type]  # the same

    assert (found.share, found.questions) == (1.0, 2)
    assert less.share == pytest.approx(0.4)


def test_a_command_that_fails_ends_it(tmp_path: Path) -> None:
    """Its own sentence is told."""
    with pytest.raises(KbError, match=re.escape("no configuration was found")):
        bench._answered(Program([], str(tmp_path), os.environ, str(tmp_path)), "anything")


def test_no_question_is_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of an owner and then without one: what was asked before is remembered, and would need no model."""
    asked: list[str] = []

    class Answering:
        def daemon(self, _: Path) -> AbstractContextManager[Any]:
            return nullcontext(SimpleNamespace(memory=lambda: 1))

        def python(self) -> CommandResult:
            return CommandResult(0, "", "", 0.1)

        def __call__(self, *args: str) -> CommandResult:
            asked.append(args[-1])
            return CommandResult(0, "", "", 0.1)

    monkeypatch.setattr(bench, "seconds_until_found", lambda *_: 0.1)
    sample = Sample(questions=dict.fromkeys(f"question of {number}" for number in range(3)))
    want = SimpleNamespace(seconds=60.0, report=lambda _: None)

    bench._with_daemon(want, Answering(), sample, tmp_path, tmp_path)  # type: ignore[arg-type]  # what it needs of them
    bench._without_daemon(Answering(), sample, 60.0)  # type: ignore[arg-type]  # the same

    assert len(asked) == 6
    assert len({*asked, *sample.questions}) == 9


class _Work:
    """An exact index of thirty texts, which may be made to give fewer than it should."""

    def __init__(self) -> None:
        self.embedder = FakeEmbedder()
        self.given = 100
        self.config = Config()
        texts = [f"word{number} word{number + 1} and more" for number in range(30)]
        self._vectors = dict(zip(texts, self.embedder.embed_documents(texts, [5] * 30), strict=True))

    def index(self) -> _Work:
        """Itself."""
        return self

    def ids(self) -> Iterator[str]:
        """Every text."""
        return iter(self._vectors)

    def vectors(self, ids: list[str]) -> dict[str, NDArray[np.float32]]:
        """Their vectors."""
        return {id_: self._vectors[id_] for id_ in ids}

    def query(self, vector: NDArray[np.float32], count: int) -> Candidates:
        """The nearest, as many as may be given."""
        nearest = sorted(self._vectors, key=lambda id_: -float(self._vectors[id_] @ vector))[: min(count, self.given)]
        return Candidates(tuple(nearest), np.stack([self._vectors[id_] for id_ in nearest]))
