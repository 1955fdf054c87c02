"""Compares kb's hybrid mode with another tool, using the same model, documents and questions.

The other tool is installed with pip into a separate environment on top of kb's packages, so that both use the same
torch and kb does not depend on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from benchmarks.child import ROOT, call, progress
from benchmarks.corpora import read_collection
from benchmarks.indexing import MODEL, settings
from benchmarks.ndcg import ndcg
from benchmarks.table import Row, at_least, skipped
from kb.app import LocalKnowledgeBase
from kb.embedding.locate import locate
from kb.records import MODE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.bench import Bench
    from benchmarks.corpora import Collection

NAME: Final = "peers"
TXTAI: Final = "txtai==9.14.0"
COLLECTION: Final = "til-simonw"
# Every second one of the first questions, up to this number.
FIRST: Final = 400
STEP: Final = 2
DEPTH: Final = 10
TARGET: Final = 0.975
MODES: Final = MODE_NAMES
_PEER: Final = ROOT / "benchmarks" / "peer_txtai.py"


class NotInstalled(Exception):
    """pip failed to install the other tool; the message is its last line."""


def rows(work: Bench) -> list[Row]:
    """The result of the other tool, and of kb in each mode."""
    what = f"nDCG@{DEPTH} by file, {COLLECTION}, every second of the first {FIRST} questions"
    collection = work.collection(COLLECTION)
    if collection is None:
        where = f"in {work.data}" if work.data else "(name a folder with --data)"
        return [skipped(NAME, what, f"there is no {COLLECTION} {where}", f"at least {TARGET:.3f}")]
    questions = some(collection.questions, work.scale)
    folder = str(collection.docs.parent)
    store = work.stores.setdefault(str(collection.docs), work.folder / f"quality-{COLLECTION}")
    progress(f"{NAME}: kb, {len(questions)} questions")
    ours = call("peers:measure", folder=folder, store=str(store), threads=work.threads, ids=list(questions))
    found = [at_least(NAME, f"{what}, kb {mode}", ours[mode], TARGET) for mode in MODES if mode == "hybrid"]
    found += [Row(NAME, f"the same, kb {mode}", f"{ours[mode]:.3f}") for mode in MODES if mode != "hybrid"]
    try:
        theirs = peer(collection, questions, work.folder / "peer")
    except NotInstalled as error:
        found.append(skipped(NAME, f"the same, {TXTAI} hybrid", f"pip did not install it: {error}", ""))
    else:
        found.append(Row(NAME, f"the same, {TXTAI} hybrid", f"{theirs:.3f}"))
    return found


def some(questions: Mapping[str, str], scale: int = 1) -> dict[str, str]:
    """The questions to ask."""
    return dict(list(questions.items())[: FIRST // scale : STEP])


def measure(folder: str, store: str, threads: int, ids: list[str]) -> dict[str, float]:
    """The results of kb in each mode; indexes the collection if necessary."""
    collection = read_collection(Path(folder))
    with LocalKnowledgeBase.open(settings(str(collection.docs), store, threads)) as knowledge:
        knowledge.index()
        return {mode: fmean(_asked(knowledge, collection, id_, mode) for id_ in ids) for mode in MODES}


def _asked(knowledge: LocalKnowledgeBase, collection: Collection, id_: str, mode: Any) -> float:  # noqa: ANN401 - a mode
    question = collection.questions[id_]
    hits = knowledge.search(question, per_file=1, limit=DEPTH, literal=True, weak=True, mode=mode).hits
    return ndcg([Path(hit.passage.file.path).stem for hit in hits], collection.relevant[id_], DEPTH)


def peer(collection: Collection, questions: Mapping[str, str], folder: Path) -> float:
    """The result of the other tool with its defaults, one vector and BM25 per document.

    Raises:
        NotInstalled: It could not be installed.
    """
    python = environment(folder)
    documents = {file.stem: file.read_text("utf-8", "replace") for file in sorted(collection.docs.iterdir())}
    task = {
        "model": str(locate(MODEL, offline=True).directory),
        "documents": documents,
        "questions": questions,
        "depth": DEPTH,
    }
    progress(f"{NAME}: {TXTAI}, {len(documents)} documents")
    done = subprocess.run(
        [str(python), str(_PEER)], input=json.dumps(task), stdout=subprocess.PIPE, text=True, check=True
    )
    rankings: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return fmean(ndcg(rankings[id_], collection.relevant[id_], DEPTH) for id_ in questions)


def environment(folder: Path) -> Path:
    """The Python of an environment with the other tool, on top of kb's packages.

    Raises:
        NotInstalled: pip failed.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # Its own packages come first; kb's packages, such as torch, are not downloaded again.
    shared = "\n".join(path for path in (sysconfig.get_paths()["purelib"], *_layers()) if path)
    (folder / "lib" / version / "site-packages" / "shared.pth").write_text(shared + "\n", "utf-8")
    progress(f"{NAME}: installing {TXTAI}")
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TXTAI],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotInstalled((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return python


def _layers() -> list[str]:
    """The package directories of this Python, including those of a base environment."""
    return [path for path in sys.path if path.endswith("site-packages") and path != sysconfig.get_paths()["purelib"]]
