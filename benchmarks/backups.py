"""A backup of many files while they are watched, and its restore elsewhere, with vectors that no model computed."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.child import call, progress
from benchmarks.corpora import write_documents, write_paragraphs
from benchmarks.daemon import json_output, program, succeeded, until_indexed
from benchmarks.indexing import settings
from benchmarks.recall import Clusters
from benchmarks.table import Row, at_most
from kb.app import LocalKnowledgeBase

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench
    from kb.evaluation.bench import Program

NAME: Final = "scale-backup"
FILES: Final = 10_000
SECONDS: Final = 20.0
_BUSY: Final = "busy.md"
_PAGE: Final = 1000
_BETWEEN_QUESTIONS: Final = 0.2


def rows(work: Bench) -> list[Row]:
    """Notes of one passage, and documents of several."""
    count = work.scaled(FILES)
    return [
        *_measured(work, "notes", f"{count} files of one passage", lambda folder: write_paragraphs(folder, count)),
        *_measured(work, "long", f"{count} files of several", lambda folder: write_documents(folder, count)),
    ]


def _measured(work: Bench, name: str, what: str, write: Any) -> list[Row]:  # noqa: ANN401 - a function of a folder
    root = work.folder / f"backup-{name}"
    docs, clone = root / "docs", root / "clone"
    write(docs)
    files = len(list(docs.iterdir()))
    progress(f"{NAME}: indexing {files} files with made vectors")
    call("backups:fill", docs=str(docs), store=str(root / "store"))
    kb = program(docs, root / "store", work.threads)
    succeeded(kb("index"))
    with kb.daemon(root / "log"):
        until_indexed(kb, files)
        backup, slowest = _while_busy(kb, docs, root / "b.kb")
    succeeded(kb("index"))
    first = json_output(kb, "backup", "--incremental", str(root / "folder"))
    again = json_output(kb, "backup", "--incremental", str(root / "folder"))
    progress(f"{NAME}: restoring {backup['passages']} passages")
    shutil.copytree(docs, clone, copy_function=shutil.copy, ignore=lambda _folder, _names: {_BUSY})
    other = program(clone, root / "other", work.threads)
    began = time.perf_counter()
    succeeded(other("restore", str(root / "b.kb"), "--folder", f"{docs}={clone}"))
    restored = time.perf_counter() - began
    indexed = json_output(other, "index")
    shutil.rmtree(root)
    size = f"{backup['size'] / 1e6:.0f} MB of {backup['passages']} passages"
    return [
        at_most(NAME, f"kb backup while watching, {what}", backup["wall"], SECONDS, "s", digits=1),
        at_most(NAME, f"kb restore in another folder, {what}", restored, SECONDS, "s", digits=1),
        at_most(NAME, f"embedded by the next kb index, {what}", indexed["passages"]["embedded"], 0, digits=0),
        Row(NAME, f"size, {what}", f"{size}; the first in a folder {_mb(first)}, one without changes {_mb(again)}"),
        Row(NAME, f"slowest question during the backup, {what}", f"{slowest * 1000:.0f} ms"),
    ]


def _mb(report: dict[str, Any]) -> str:
    return f"{report['written'] / 1e6:.1f} MB"


def _while_busy(kb: Program, docs: Path, path: Path) -> tuple[dict[str, Any], float]:
    """A backup while a note changes and questions are asked: its report with ``wall``, and the slowest question."""
    done = threading.Event()
    slowest = 0.0

    def ask() -> None:
        nonlocal slowest
        number = 0
        while not done.wait(_BETWEEN_QUESTIONS):
            number += 1
            (docs / _BUSY).write_text(f"The note was changed {number} times.\n", "utf-8")
            began = time.perf_counter()
            # A made vector may be near to nothing, which is an answer too.
            kb("search", "what was changed?", "--json")
            slowest = max(slowest, time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    began = time.perf_counter()
    try:
        report = json_output(kb, "backup", str(path))
    finally:
        done.set()
        asking.join()
    return report | {"wall": time.perf_counter() - began}, slowest


def fill(docs: str, store: str) -> int:
    """Put a made vector for each passage into the cache of a store, so that an index run embeds none."""
    with LocalKnowledgeBase.open(settings(docs, store)) as kb:
        container = kb._container  # noqa: SLF001 - the parts of an index run without its model
        container.own()
        digests: set[bytes] = set()
        for found in container.files.scan().files:
            _, passages = container.reader.read(container.files.load(found))
            digests.update(passage.digest for passage in passages)
        wanted = sorted(digests)
        clusters = Clusters(len(wanted), container.embedder.dimension)
        for start in range(0, len(wanted), _PAGE):
            part = wanted[start : start + _PAGE]
            vectors = np.asarray(clusters.draw(len(part)), np.float32)
            container.cache.put(container.embedder.fingerprint, dict(zip(part, vectors, strict=True)))
    return len(wanted)
