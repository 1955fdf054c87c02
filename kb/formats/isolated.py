"""Long texts are parsed in a child process: what their markup makes of them has a limit of time and memory there.

Most notes are short, and read before a message to another process would have come back. A file of some length can be
made so that its parser takes minutes or gigabytes, in whatever format; so beyond ``LONG`` the same code runs in a
process like the one for documents (``kb.sandbox.worker`` loads this module), and the whole document comes out of it.
"""

from __future__ import annotations

import codecs
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from kb.errors import DocumentError
from kb.formats import text as plain
from kb.formats.builder import Unreadable
from kb.formats.decode import LEGACY
from kb.formats.registry import REGISTRY
from kb.records import Document

if TYPE_CHECKING:
    from kb.formats.builder import Draft
    from kb.sandbox.protocol import Extracts, Limits

# Up to this many bytes the costliest text that was found takes a second or two, beside other work.
LONG: Final = 100_000
_DECODER: Final = msgspec.json.Decoder(Document)
# What the parts load that formats share: front matter in TOML, titles and dates from the name, other markup in it.
_SAMPLES: Final = {
    "y.md": "+++\ntitle = 'x'\n+++\nx\n",
    "a%2Fb.md": "x\n",
}


class LongTexts:
    """Reads long texts by a sandbox.

    Args:
        sandbox: Where they are parsed; this module has to be among those it loads.
    """

    def __init__(self, sandbox: Extracts) -> None:
        self._sandbox = sandbox

    def read(self, path: str, data: bytes) -> Document:
        """The document in a file, as ``kb.formats.text.extract`` gives it.

        Raises:
            DocumentBusy: It cannot be read now, for a reason that is not its own.
            DocumentError: It is no text, or is over a limit.
        """
        if len(data) <= LONG:
            return plain.extract(path, data)
        # Bytes of a name that are no text must reach the other side all the same.
        named = path.encode("utf-8", "surrogatepass").decode("latin-1")
        told = self._sandbox.extract(__name__, named, data)
        try:
            return _DECODER.decode(told.text)
        except msgspec.DecodeError as error:
            raise DocumentError(f"cannot be read: what came out of it makes no sense ({error})") from error


def prepare() -> None:
    """Load whatever any of the parsers needs, and every encoding that a text may turn out to be in."""
    formats = {f"x{one.suffixes[0]}": one.sample for one in REGISTRY.rows if one.how in {"text", "document"}}
    for path, text in (formats | _SAMPLES).items():
        plain.extract(path, text.encode())
    plain.extract("x.txt", "Grüße aus Köln, schöne Größe".encode("cp1252"))
    plain.extract("x.txt", "Привет, как дела сегодня".encode("cp1251"))
    by_sight, wide = ("iso2022_jp_ext", "cp874"), ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    for encoding in (*LEGACY, *by_sight, *wide, "utf-8-sig", "latin-1", "ascii"):
        codecs.lookup(encoding)


def extract(name: str, data: bytes, draft: Draft, limits: Limits) -> None:
    """Put a whole document into the draft, encoded.

    Raises:
        Unreadable: It is no text, or has no end of structure.
    """
    path = name.encode("latin-1").decode("utf-8", "surrogatepass")
    try:
        document = plain.extract(path, data)
    except DocumentError as error:
        raise Unreadable(error.message, error.remedy) from error
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:  # a lone half of a character, as JSON can spell it
        whole = document.text.encode("utf-8", "replace").decode()
        encoded = msgspec.json.encode(replace(document, text=whole))
    if len(encoded) > limits.text:
        raise Unreadable("has more structure than text: nearly every character is markup", "Exclude the file")
    draft.encoded(encoded.decode())
