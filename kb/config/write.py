"""Writes ``config.toml``: every key with its default and its explanation."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from kb.config.schema import fields, sections
from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

# Changes one value in a ``config.toml`` and leaves every other byte of it as it is, by tomlkit.

_MARK = "\ufeff"


def with_folder(text: str, folder: str) -> str:
    """A configuration with one more folder in ``folders.paths``; comments and layout stay.

    Raises:
        ConfigError: It is no valid TOML, or ``folders.paths`` is no list.
    """

    def add(section: MutableMapping[str, Any]) -> None:
        if "paths" in section:
            section["paths"].append(folder)
        else:
            section["paths"] = [folder]

    return _changed(text, "folders", add)


def with_value(text: str, key: str, value: str) -> str:
    """A configuration with another text as the value of a dotted key; comments and layout stay.

    Raises:
        ConfigError: It is no valid TOML.
    """
    section, _, name = key.partition(".")

    def put(values: MutableMapping[str, Any]) -> None:
        values[name] = value

    return _changed(text, section, put)


def _changed(text: str, section: str, change: Callable[[MutableMapping[str, Any]], None]) -> str:
    """The text after a change to one section, which is added at the end where it is missing."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    mark = _MARK if text.startswith(_MARK) else ""
    try:
        document = tomlkit.parse(text.removeprefix(mark))
        if section not in document:
            document[section] = tomlkit.table()
        change(document[section])
    except (TOMLKitError, AttributeError, TypeError) as error:
        raise ConfigError(f"[{section}] cannot be edited: {error}", "Edit the file by hand") from error
    return mark + tomlkit.dumps(document)


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
