"""Every error kb raises on purpose: what happened, what to do about it, and the exit code.

KbError
├── ConfigError         the configuration cannot be used
├── FolderError         a folder cannot be watched or indexed
├── ModelError          the embedding model cannot be had, or is not what it claims to be
│   └── ModelMismatch   the store was made by another model
├── StoreError          the store cannot be used
│   ├── StoreBusy       another process owns the store
│   ├── StoreDamaged    the vector index is broken and has to be rebuilt
│   ├── CatalogDamaged  the catalog is broken and has to be filled again from the folder
│   └── ForeignStore    the folder holds a store that kb did not make
├── DocumentError       one file cannot be read (data, never fatal to a run)
│   └── DocumentBusy    it cannot be read at this moment, and is tried again
├── RequestError        a search asks for what cannot be
└── NotIndexed          the file asked for is not in the index
    └── AmbiguousName   several files of the index are called so
"""

from __future__ import annotations

from typing import ClassVar, Final

WAYS_TO_CONFIGURE: Final = (
    "kb init FOLDER makes your own configuration, kb init --here FOLDER one for the current folder and below; "
    "--config FILE names another"
)


class KbError(Exception):
    """Base of all errors kb raises on purpose.

    Args:
        message: One sentence that says what is wrong, without a final full stop.
        remedy: What the user can do about it, or an empty string.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """The sentence and, where there is one, the remedy."""
        end = "" if self.message.endswith("?") else "."
        return f"{self.message}{end} {self.remedy}" if self.remedy else self.message


def why(error: OSError | UnicodeError) -> str:
    """Why a file could not be read or written, without its name and the system's number, which say nothing more."""
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    return (error.strerror or str(error)).lower()


class ConfigError(KbError):
    """The configuration has mistakes; the message lists all of them."""


class FolderError(KbError):
    """A folder is missing, unreadable or refused."""


class ModelError(KbError):
    """The embedding model cannot be loaded, or does not behave as its kind must."""


class ModelMismatch(ModelError):
    """The store holds vectors of another model."""


class StoreError(KbError):
    """The store cannot be read or written."""


class StoreBusy(StoreError):
    """Another process owns the store."""


class StoreDamaged(StoreError):
    """The vector index does not answer, or not with what was put into it."""


class CatalogDamaged(StoreError):
    """The catalog is no sound database; the folders and the embedding cache give back what was in it."""


class ForeignStore(StoreError):
    """The store was not made by kb, and kb does not touch it."""


class DocumentError(KbError):
    """One file cannot be read; ``message`` is the reason that ``kb status --problems`` shows."""


class DocumentBusy(DocumentError):
    """A file cannot be read at this moment, for a reason that is not its own: it is left as it was, and tried again.

    It changed while it was read, or the process that parsed it was ended from outside.
    """


class RequestError(KbError):
    """A search asks for something out of its range, or for two things that contradict each other."""


class NotIndexed(KbError):
    """The file asked for is not in the index."""


class AmbiguousName(NotIndexed):
    """Several files of the index are called so; the message lists them."""
