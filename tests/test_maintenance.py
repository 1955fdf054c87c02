"""What is seen to at the end of an index run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kb.app import LocalKnowledgeBase
from kb.store.local_vectors import LocalVectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("embedding", "left", "measured"),
    [
        ({"embedded": 3, "interrupted": False}, False, True),
        ({"embedded": 3, "interrupted": True}, False, False),
        ({"embedded": 3, "interrupted": False}, True, False),
        ({"embedded": 0, "interrupted": False}, False, False),
    ],
)
def test_stopped_run_takes_no_measurements(embedding: dict[str, Any], *, left: bool, measured: bool) -> None:
    """What unrelated passages look like takes a large model minutes: the turn that embeds the last text finds out."""
    done: list[bool] = []
    searcher = SimpleNamespace(measure=lambda: done.append(True))
    store = SimpleNamespace(settle_exact=lambda: None)
    container: Any = SimpleNamespace(query_priority=None, searcher=searcher, store=store)
    work: Any = SimpleNamespace(turn=lambda *_, **__: left, **embedding)

    assert LocalKnowledgeBase(container).embed(work) is left

    assert done == [True] * measured


@pytest.mark.parametrize("lost", [False, True])
def test_a_run_embeds_what_a_new_index_lacks(
    open_kb: Callable[..., LocalKnowledgeBase], notes: Path, monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    """What cache and old index have lost is computed by the run that makes the index anew, not by the next one."""
    monkeypatch.setattr("kb.indexing.rebuild.MAX_DELETED", 0)
    kb = open_kb(notes, warn=lambda _: None)
    kb.index()
    total = kb.status().passages
    (notes / "passing.md").write_text("".join(f"# {number}\n\nA thought.\n\n" for number in range(total + 1)))
    kb.index()
    (notes / "passing.md").unlink()
    cache: Any = kb._container.cache
    cache._database.connection.execute("DELETE FROM entries")
    if lost:
        monkeypatch.setattr(LocalVectors, "_vectors", lambda *_: {})

    report = kb.index()

    assert (report.removed, report.embedded, report.unembedded) == (1, total if lost else 0, 0)
    assert kb.check().differences == ()
