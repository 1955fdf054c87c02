"""Changes one value in a ``config.toml`` and leaves every other byte of it as it is, by tomlkit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

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
