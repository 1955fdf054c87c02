"""How the configuration wants files read: which ones, within what limits, and when to read them all anew."""

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
# Ordinary code takes milliseconds and a few megabytes.
_CODE_SECONDS: Final = 5.0
_CODE_MEMORY: Final = 500_000_000
# About a million headings, blocks and links.
_STRUCTURE: Final = 50_000_000


def rules_of(config: Config) -> Rules:
    """Which files belong."""
    from kb.files.rules import Rules

    wanted = config.folders
    return Rules(
        include=wanted.include,
        exclude=wanted.exclude,
        gitignore=wanted.gitignore,
        hidden=wanted.hidden,
        follow_symlinks=wanted.follow_symlinks,
        max_bytes=int(wanted.max_file_mb * _MEGABYTE),
        max_document_bytes=int(config.documents.max_file_mb * _MEGABYTE),
    )


def limits_of(config: Config) -> Limits:
    """What reading one document that is not plain text may cost."""
    from kb.sandbox.protocol import Limits

    wanted = config.documents
    return Limits(
        seconds=wanted.seconds,
        memory=int(wanted.memory_mb * _MEGABYTE),
        text=int(wanted.text_mb * _MEGABYTE),
        ocr=wanted.ocr_languages if wanted.ocr else "",
        ocr_seconds=wanted.ocr_seconds,
    )


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """The child processes in which files are parsed by libraries that a hostile file can crash.

    Source code has one of its own: it needs a fraction of what documents need, and starts four times as fast. So have
    long texts, whose parsers are those of this process.
    """

    documents: Sandbox
    code: Sandbox
    texts: Sandbox

    def close(self) -> None:
        """End them. They are started again when needed."""
        self.documents.close()
        self.code.close()
        self.texts.close()


def sandboxes_of(config: Config) -> Sandboxes:
    """The sandboxes with their limits; no process is started yet."""
    from kb.formats.source import PARSER
    from kb.sandbox.pool import Sandbox

    return Sandboxes(
        Sandbox(limits_of(config)),
        Sandbox(code_limits_of(config), own=(PARSER,)),
        Sandbox(text_limits_of(config), ["kb.formats.isolated"], own=()),
    )


def reader_of(config: Config, tokens: TokenCounter, sandboxes: Sandboxes, edit: Edit | None) -> Reader:
    """What reads files of every format and splits them, measuring in the model's own tokens."""
    from kb.chunking.split import Chunker
    from kb.formats.binary import ForeignFormats
    from kb.formats.isolated import LongTexts
    from kb.formats.reader import DocumentReader
    from kb.formats.source import SourceCode

    return DocumentReader(
        Chunker(tokens, config.chunk.max_tokens, config.documents.seconds),
        edit,
        ForeignFormats(sandboxes.documents, ocr=config.documents.ocr),
        SourceCode(sandboxes.code),
        LongTexts(sandboxes.texts),
    )


def code_limits_of(config: Config) -> Limits:
    """What finding the structure of source code may cost: less than a document."""
    from kb.sandbox.protocol import Limits

    most = limits_of(config)
    return Limits(min(most.seconds, _CODE_SECONDS), min(most.memory, _CODE_MEMORY), most.text)


def text_limits_of(config: Config) -> Limits:
    """What parsing one long text may cost; its structure comes out beside it."""
    from kb.sandbox.protocol import Limits

    most = limits_of(config)
    return Limits(most.seconds, most.memory, int(config.folders.max_file_mb * _MEGABYTE) + _STRUCTURE)


def reading_of(config: Config, model: str) -> ReadingRules:
    """The version of the rules by which files are read: where it changes, files of that format are read again.

    Args:
        config: The configuration.
        model: The fingerprint of the embedding model, in whose tokens passages are measured.
    """
    from kb.formats.fingerprint import Fingerprints

    limits = limits_of(config)
    scans = f"{limits.ocr} {limits.ocr_seconds:g}s {shutil.which('tesseract')}" if limits.ocr else ""
    allowed = f"{limits.seconds:g}s {limits.memory} {limits.text}"
    return Fingerprints(f"max_tokens={config.chunk.max_tokens} {allowed} {model}", scans)
