"""What a Chroma server has to have of a store, whatever happened to either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from chroma_server import RunningChroma

    from kb.app import LocalKnowledgeBase


def in_service(server: RunningChroma, prefix: str) -> str:
    """The name of the one collection with vectors."""
    names = [name for name in server.collections() if name.startswith(f"{prefix}-0")]
    assert len(names) == 1, names
    return names[0]


def assert_whole(kb: LocalKnowledgeBase, server: RunningChroma) -> None:
    """The server has exactly what a fresh index would have: ids, vectors, labels."""
    container = kb._container
    catalog = container.catalog
    name = in_service(server, container.config.store.collection)
    found = server.records(name)
    live = catalog.with_vectors()
    known = {id_ for id_, _, _ in live}
    odd = len(found.keys() - known), len(known - found.keys())
    assert odd == (0, 0), f"{odd[0]} records too many, and {odd[1]} too few"
    vectors = container.cache.peek(container.embedder.fingerprint, [digest for _, _, digest in live])
    passages = catalog.passages([id_ for id_, _, _ in live])
    for id_, file_id, digest in live:
        labels, vector, text = found[id_]
        np.testing.assert_allclose(vector, vectors[digest], atol=1e-6)
        assert labels["file"] == file_id
        assert labels["path"] == passages[id_].file.path
        assert text is None
    assert catalog.count_deferred() == 0


def forget_problem(kb: LocalKnowledgeBase) -> None:
    """Let as much time pass as kb waits before it tries a server again."""
    server = kb._container.store.server
    assert server is not None
    server._retry_at = 0.0
