"""Makes ``import kb`` enough for any ChromaDB client to query kb's collections by text.

ChromaDB is not imported for that: if and when someone imports it, kb's embedding function is registered with it.
"""

from __future__ import annotations

import sys
import threading

from kb.silence import AfterImport

# Not from typing, and importlib and logging where they are used: every ``import kb`` comes through here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Final

CHROMADB: Final = "chromadb"
EMBEDDING_FUNCTION: Final = "kb.embedding.bge_m3"
_LOCK: Final = threading.Lock()


def register_when_imported() -> None:
    """Register kb's embedding function with ChromaDB now, or as soon as ChromaDB is imported. Repeating it is free."""
    with _LOCK:
        chromadb = sys.modules.get(CHROMADB)
        if chromadb is None:
            if not any(isinstance(finder, AfterImport) and finder.then is _register for finder in sys.meta_path):
                sys.meta_path.insert(0, AfterImport(CHROMADB, _register))
            return
    _register(chromadb)


def _register(_: ModuleType) -> None:
    """Import the module that registers itself; where ChromaDB has changed too much for it, say so and leave it."""
    import importlib
    import logging

    try:
        importlib.import_module(EMBEDDING_FUNCTION)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        told = "kb's embedding function could not be registered with ChromaDB (%s)"
        logging.getLogger(__name__).warning(told, error)
