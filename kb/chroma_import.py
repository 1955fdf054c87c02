"""Imports ChromaDB without letting the current folder or the environment decide how it works.

ChromaDB reads ``./.env`` and the environment while it is imported, and imports the classes that are named there.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kb.silence import CHROMADB_SETTINGS, AfterImport

if TYPE_CHECKING:
    from types import ModuleType

    from chromadb.config import Settings

CONFIG: Final = "chromadb.config"
_LOCK: Final = threading.RLock()
# From malloc.h of glibc: what is allocated is filled with the complement of this byte, what is freed with the byte.
_M_PERTURB: Final = -6
_ALL_ONES: Final = 0xFF


def import_chromadb() -> ModuleType:
    """Import ChromaDB with its own defaults, whatever ``.env`` or the environment say.

    It changes neither the current folder nor the environment, so other threads see nothing of it. Where ChromaDB was
    imported before, that module is given back; pass ``safe_settings()`` to every client either way.
    """
    # Without the lock: a thread that imports ChromaDB by itself comes here while it holds the import's own lock.
    if "chromadb" in sys.modules:
        return importlib.import_module("chromadb")
    with _LOCK:
        _start_memory_empty()
        hook = AfterImport(CONFIG, _defaults_only)
        sys.meta_path.insert(0, hook)
        try:
            return importlib.import_module("chromadb")
        finally:
            if hook in sys.meta_path:
                sys.meta_path.remove(hook)
            _as_before()


def safe_settings(**values: object) -> Settings:
    """ChromaDB's settings with telemetry off and the given values, and nothing from ``.env`` or the environment.

    Raises:
        TypeError: ChromaDB has no setting of that name.
    """
    import_chromadb()
    from chromadb.config import Settings

    if unknown := values.keys() - Settings.model_fields.keys():
        raise TypeError(f"ChromaDB has no setting {', '.join(sorted(unknown))}")
    # The one way to make settings that reads neither a file nor the environment.
    chosen: dict[str, Any] = CHROMADB_SETTINGS | values
    return Settings.model_construct(**chosen)


def _start_memory_empty() -> None:
    """Let memory that is allocated from here on hold zeros, not what the process freed before.

    ChromaDB's HNSW index writes its arrays to disk whole, and their unused part is memory as it was allocated: texts
    that were freed, of notes that are deleted by now, would come to lie on the disk that way. Another C library has no
    such function, or does nothing.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_PERTURB, _ALL_ONES)


def _defaults_only(config: ModuleType) -> None:
    """Let settings be made from arguments alone while the rest of ChromaDB is imported."""

    def arguments_only(_: type, init_settings: object, **__: object) -> tuple[object, ...]:
        return (init_settings,)

    config.Settings.settings_customise_sources = arguments_only


def _as_before() -> None:
    """Give settings their usual sources back, for programs that use ChromaDB beside kb."""
    settings = getattr(sys.modules.get(CONFIG), "Settings", None)
    if settings is not None and "settings_customise_sources" in vars(settings):
        del settings.settings_customise_sources
