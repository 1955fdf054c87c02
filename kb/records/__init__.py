"""The nouns of kb: frozen values that the rooms pass to one another.

Paths of files are ``str`` as Python decodes them from the file system (``os.fsdecode``, so undecodable bytes are
lone surrogates), relative to their folder and written with ``/``. Folders are absolute real paths. Lines count from 1.
"""

from kb.records.answers import (
    Answer,
    Candidates,
    Filters,
    Freshness,
    Hit,
    Reranking,
    Shown,
    VectorRecord,
)
from kb.records.documents import (
    EXTRA,
    EXTRACTED,
    IS_IMAGE,
    SCANNED,
    Block,
    Document,
    FileChange,
    Heading,
    IdentifiedPassage,
    Passage,
    Place,
    StoredPassage,
    digest_of,
)
from kb.records.files import (
    Failure,
    FileStat,
    FileState,
    FoundFile,
    KnownFile,
    Scan,
    Source,
)
from kb.records.links import FollowedLink, Link, Links, LinkStyle, Name, folded
from kb.records.reports import (
    CheckReport,
    Difference,
    FileEvent,
    IndexProgress,
    IndexReport,
    RebuildReport,
    Status,
)

__all__ = [
    "EXTRA",
    "EXTRACTED",
    "IS_IMAGE",
    "SCANNED",
    "Answer",
    "Block",
    "Candidates",
    "CheckReport",
    "Difference",
    "Document",
    "Failure",
    "FileChange",
    "FileEvent",
    "FileStat",
    "FileState",
    "Filters",
    "FollowedLink",
    "FoundFile",
    "Freshness",
    "Heading",
    "Hit",
    "IdentifiedPassage",
    "IndexProgress",
    "IndexReport",
    "KnownFile",
    "Link",
    "LinkStyle",
    "Links",
    "Name",
    "Passage",
    "Place",
    "RebuildReport",
    "Reranking",
    "Scan",
    "Shown",
    "Source",
    "Status",
    "StoredPassage",
    "VectorRecord",
    "digest_of",
    "folded",
]
