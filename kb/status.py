"""What ``kb status`` tells, gathered from the parts without the model and without ChromaDB."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from kb.index.plan import withheld
from kb.parts import CACHE_FILE
from kb.records import Failure, Status
from kb.store.damage import set_aside_in

if TYPE_CHECKING:
    from kb.parts import Parts


def status_of(parts: Parts) -> Status:
    """Counts, sizes, the model, how fresh the index is, and what could not be indexed."""
    from kb.extract.confinement import confinement

    comparison, problems = parts.comparison()
    files = parts.catalog.files()
    store = Path(parts.store_path)
    sizes = {path: path.stat().st_size for path in store.rglob("*") if path.is_file()} if store.is_dir() else {}
    return Status(
        folders=parts.settings.folder_paths(),
        store=parts.store_path,
        model=parts.catalog.meta("model") or parts.config.embed.model,
        fingerprint=parts.catalog.meta("fingerprint") or "",
        generation=parts.catalog.meta("generation") or "",
        files=sum(file.state == "done" for file in files),
        passages=parts.catalog.count(),
        failed=sum(file.state == "failed" for file in files) + len(problems),
        replaced=sum(file.replaced > 0 for file in files),
        size=sum(sizes.values()),
        cache_size=sum(size for path, size in sizes.items() if path.name.startswith(CACHE_FILE)),
        index=parts.freshness(),
        runtime=parts.runtime(),
        problems=(*parts.catalog.problems(), *problems),
        held=tuple(sorted(Counter(file.folder for file in withheld(comparison.gone, comparison)).items())),
        set_aside=tuple(set_aside_in(parts.store_path)),
        confinement=confinement(),
        partly=tuple(Failure(file.folder, file.path, file.unread) for file in files if file.unread),
    )
