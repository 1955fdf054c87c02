"""Which settings everybody who uses one store at the same time has to agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kb.config.settings import Settings

_FOLDERS: Final = "folders.paths"
# Keys in which a command or program may differ from the daemon: they do not affect the content of the store.
_FREE: Final = frozenset(
    {
        "search.best_seconds",
        "search.limit",
        "search.min_score",
        "search.per_file",
        "search.rerank",
        "search.mode",
        "search.weak",
        "search.fold",
        "store.path",
        "store.wait_seconds",
        "embed.offline",
    }
)
# Sections that only concern the daemon itself.
_OF_THE_DAEMON: Final = ("watch.", "serve.")


def shared_values(settings: Settings) -> dict[str, object]:
    """Return the values that all users of a store must agree on, by dotted key, as JSON has them.

    They are in canonical form, with absolute paths, so that two spellings of a path compare equal.
    """
    return {
        one.key: _meant(settings, one.key, one.value)
        for one in settings.listing()
        if one.key not in _FREE and not one.key.startswith(_OF_THE_DAEMON)
    }


def differences(asked: Mapping[str, object], owned: Mapping[str, object], *, folders: bool = True) -> list[str]:
    """Return the keys in which the values of a command or program and of the daemon conflict.

    Args:
        asked: The values of the command or program, as ``shared_values`` returns them.
        owned: The values of the daemon.
        folders: Whether the folders have to be the same.
    """
    return [
        key
        for key in dict.fromkeys([*asked, *owned])
        if (folders or key != _FOLDERS) and asked.get(key) != owned.get(key)
    ]


def disagreement(
    keys: Sequence[str], pid: int, theirs: str | None, ours: str | None, who: str = "command"
) -> ConfigError:
    """Return the error for a command or program that cannot use the running daemon.

    Args:
        keys: The keys in which they differ.
        pid: The process of the daemon.
        theirs: The configuration file of the daemon; None without one.
        ours: That of the command or program.
        who: What asks: ``command`` or ``program``.
    """
    files = f"; it reads {theirs}, this {who} {ours}" if theirs != ours else ""
    return ConfigError(
        f"the running daemon (process {pid}) uses other values for {', '.join(keys)}{files}",
        "Use the same values, or stop it first: kb watch --stop. "
        "An edited config.toml is reloaded within seconds, at the latest when running commands have ended",
    )


def _meant(settings: Settings, key: str, value: object) -> object:
    match key:
        case "folders.paths":
            return list(settings.folder_paths())
        case "embed.model":
            return settings.model()
        case _:
            return list(value) if isinstance(value, tuple) else value
