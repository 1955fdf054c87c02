"""Writes ``config.toml``: every key with its default and its explanation."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from kb.config.schema import fields, sections

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH = 100
_HEAD = """\
# The configuration of kb. Every key is here with its default; a key that is left out keeps its default.
# Any of them can be overridden: KB_SECTION__KEY in the environment (KB_EMBED__MODEL=...), or kb -s section.key=value.
"""


def render_default(values: Mapping[str, object] | None = None) -> str:
    """A whole commented ``config.toml``, with some values replaced.

    Args:
        values: What stands in place of the defaults, by dotted key (``folders.paths``).
    """
    values = values or {}
    parts = [_HEAD]
    section = ""
    for field in fields():
        if field.section != section:
            section = field.section
            parts.append(f"\n# {sections()[section].__doc__}\n[{section}]")
        wrapped = textwrap.wrap(field.about, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        parts.append("\n" + "\n".join(wrapped))
        parts.append(f"{field.name} = {_toml(values.get(field.key, field.default))}")
    return "\n".join(parts) + "\n"


def _toml(value: object) -> str:
    """A value in TOML. JSON strings are TOML strings as long as nothing beyond the basic plane is escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        one_line = f"[{', '.join(_toml(part) for part in value)}]"
        if len(one_line) <= _WIDTH:
            return one_line
        return "[\n" + "".join(f"  {_toml(part)},\n" for part in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
