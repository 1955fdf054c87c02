"""What ``kb status`` says of a store."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kb.formats.registry import REGISTRY
from kb.indexing.plan import withheld
from kb.open_store import CACHE_FILE
from kb.records import Failure, Status
from kb.store.damage import set_aside_in

if TYPE_CHECKING:
    from kb.container import Container


def status_of(container: Container) -> Status:
    """Counts, sizes, model, freshness and files that could not be indexed; loads neither model nor ChromaDB."""
    from kb.sandbox.confine import confinement

    comparison, problems = container.store.comparison()
    files = container.catalog.files()
    failures = (*container.catalog.problems(), *problems)
    unread = sum(bool(REGISTRY.unread(one.path, one.reason)) for one in failures)
    store = Path(container.store_path)
    sizes = _sizes(store)
    return Status(
        folders=container.settings.folder_paths(),
        store=container.store_path,
        model=container.catalog.meta("model") or container.config.embed.model,
        fingerprint=container.catalog.meta("fingerprint") or "",
        generation=container.catalog.meta("generation") or "",
        files=sum(file.state == "done" for file in files),
        passages=container.catalog.count(),
        failed=len(failures) - unread,
        unread=unread,
        replaced=sum(file.replaced > 0 for file in files),
        size=sum(sizes.values()),
        cache_size=sum(size for path, size in sizes.items() if path.name.startswith(CACHE_FILE)),
        index=container.store.freshness(comparison.pending),
        runtime=container.runtime(),
        problems=failures,
        held=tuple(sorted(Counter(file.folder for file in withheld(comparison.gone, comparison)).items())),
        set_aside=tuple(set_aside_in(container.store_path)),
        confinement=confinement(),
        partly=tuple(Failure(file.folder, file.path, file.unread) for file in files if file.unread),
        unembedded=container.catalog.count() - container.catalog.count_embedded(),
        server=None if container.store.server is None else container.store.server.state(),
    )


def _sizes(folder: Path) -> dict[Path, int]:
    """The size of each file below a folder, without those that go meanwhile."""
    sizes: dict[Path, int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                if path.is_file():
                    sizes[path] = path.stat().st_size
    return sizes
