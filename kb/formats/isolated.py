"""Reads long texts in a child process, with limits of time and memory.

A long file in any format can be crafted so that its parser takes minutes or gigabytes. Files over ``LONG`` bytes are
therefore read in a sandbox, by the same code: ``kb.sandbox.worker`` loads this module, and returns whole documents.
Short files are read in this process, which takes less time than a message to another.
"""

from __future__ import annotations

import codecs
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from kb.errors import DocumentError
from kb.formats import charset
from kb.formats import text as plain
from kb.formats.builder import Unreadable
from kb.formats.decode import ESCAPES
from kb.formats.registry import REGISTRY
from kb.records import Document

if TYPE_CHECKING:
    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Extracts, Limits

# In bytes. The costliest text of this size that was found takes a second or two on a busy machine.
LONG: Final = 100_000
_DECODER: Final = msgspec.json.Decoder(Document)
# Files that load what formats share: front matter in TOML, and names with escapes.
_SAMPLES: Final = {
    "y.md": "+++\ntitle = 'x'\n+++\nx\n",
    "a%2Fb.md": "x\n",
}


class LongTexts:
    """Reads texts, the long ones in a sandbox.

    Args:
        sandbox: The sandbox, which has to load this module.
    """

    def __init__(self, sandbox: Extracts) -> None:
        self._sandbox = sandbox

    def read(self, path: str, data: bytes) -> Document:
        """Read the document in a file, as ``kb.formats.text.extract`` does.

        Raises:
            DocumentBusy: It cannot be read now, for a reason that lies outside the file.
            DocumentError: It is not text, or is over a limit.
        """
        if len(data) <= LONG:
            return plain.extract(path, data)
        # A name may hold bytes that are not UTF-8.
        named = path.encode("utf-8", "surrogatepass").decode("latin-1")
        extracted = self._sandbox.extract(__name__, named, data)
        try:
            return _DECODER.decode(extracted.text)
        except msgspec.DecodeError as error:
            raise DocumentError(f"cannot be read: what came out of it makes no sense ({error})") from error


def prepare() -> None:
    """Load all parsers and encodings that reading a text may need."""
    formats = {f"x{one.suffixes[0]}": one.sample for one in REGISTRY.rows if one.how in {"text", "document"}}
    for path, text in (formats | _SAMPLES).items():
        plain.extract(path, text.encode())
    charset.prepare()
    wide = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    for encoding in (*ESCAPES, *wide, "utf-8-sig", "latin-1", "ascii"):
        codecs.lookup(encoding)


def extract(name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
    """Read a document and give it to the builder, encoded as JSON.

    Raises:
        Unreadable: It is not text, or has too much structure.
    """
    path = name.encode("latin-1").decode("utf-8", "surrogatepass")
    try:
        document = plain.extract(path, data)
    except DocumentError as error:
        raise Unreadable(error.message, error.remedy) from error
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold as an escape
        whole = document.text.encode("utf-8", "replace").decode()
        encoded = msgspec.json.encode(replace(document, text=whole))
    if len(encoded) > limits.text:
        raise Unreadable("has more structure than text: nearly every character is markup", "Exclude the file")
    builder.set_encoded(encoded.decode())
