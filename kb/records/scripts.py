"""The characters of scripts whose words are not set apart by spaces, as ranges for a pattern."""

from __future__ import annotations

from typing import Final

THREES: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Myanmar, Khmer: scripts of many signs to a word, which is told by three in a row."""

TWOS: Final = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Kana and the marks of repetition
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7af"  # Hangul: Korean words grow by endings
)
"""Chinese, Japanese and Korean: a word is told by two in a row."""

SPACELESS: Final = THREES + TWOS
"""All of them."""
