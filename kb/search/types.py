"""What the kinds of files are called in a question: ``--type markdown``, ``--type python``, ``--type .tex``."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kb.records import KnownFile

# A type is also the name of its suffixes, and every suffix is a type of its own.
_TYPES: Final[dict[str, str]] = {
    "markdown": "md markdown mdown mkd mkdn mdx qmd rmd",
    "org": "org",
    "rst": "rst rest",
    "asciidoc": "adoc asciidoc asc",
    "text": "txt text log",
    "canvas": "canvas",
    "pdf": "pdf",
    "word": "doc docx docm odt rtf pages",
    "slides": "ppt pptx odp key",
    "sheet": "xls xlsx xlsm ods csv tsv numbers",
    "mail": "eml emlx msg mbox mbx",
    "calendar": "ics ical vcs",
    "contact": "vcf vcard",
    "note": "enex",
    "ebook": "epub fb2 mobi azw3 djvu",
    "notebook": "ipynb",
    "web": "html htm xhtml mhtml mht",
    "subtitles": "srt vtt",
    "latex": "tex bib sty",
    "data": "json jsonl json5 yaml yml toml xml ini cfg conf properties",
    "image": "png jpg jpeg gif webp bmp tif tiff heic avif svg ico psd",
    "python": "py pyi pyx",
    "javascript": "js mjs cjs jsx vue svelte",
    "typescript": "ts tsx",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx",
    "csharp": "cs",
    "java": "java",
    "kotlin": "kt kts",
    "go": "go",
    "rust": "rs",
    "swift": "swift",
    "ruby": "rb",
    "php": "php",
    "perl": "pl pm",
    "lua": "lua",
    "haskell": "hs",
    "scala": "scala",
    "julia": "jl",
    "shell": "sh bash zsh fish ps1 bat cmd",
    "sql": "sql",
    "css": "css scss sass less",
    "lisp": "el lisp scm clj cljs rkt",
}
_CODE: Final = (
    "python", "javascript", "typescript", "c", "cpp", "csharp", "java", "kotlin", "go", "rust", "swift", "ruby", "php",
    "perl", "lua", "haskell", "scala", "julia", "shell", "sql", "css", "lisp",
)  # fmt: skip
# Every type but the single suffixes and ``code``.
TYPE_NAMES: Final = tuple(_TYPES)
_MORE_CODE: Final = (
    "groovy m mm r ml mli fs fsx ex exs erl elm dart zig nim d pas f90 f95 asm s graphql proto tf nix gradle cmake mk "
    "dockerfile diff patch vim v vhd"
)


@cache
def _suffixes() -> dict[str, frozenset[str]]:
    """The suffixes of each type; those of ``code`` are of any programming language."""
    types = {name: frozenset(suffixes.split()) for name, suffixes in _TYPES.items()}
    types["code"] = frozenset(_MORE_CODE.split()).union(*(types[name] for name in _CODE))
    return types


@cache
def _names() -> frozenset[str]:
    """Every word that is a type."""
    return frozenset(_suffixes()).union(*_suffixes().values())


def type_named(word: str) -> str:
    """A type as it is kept in filters: in small letters, with the ``!`` that leaves it out.

    Raises:
        ValueError: There is no such type. A suffix that kb does not know has to be written with its dot.
    """
    sign, name = ("!", word[1:]) if word.startswith("!") else ("", word)
    name = name.strip().lower()
    if name in _names() or (name.startswith(".") and len(name) > 1):
        return sign + name
    near = near_types(name)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"write one of {', '.join(_suffixes())}, or a suffix such as .tex"
    )
    raise ValueError(f"{name!r} is no type: {hint}")


def near_types(name: str) -> list[str]:
    """The types that are called almost like this, the nearest first."""
    return difflib.get_close_matches(name.removeprefix("!").strip().lower(), _suffixes(), n=2, cutoff=0.6)


def is_of_type(file: KnownFile, name: str) -> bool:
    """Whether a file is of a type: by its suffix, or by what it was read as.

    ``code`` is what its suffix says: text in a format without a reader of its own is kept as code too.
    """
    _, dot, suffix = file.path.rpartition("/")[2].lower().rpartition(".")
    suffix = suffix if dot else ""
    name = name.removeprefix(".")
    if suffix in _suffixes().get(name, frozenset()) or suffix == name:
        return True
    return file.kind == name and (name != "code" or suffix not in _names())
