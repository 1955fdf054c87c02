"""The configuration in effect: its values, the file they came from, and what its paths and names mean."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from kb.config.schema import BY_NAME_ALONE, Config, fields
from kb.location import resolved

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
    """A configuration, the file it came from (None where there is none), and the origin of each value.

    Attributes:
        config: The values.
        file: The file, with links resolved.
        base: The folder from which relative paths are taken.
        origins: Where each value came from, by dotted key; keys with their default are left out.
        found: Whether the file was found by looking around, so that it holds only as far as ``kb.config.trust`` says.
    """

    config: Config
    file: Path | None
    base: Path
    origins: Mapping[str, str]
    found: bool = False

    def folder_paths(self) -> tuple[str, ...]:
        """The folders, absolute and with links resolved, in the order given."""
        return tuple(dict.fromkeys(self.resolve(path) for path in self.config.folders.paths))

    def store_path(self) -> str:
        """The store's directory, absolute and with links resolved, so that one store has one name."""
        return self.resolve(self.config.store.path)

    def model(self) -> str:
        """The model: a directory as an absolute path, where there is one of that name, else the name as it stands.

        The default and the bundled model are always meant by name, whatever lies in the folder.
        """
        name = self.config.embed.model
        path = self.resolve(name)
        return path if name not in BY_NAME_ALONE and os.path.isdir(path) else name  # noqa: PTH112  # a plain string

    def typed(self, key: str) -> bool:
        """Whether a value comes from the command line or the environment, and from no file."""
        return self.origins.get(key, "").startswith((TYPED, "$"))

    def command(self) -> str:
        """``kb`` with the options that mean this configuration and store from any folder, as it is to be typed."""
        file = ["--config", str(self.file)] if self.file else []
        store = ["--store", self.store_path()] if self.typed("store.path") or not file else []
        return shlex.join(["kb", *file, *store])

    def resolve(self, path: str) -> str:
        """A path of the configuration: ``~`` expanded, relative to the configuration file, links resolved."""
        return resolved(str(self.base), path)

    def beside(self, store: str, folders: Sequence[str] = ()) -> Settings:
        """The same for another store, over these folders or others."""
        put = msgspec.structs.replace
        config = put(
            self.config,
            folders=put(self.config.folders, paths=tuple(folders) or self.folder_paths()),
            store=put(self.config.store, path=store),
        )
        return replace(self, config=config)

    def listing(self) -> Iterator[Setting]:
        """Every effective value in the order of the file."""
        for field in fields():
            value = getattr(getattr(self.config, field.section), field.name)
            yield Setting(field.key, value, self.origins.get(field.key, "default"))
