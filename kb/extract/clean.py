"""Text without what nobody sees: controls, invisible and direction characters, and the codes of PDF line breaks."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Zero-width joiners stay where scripts and emoji need them. Tags (U+E0000) can hide whole sentences from a reader.
_INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff\U0001d173-\U0001d17a"
)
_CONTROLS: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff"
_NOTHING: Final = re.compile(f"[{_INVISIBLE}{_CONTROLS}]+")
_LINE_ENDS: Final = re.compile("\r\n?|[\u0085\u2028\u2029]")
_LIGATURES: Final = re.compile("[\ufb00-\ufb06]")
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def clean(text: str) -> str:
    """The text as a reader sees it: one kind of line end, plain spaces, letters instead of ligatures."""
    text = _NOTHING.sub("", _LINE_ENDS.sub("\n", text))
    text = _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _SPACES.sub(" ", text)


def line(text: str) -> str:
    """A text as one line without doubled spaces."""
    return " ".join(clean(text).split())
