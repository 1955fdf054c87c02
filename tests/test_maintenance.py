"""What is seen to at the end of an index run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kb.app import LocalKnowledgeBase


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
    container: Any = SimpleNamespace(query_priority=None, searcher=searcher)
    work: Any = SimpleNamespace(turn=lambda *_, **__: left, **embedding)

    assert LocalKnowledgeBase(container).embed(work) is left

    assert done == [True] * measured
