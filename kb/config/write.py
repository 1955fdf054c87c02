"""Writes ``config.toml``: every key with its default and its explanation."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from kb.config.schema import fields, sections

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH = 100
_OVERRIDES = """\
# Any of them can be overridden: KB_SECTION__KEY in the environment (KB_EMBED__MODEL=...), or kb -s section.key=value.
"""
_HEAD = f"""\
# The configuration of kb. Every key is here with its default; a key that is left out keeps its default.
{_OVERRIDES}"""
_OWN_HEAD = f"""\
# The configuration of kb. What is commented out has its default, which may get better with kb; uncomment it to keep it.
{_OVERRIDES}"""


def render_default(values: Mapping[str, object] | None = None) -> str:
    """A whole explained ``config.toml``, with some values replaced.

    Args:
        values: What stands in place of the defaults, by dotted key (``folders.paths``).
    """
    values = values or {}
    return _rendered(_HEAD, {field.key: values.get(field.key, field.default) for field in fields()})


def render_own(values: Mapping[str, object]) -> str:
    """A user's ``config.toml``: these values by dotted key, and all other keys explained but commented out."""
    return _rendered(_OWN_HEAD, values)


def _rendered(head: str, values: Mapping[str, object]) -> str:
    parts = [head]
    section = ""
    for field in fields():
        if field.section != section:
            section = field.section
            parts.append(f"\n# {sections()[section].__doc__}\n[{section}]")
        wrapped = textwrap.wrap(field.about, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        parts.append("\n" + "\n".join(wrapped))
        line = f"{field.name} = {_toml(values.get(field.key, field.default))}"
        parts.append(line if field.key in values else textwrap.indent(line, "# "))
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
