"""Passages as a language model is given them, and a model that writes what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import llm

from kb.answers.passages import SourceText
from kb.records import FileStat, KnownFile, StoredPassage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def stored(text: str, number: int = 1, ordinal: int = 0, line: int = 1) -> StoredPassage:
    """A passage of the file ``<number>.md``."""
    file = KnownFile(number, "/notes", f"{number}.md", FileStat(1, 1, 1, 1, 1), b"", 0, "done", kind="markdown")
    last = line + text.count("\n")
    return StoredPassage(f"{number}-x-{ordinal}", file, text, (), line, last, None, b"", ordinal)


def source(text: str, number: int = 1, line: int = 1) -> SourceText:
    """A source of one passage."""
    return SourceText(number, number, f"{number}.md", "", (stored(text, number, line=line),))


class FakeModel(llm.Model):
    """A model of llm that writes what a function of the user message gives, in chunks.

    Attributes:
        finish_reason: Why it ended, as an OpenAI-compatible server says it.
    """

    model_id = "fake"
    finish_reason = "stop"
    can_stream = True
    supports_schema = True

    def __init__(self, write: Callable[[str], Iterator[str]]) -> None:
        self._write = write
        self.prompts: list[Any] = []

    def execute(self, prompt: Any, *, response: Any, **_: Any) -> Iterator[str]:  # type: ignore[override]  # see llm
        """Write."""
        self.prompts.append(prompt)
        yield from self._write(prompt.prompt)
        response.response_json = {"finish_reason": self.finish_reason}
