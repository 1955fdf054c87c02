"""The check from end to end: a text that is known to be indexed is asked for, and has to find itself."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from kb.app import LocalKnowledgeBase
from kb.container import Container
from kb.doctor.catalog import vectors
from kb.doctor.catalog_view import opened_catalog
from kb.doctor.finding import Skipped, failed, ok
from kb.knowledge_base import KnowledgeBase
from kb.records import Mode, SearchRequest

if TYPE_CHECKING:
    from kb.doctor.case import Case
    from kb.doctor.finding import Finding
    from kb.records import Hit, StoredPassage

SECONDS: Final = 180.0
_SAMPLE: Final = 200
_WORDS: Final = 150
_HITS: Final = 20
_LEAST_CHARACTERS: Final = 20
# A text and its passage, which begins with title and section, are nearer than this in any model; others are not.
_LEAST_COSINE: Final = 0.6


def question(case: Case) -> Finding:
    """Whether a known text finds itself: through the daemon, or in this process."""
    asked = _known(case)
    holder, daemon = case.holder, case.daemon
    if holder.locked and daemon.status is None:
        raise Skipped("another process has the store open")
    if daemon.status is None and vectors(case).state != "ok":
        raise Skipped("the vector index has to be checked by an index run first")
    begun = time.monotonic()
    told: list[str] = []
    hits = _hits(case, _request(asked), told, through_daemon=daemon.status is not None)
    milliseconds = (time.monotonic() - begun) * 1000
    own = next((hit for hit in hits if hit.passage.text == asked.text), None)
    cosine = own.score if own and own.score is not None else 0.0
    if own is None or cosine < _LEAST_COSINE:
        return failed(
            "a text that is indexed does not find itself (cosine {cosine:.2f}, {hits} hits)",
            case.command("check", "--repair"),
            cosine=cosine,
            hits=len(hits),
        )
    how = "the daemon" if daemon.status is not None else "this process"
    return ok(
        f"a known text finds itself, in {{milliseconds:,.0f}} ms, by {how}", milliseconds=milliseconds
    ).with_details(("rank", own.rank), ("cosine", round(cosine, 3)), *(("told", one) for one in told))


def _known(case: Case) -> StoredPassage:
    """A passage whose file is still there: the longest of some.

    Raises:
        Skipped: There is none.
    """
    with opened_catalog(case) as view:
        passages = view.passages(_SAMPLE)
    folders = set(case.settings.folder_paths())
    there = [
        one
        for one in passages
        if one.sound and len(one.text.strip()) >= _LEAST_CHARACTERS and one.file.folder in folders and _is_there(one)
    ]
    if not there:
        raise Skipped("no passage with a vector could be asked for")
    return max(there, key=lambda one: len(one.text))


def _is_there(passage: StoredPassage) -> bool:
    """Whether the file of a passage is as it was indexed."""
    try:
        about = os.lstat(os.path.join(passage.file.folder, passage.file.path))  # noqa: PTH118 - undecodable bytes included
    except OSError:
        return False
    return (about.st_size, about.st_mtime_ns) == (passage.file.stat.size, passage.file.stat.mtime_ns)


def _request(passage: StoredPassage) -> SearchRequest:
    words = " ".join(passage.text.split()[:_WORDS])
    return SearchRequest(
        words,
        limit=_HITS,
        min_score=-1.0,
        per_file=0,
        mode=Mode.COSINE,
        weak=True,
        fold=False,
        literal=True,
        rerank="off",
    )


def _hits(case: Case, request: SearchRequest, told: list[str], *, through_daemon: bool) -> tuple[Hit, ...]:
    if through_daemon:
        with KnowledgeBase(case.settings, warn=told.append) as kb:
            return kb.search(request).hits
    with LocalKnowledgeBase(Container(case.settings, told.append, embedder=case.encoder)) as kb:
        return kb.search(request).hits
