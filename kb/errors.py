"""The exceptions of kb: each with a message, a remedy and an exit code.

KbError
├── ConfigError         the configuration cannot be used
│   └── UnknownHome     a path is below the home of a user that is not there
├── FolderError         a folder cannot be watched or indexed
├── ModelError          the embedding model is missing or invalid
│   └── ModelMismatch   the store was made by another model
├── StoreError          the store cannot be used
│   ├── StoreBusy       another process has the store open
│   ├── StoreDamaged    the vector index is broken and has to be rebuilt
│   ├── ChromaServerError  the Chroma server with the vector index cannot be used at the moment
│   ├── CatalogDamaged  the catalog is damaged and has to be refilled from the folders
│   └── ForeignStore    the folder contains a store of another program
├── BackupError         a backup cannot be written, or is not one that this kb can use
│   └── BackupDamaged   its content is not what was written
├── DocumentError       one file cannot be read (data, never fatal to a run)
│   └── DocumentBusy    it cannot be read at the moment; kb tries again
├── ServerError         another machine cannot be asked
├── ClientError         the configuration of an MCP client cannot be changed, or kb does not answer the client
├── AnswerError         the language model cannot be asked, or gave no answer that can be read
├── Cancelled           the caller gave up before the answer was complete
├── RequestError        a search request is invalid
└── NotIndexed          the requested file is not in the index
    └── AmbiguousName   several files of the index have this name
"""

from __future__ import annotations

from typing import ClassVar, Final

WAYS_TO_CONFIGURE: Final = (
    "kb init FOLDER makes your own configuration, kb init --here FOLDER one for the current folder and below; "
    "--config FILE names another"
)


class KbError(Exception):
    """Base class of kb's exceptions.

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
        """Return the message and, where there is one, the remedy."""
        end = "" if self.message.endswith("?") else "."
        return f"{self.message}{end} {self.remedy}" if self.remedy else self.message


def reason_of(error: OSError | UnicodeError) -> str:
    """Return why a file could not be read or written, without its name and the error number."""
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    return (error.strerror or str(error)).lower()


def sentence_of(error: OSError) -> str:
    """Return what the system refused and why, for an error that no part of kb has explained."""
    file = error.filename
    return f"{file}: {reason_of(error)}" if isinstance(file, str) else reason_of(error)


class ConfigError(KbError):
    """The configuration is invalid; the message lists all problems."""


class UnknownHome(ConfigError, RuntimeError):
    """A path begins with ``~name``, and there is no such user; a ``RuntimeError`` too, as ``pathlib`` raises it."""


class FolderError(KbError):
    """A folder is missing, unreadable or refused."""


class ModelError(KbError):
    """The embedding model cannot be loaded or is invalid."""


class ModelMismatch(ModelError):
    """The store was filled with another model."""


class StoreError(KbError):
    """The store cannot be read or written."""


class StoreBusy(StoreError):
    """Another process has the store open."""


class StoreDamaged(StoreError):
    """The vector index cannot be read, or its content is wrong."""


class ChromaServerError(StoreError):
    """The Chroma server that keeps the vector index cannot be used at the moment.

    It is away, slow or full, or refuses what it is sent. kb goes on without it, and completes the index later.
    """


class CatalogDamaged(StoreError):
    """The catalog is not a valid database; it can be refilled from the folders and the embedding cache."""


class ForeignStore(StoreError):
    """The store was not made by kb; kb does not write to it."""


class BackupError(KbError):
    """A backup or an export cannot be written, or is not one that this kb can use."""


class BackupDamaged(BackupError):
    """The content of a backup is not what was written."""


class DocumentError(KbError):
    """One file cannot be read; ``message`` is the reason that ``kb status --problems`` shows."""


class DocumentBusy(DocumentError):
    """A file cannot be read at the moment: it changed while being read, or its parser was killed from outside.

    What is indexed of it stays, and kb tries again.
    """


class ServerError(KbError):
    """Another machine cannot be asked: it is away, refuses the token, or is no server of kb."""


class ClientError(KbError):
    """The configuration of an MCP client cannot be changed, or kb does not answer the client."""


class AnswerError(KbError):
    """The language model cannot be asked, or what it wrote is no answer."""


class OutputError(KbError):
    """Standard output cannot be written."""


class Cancelled(KbError):
    """The caller gave up before the answer was complete."""


class RequestError(KbError):
    """A search request has a value out of range, or values that conflict."""


class NotIndexed(KbError):
    """The requested file is not in the index."""


class AmbiguousName(NotIndexed):
    """Several files of the index have this name; the message lists them."""
