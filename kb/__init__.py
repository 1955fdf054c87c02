"""kb: a folder of files, searchable by meaning, on your own machine.

``KnowledgeBase`` is the API, ``AsyncKnowledgeBase`` the same as coroutines, and ``RemoteKnowledgeBase`` asks another
machine; the rest are the values that they take
and give and the errors that they raise (``kb.errors``). Importing ``kb`` is cheap: each name is loaded when it is first
used. ``BgeM3EmbeddingFunction`` is registered with ChromaDB as soon as both are imported, so that any ChromaDB client
can query kb's collections by text. With ``import kb``, the telemetry of the libraries that kb uses is off in this
process.
"""

from __future__ import annotations

from kb.embedding.registration import register_when_imported
from kb.silence import silence_libraries

# Not from typing, whose import would cost a command that only asks a running owner a tenth of its time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from kb.api.remote import RemoteKnowledgeBase
    from kb.async_knowledge_base import AsyncKnowledgeBase
    from kb.config import Settings
    from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
    from kb.errors import KbError
    from kb.knowledge_base import KnowledgeBase
    from kb.records import (
        Answer,
        FileText,
        Filters,
        Hit,
        IndexReport,
        Links,
        Mode,
        Reply,
        SearchRequest,
        Status,
        StoredPassage,
    )

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "AsyncKnowledgeBase",
    "BgeM3EmbeddingFunction",
    "FileText",
    "Filters",
    "Hit",
    "IndexReport",
    "KbError",
    "KnowledgeBase",
    "Links",
    "Mode",
    "RemoteKnowledgeBase",
    "Reply",
    "SearchRequest",
    "Settings",
    "Status",
    "StoredPassage",
]

_HOMES = {
    "Answer": "kb.records",
    "AsyncKnowledgeBase": "kb.async_knowledge_base",
    "BgeM3EmbeddingFunction": "kb.embedding.bge_m3",
    "FileText": "kb.records",
    "Filters": "kb.records",
    "Hit": "kb.records",
    "IndexReport": "kb.records",
    "KbError": "kb.errors",
    "KnowledgeBase": "kb.knowledge_base",
    "Links": "kb.records",
    "Mode": "kb.records",
    "RemoteKnowledgeBase": "kb.api.remote",
    "Reply": "kb.records",
    "SearchRequest": "kb.records",
    "Settings": "kb.config",
    "Status": "kb.records",
    "StoredPassage": "kb.records",
}

silence_libraries()
register_when_imported()


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
