"""The configuration in effect: its values, where they came from, and its paths resolved."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from kb.config.find import user_config_path
from kb.config.schema import BY_NAME_ALONE, Config, fields
from kb.location import resolved
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TYPED: Final = "command line"


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective value: its dotted key, the value, and where it came from."""

    key: str
    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration, its file, and the origin of each value.

    Attributes:
        config: The values.
        file: The file, with links resolved; None if there is none.
        base: The folder at which relative paths start.
        origins: Where each value came from, by dotted key; keys with their default are left out.
        found: Whether the file was found in the current folder or above, so that ``kb.config.trust`` restricts it.
    """

    config: Config
    file: Path | None
    base: Path
    origins: Mapping[str, str]
    found: bool = False

    def folder_paths(self) -> tuple[str, ...]:
        """Return the folders in the order given, absolute and with links resolved."""
        return tuple(dict.fromkeys(self.resolve(path) for path in self.config.folders.paths))

    def store_path(self) -> str:
        """Return the store's directory, absolute and with links resolved, so that each store has one path."""
        return self.resolve(self.config.store.path)

    def own_files(self) -> tuple[str, ...]:
        """Return what is kb's own and never read as a document: the store, and the file of this configuration."""
        return (self.store_path(), *([str(self.file)] if self.file else []))

    def headers_file(self) -> str:
        """Return the file with headers for the Chroma server, absolute; empty if none is configured."""
        return self.resolve(self.config.store.headers_file) if self.config.store.headers_file else ""

    def model(self) -> str:
        """Return the model: an absolute path if there is a directory of this name, else the name.

        The names of the default and the bundled model never mean a directory.
        """
        name = self.config.embed.model
        path = self.resolve(name)
        return path if name not in BY_NAME_ALONE and os.path.isdir(path) else name  # noqa: PTH112  # a plain string

    def typed(self, key: str) -> bool:
        """Whether a value comes from the command line or the environment."""
        return self.origins.get(key, "").startswith((TYPED, "$"))

    def command(self) -> str:
        """Return a command line of ``kb`` with options that select this configuration and store from any folder."""
        file = ["--config", str(self.file)] if self.file else []
        store = ["--store", self.store_path()] if self.typed("store.path") or not file else []
        return shell.join(["kb", *file, *store])

    def shown_command(self) -> str:
        """Return the command line of ``kb`` to tell the user: without ``--config`` for the user configuration.

        That applies wherever there is no other. A daemon or a program may run in a folder that has one, so what is
        kept or started takes :meth:`command`.
        """
        if self.file is None or self.file != user_config_path().resolve() or self.typed("store.path"):
            return self.command()
        return "kb"

    def resolve(self, path: str) -> str:
        """Resolve a path of the configuration: ``~``, the folder of the configuration file, and links."""
        return resolved(str(self.base), path)

    def beside(self, store: str, folders: Sequence[str] = ()) -> Settings:
        """Return the same settings with another store, in its own folder alone, and, if given, other folders."""
        put = msgspec.structs.replace
        config = put(
            self.config,
            folders=put(self.config.folders, paths=tuple(folders) or self.folder_paths()),
            store=put(self.config.store, path=store, chroma=""),
        )
        return replace(self, config=config)

    def listing(self) -> Iterator[Setting]:
        """Yield every effective value in the order of the file."""
        for field in fields():
            value = getattr(getattr(self.config, field.section), field.name)
            yield Setting(field.key, value, self.origins.get(field.key, "default"))
