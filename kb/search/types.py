"""Names of file types in filters: ``--type markdown``, ``--type python``, ``--type .tex``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from kb.records import KnownFile


def type_named(word: str) -> str:
    """Return the canonical name of a type: in lower case, with a leading ``!`` where it excludes.

    Raises:
        ValueError: There is no such type. A suffix that kb does not know has to be written with its dot.
    """
    sign, name = ("!", word[1:]) if word.startswith("!") else ("", word)
    name = name.strip().lower()
    if name in REGISTRY.words or (name.startswith(".") and len(name) > 1):
        return sign + name
    near = near_types(name)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"write one of {', '.join(REGISTRY.types)}, or a suffix such as .tex"
    )
    raise ValueError(f"{name!r} is no type: {hint}")


def near_types(name: str) -> list[str]:
    """Return the types with similar names, the most similar first."""
    return difflib.get_close_matches(name.removeprefix("!").strip().lower(), REGISTRY.types, n=2, cutoff=0.6)


def is_of_type(file: KnownFile, name: str) -> bool:
    """Whether a file is of a type, by its suffix or its kind.

    ``code`` is decided by the suffix, since text in a format without its own reader has the kind code too.
    """
    _, dot, suffix = file.path.rpartition("/")[2].lower().rpartition(".")
    suffix = suffix if dot else ""
    name = name.removeprefix(".")
    if suffix in REGISTRY.types.get(name, frozenset()) or suffix == name:
        return True
    return file.kind == name and (name != "code" or suffix not in REGISTRY.words)
