"""What is seen to at the end of an index run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kb.maintenance import maintain_after_run
from kb.records import IndexReport


@pytest.mark.parametrize(
    ("report", "measured"),
    [
        (IndexReport(embedded=3), True),
        (IndexReport(embedded=3, interrupted=True), False),
        (IndexReport(reused=3), False),
    ],
)
def test_stopped_run_takes_no_measurements(
    monkeypatch: pytest.MonkeyPatch, report: IndexReport, measured: bool
) -> None:
    """What unrelated passages look like takes a large model minutes: the run that goes on finds it out."""
    done: list[bool] = []
    monkeypatch.setattr("kb.maintenance.fill_centroids", lambda *_: None)
    monkeypatch.setattr("kb.maintenance.excess_deletions", lambda *_: 0)
    searcher = SimpleNamespace(measure=lambda: done.append(True))
    container: Any = SimpleNamespace(
        catalog=None, cache=None, embedder=SimpleNamespace(fingerprint=""), searcher=searcher
    )

    maintain_after_run(container, report, None, None)

    assert done == [True] * measured
