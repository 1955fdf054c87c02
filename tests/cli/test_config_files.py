"""How configurations are written, and which folders they may name."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from kb.cli.config_files import write_config
from kb.config.trust import is_too_broad
from kb.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["command_line"]


@pytest.mark.parametrize(
    ("folder", "home", "refused"),
    [
        ("/", "/home/a", True),
        ("/home", "/home/a", True),
        ("/home/a", "/home/a", True),
        ("/home/a/notes", "/home/a", False),
        ("/home/ab", "/home/a", False),
        ("/hom", "/home/a", False),
        ("/notes", "/", False),
    ],
)
def test_a_home_and_all_above_is_too_broad(folder: str, home: str, *, refused: bool) -> None:
    """Everything that holds a whole home folder holds more than notes."""
    assert is_too_broad(folder, home) is refused


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644)])
def test_a_new_configuration_has_the_permissions_of_any_new_file(tmp_path: Path, umask: int, mode: int) -> None:
    """Those that the umask leaves."""
    before = os.umask(umask)
    try:
        write_config(tmp_path / "kb" / "config.toml", "[folders]\n")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "kb" / "config.toml").stat().st_mode) == mode


def test_a_configuration_that_is_changed_stays_where_it_is_and_private(tmp_path: Path) -> None:
    """A link, as managers of dotfiles make them, stays one."""
    file, link = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    file.write_text("[folders]\n")
    file.chmod(0o600)
    link.symlink_to(file)

    write_config(link, "[search]\n")

    assert link.is_symlink()
    assert file.read_text() == "[search]\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_configuration_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """Here a directory is in its place."""
    (tmp_path / "config.toml" / "more").mkdir(parents=True)

    with pytest.raises(ConfigError, match=r"config\.toml cannot be written: is a directory"):
        write_config(tmp_path / "config.toml", "[search]\n")

    assert [one.name for one in tmp_path.iterdir()] == ["config.toml"]
