"""How the configuration wants files read: which ones, within what limits, and when to read them all anew."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kb.config import Config
    from kb.extract.wire import Limits
    from kb.read.scope import Rules

# Raised whenever documents are split or described differently, so that every file is read anew by the next run.
READING: Final = 3
_MEGABYTE: Final = 1_000_000


def rules_of(config: Config) -> Rules:
    """Which files belong."""
    from kb.read.scope import Rules

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
    from kb.extract.wire import Limits

    wanted = config.documents
    return Limits(
        seconds=wanted.seconds,
        memory=int(wanted.memory_mb * _MEGABYTE),
        text=int(wanted.text_mb * _MEGABYTE),
        ocr=wanted.ocr_languages if wanted.ocr else "",
        ocr_seconds=wanted.ocr_seconds,
    )


def reading_of(config: Config) -> str:
    """All that decides what is read from a file: whatever of it changes has every file read again."""
    from kb.extract.formats import libraries

    limits = limits_of(config)
    ocr = f" ocr={limits.ocr} {limits.ocr_seconds:g}s {shutil.which('tesseract')}" if limits.ocr else ""
    documents = f"documents={','.join(libraries())} {limits.seconds:g}s {limits.memory} {limits.text}{ocr}"
    return f"{READING} max_tokens={config.chunk.max_tokens} {documents}"
