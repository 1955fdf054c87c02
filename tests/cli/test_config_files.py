"""Which folders a configuration may name."""

from __future__ import annotations

import pytest

from kb.cli.config_files import too_much

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
def test_too_much_is_a_home_and_all_above(folder: str, home: str, *, refused: bool) -> None:
    """Everything that holds a whole home folder holds more than notes."""
    assert too_much(folder, home) is refused
