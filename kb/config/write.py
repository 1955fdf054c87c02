"""Writes ``config.toml``: makes an explained file, or changes one value and keeps every other byte.

Changes are made with tomlkit, which keeps comments and layout.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from kb.config.schema import fields, sections
from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

# --- Changing a file ----------------------------------------------------------------------------------------------

_MARK = "\ufeff"


def with_folder(text: str, folder: str) -> str:
    """Add a folder to ``folders.paths`` of a configuration.

    Raises:
        ConfigError: It is not valid TOML, or ``folders.paths`` is not a list.
    """

    def add(section: MutableMapping[str, Any]) -> None:
        if "paths" in section:
            section["paths"].append(folder)
        else:
            section["paths"] = [folder]

    return _changed(text, "folders", add)


def with_value(text: str, key: str, value: str) -> str:
    """Set the value of a dotted key of a configuration to a text.

    Raises:
        ConfigError: It is not valid TOML.
    """
    section, _, name = key.partition(".")

    def put(values: MutableMapping[str, Any]) -> None:
        values[name] = value

    return _changed(text, section, put)


def _changed(text: str, section: str, change: Callable[[MutableMapping[str, Any]], None]) -> str:
    """Change a section of a configuration; a missing one is added at the end."""
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


# --- Making a file ------------------------------------------------------------------------------------------------

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
    """Return a ``config.toml`` with every key explained and set.

    Args:
        values: Values that replace defaults, by dotted key (``folders.paths``).
    """
    values = values or {}
    return _rendered(_HEAD, {field.key: values.get(field.key, field.default) for field in fields()})


def render_own(values: Mapping[str, object]) -> str:
    """Return a ``config.toml`` with some values by dotted key, and all other keys explained and commented out."""
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
    """Format a value as TOML. A JSON string is a TOML string unless it escapes characters beyond 16 bits."""
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
