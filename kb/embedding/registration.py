"""Registers kb's embedding function with ChromaDB, so that after ``import kb`` any client can query kb's collections.

It does not import ChromaDB: the function is registered when something else does.
"""

from __future__ import annotations

import sys
import threading

from kb.silence import AfterImport

# Each ``import kb`` loads this module, so it does not import typing, and imports importlib and logging on use.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Final

CHROMADB: Final = "chromadb"
EMBEDDING_FUNCTION: Final = "kb.embedding.bge_m3"
_LOCK: Final = threading.Lock()


def register_when_imported() -> None:
    """Register kb's embedding function with ChromaDB now, or as soon as ChromaDB is imported; idempotent."""
    with _LOCK:
        chromadb = sys.modules.get(CHROMADB)
        if chromadb is None:
            if not any(isinstance(finder, AfterImport) and finder.then is _register for finder in sys.meta_path):
                sys.meta_path.insert(0, AfterImport(CHROMADB, _register))
            return
    _register(chromadb)


def _register(_: ModuleType) -> None:
    """Import the module that registers itself; log a warning if that fails with this version of ChromaDB."""
    import importlib
    import logging

    try:
        importlib.import_module(EMBEDDING_FUNCTION)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        message = "kb's embedding function could not be registered with ChromaDB (%s)"
        logging.getLogger(__name__).warning(message, error)
