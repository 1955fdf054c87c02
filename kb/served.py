"""Tells whoever wants a store that ``kb watch`` has it: that keeps it for as long as it runs, and can be asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kb.errors import StoreBusy
from kb.serve.client import connect

if TYPE_CHECKING:
    from kb.config import Settings


def refuse_served(settings: Settings) -> None:
    """See that nobody waits for a store that is served.

    Raises:
        StoreBusy: ``kb watch`` has it.
    """
    store = settings.store_path()
    connection = connect(store, os.environ)
    if connection is None:
        return
    connection.socket.close()
    kb = settings.command()
    raise StoreBusy(
        f"kb watch{f' (process {connection.pid})' if connection.pid else ''} has the store at {store}",
        f"Ask it, as {kb} search QUESTION --json, or end it first: {kb} watch --stop",
    )
