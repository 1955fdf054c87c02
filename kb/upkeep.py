"""What a store needs now and then: its vector index made anew, and what was set aside as damaged removed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kb.errors import CatalogDamaged, StoreError
from kb.index.middles import fill_middles
from kb.index.rebuild import put_off, worn_out
from kb.index.write import Stopped
from kb.records import RebuildReport
from kb.store.damage import remove_set_aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.container import Container
    from kb.records import FileEvent, IndexReport


def rebuilt(container: Container, on_event: Callable[[FileEvent], None] | None) -> RebuildReport:
    """Make the vector index again because somebody asked for it, and remove what was set aside as damaged.

    Only what was asked for removes that: it holds the text of notes, those deleted since among them, and until then it
    is there for whoever wants to know what happened.
    """
    report = _renewed(container, on_event, _never)
    remove_set_aside(container.store_path)
    return report


def tidied(
    container: Container,
    report: IndexReport,
    on_event: Callable[[FileEvent], None] | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    """See to what an index run leaves behind: other passages to measure by, and dead ones in the vector index.

    The run itself is over and went well: an index that cannot be made anew stays as it is, and is told.
    """
    if not report.interrupted:
        fill_middles(container.catalog, container.cache, container.embedder.fingerprint)
    # Whoever stopped a run does not want to wait for this; the run that goes on comes here.
    if report.embedded and not report.interrupted:
        container.searcher.measure()
    dead = worn_out(container.catalog, report.dropped)
    if not dead or report.interrupted:
        return
    container.warn(f"the vector index still held {dead} deleted passages: it is made anew")
    try:
        _renewed(container, on_event, should_stop or _never)
    except Stopped:
        # The index of before is served as ever; the end of the next run comes here again.
        return
    except CatalogDamaged:
        raise
    except StoreError as error:
        put_off(container.catalog, dead)
        container.warn(
            f"the vector index could not be made anew ({error.message}); it stays as it is until it holds "
            f"{2 * dead} deleted passages, or kb rebuild is run"
        )


def _renewed(
    container: Container, on_event: Callable[[FileEvent], None] | None, should_stop: Callable[[], bool]
) -> RebuildReport:
    """Make the vector index again from catalog and cache, and index what the cache lacks.

    Raises:
        Stopped: The user asked to stop before the new index was filled; the old one is served on.
    """
    started = time.monotonic()
    generation = container.vectors.rebuild(should_stop=should_stop)
    container.catalog.compact()
    report = container.indexer.run(on_event=on_event, should_stop=should_stop)
    total = container.index().count()
    return RebuildReport(
        generation=generation,
        reused=total - report.embedded,
        embedded=report.embedded,
        seconds=time.monotonic() - started,
    )


def _never() -> bool:
    return False
