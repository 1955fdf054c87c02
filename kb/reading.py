"""Makes what reads files from the configuration: rules, limits, sandboxes, the reader and the version of reading."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kb.config import Config
    from kb.files.rules import Rules
    from kb.ports import Edit, Reader, ReadingRules, TokenCounter
    from kb.sandbox.pool import Sandbox
    from kb.sandbox.protocol import Limits

_MEGABYTE: Final = 1_000_000
# Ordinary source code takes milliseconds and a few megabytes.
_CODE_SECONDS: Final = 5.0
_CODE_MEMORY: Final = 500_000_000
# In bytes; about a million headings, blocks and links.
_STRUCTURE: Final = 50_000_000
# Limits that no file reaches. A configuration may say inf, and poll() takes no more than 24 days.
_MOST_BYTES: Final = 10**15
_MOST_SECONDS: Final = 10.0**6


def rules_of(config: Config) -> Rules:
    """Return the rules that decide which files belong."""
    from kb.files.rules import Rules

    folders = config.folders
    return Rules(
        include=folders.include,
        exclude=folders.exclude,
        gitignore=folders.gitignore,
        hidden=folders.hidden,
        follow_symlinks=folders.follow_symlinks,
        max_bytes=_bytes(folders.max_file_mb),
        max_document_bytes=_bytes(config.documents.max_file_mb),
    )


def limits_of(config: Config) -> Limits:
    """Return the limits for reading a document that is not plain text."""
    from kb.sandbox.protocol import Limits

    documents = config.documents
    return Limits(
        seconds=min(documents.seconds, _MOST_SECONDS),
        memory=_bytes(documents.memory_mb),
        text=_bytes(documents.text_mb),
        ocr=documents.ocr_languages if documents.ocr else "",
        ocr_seconds=min(documents.ocr_seconds, _MOST_SECONDS),
    )


def _bytes(megabytes: float) -> int:
    return int(min(megabytes * _MEGABYTE, _MOST_BYTES))


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """The child processes that parse files.

    Attributes:
        documents: Parses formats that are not plain text.
        code: Parses source code; it needs a fraction of the memory and starts four times as fast.
        texts: Parses long texts, with the readers of plain text.
    """

    documents: Sandbox
    code: Sandbox
    texts: Sandbox

    def close(self) -> None:
        """Stop the processes. They are started again when needed."""
        self.documents.close()
        self.code.close()
        self.texts.close()


def sandboxes_of(config: Config) -> Sandboxes:
    """Make the sandboxes with their limits; no process is started yet."""
    from kb.formats.source import PARSER
    from kb.sandbox.pool import Sandbox

    return Sandboxes(
        Sandbox(limits_of(config)),
        Sandbox(code_limits_of(config), [PARSER]),
        Sandbox(text_limits_of(config), ["kb.formats.isolated"]),
    )


def reader_of(config: Config, tokens: TokenCounter, sandboxes: Sandboxes, edit: Edit | None) -> Reader:
    """Make the reader of all formats, which splits documents by the tokens of the model."""
    from kb.chunking.split import Chunker
    from kb.formats.binary import BinaryFormats
    from kb.formats.isolated import LongTexts
    from kb.formats.reader import DocumentReader
    from kb.formats.source import SourceCode

    return DocumentReader(
        Chunker(tokens, config.chunk.max_tokens, config.documents.seconds),
        edit,
        BinaryFormats(sandboxes.documents, ocr=config.documents.ocr),
        SourceCode(sandboxes.code),
        LongTexts(sandboxes.texts),
    )


def code_limits_of(config: Config) -> Limits:
    """Return the limits for parsing source code, which are lower than those of documents."""
    from kb.sandbox.protocol import Limits

    most = limits_of(config)
    return Limits(min(most.seconds, _CODE_SECONDS), min(most.memory, _CODE_MEMORY), most.text)


def text_limits_of(config: Config) -> Limits:
    """Return the limits for parsing a long text; the result includes its structure."""
    from kb.sandbox.protocol import Limits

    most = limits_of(config)
    return Limits(most.seconds, most.memory, _bytes(config.folders.max_file_mb) + _STRUCTURE)


def reading_of(config: Config, model: str) -> ReadingRules:
    """Return the versions of all formats; files of a format whose version changes are read again.

    Args:
        config: The configuration.
        model: The fingerprint of the embedding model, whose tokens the limit of passages counts.
    """
    from kb.formats.fingerprint import Fingerprints

    limits = limits_of(config)
    scans = f"{limits.ocr} {limits.ocr_seconds:g}s {shutil.which('tesseract')}" if limits.ocr else ""
    allowed = f"{limits.seconds:g}s {limits.memory} {limits.text}"
    return Fingerprints(f"max_tokens={config.chunk.max_tokens} {allowed} {model}", scans)
