"""The command line with a made-up knowledge base behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from made_up import FakeKnowledge, settings

from kb.cli.main import run
from kb.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kb.config import Settings


@dataclass
class CommandLine:
    """Runs kb and gives back its exit code, standard output and standard error."""

    capture: pytest.CaptureFixture[str]
    kb: FakeKnowledge = field(default_factory=FakeKnowledge)
    settings: Settings = field(default_factory=lambda: settings("/notes"))
    loaded: list[tuple[str | None, dict[str, str]]] = field(default_factory=list)
    ask_daemon: Callable[[], int | None] | None = None

    def __call__(self, *args: str) -> tuple[int, str, str]:
        """Run kb with some arguments."""

        def load(session: Session, overrides: Mapping[str, str]) -> Settings:
            self.loaded.append((session.config_file, dict(overrides)))
            return self.settings

        def open_knowledge(_settings: Settings, warn: Callable[[str], None]) -> FakeKnowledge:
            self.warn = warn
            return self.kb

        code = run(args, Session(open_knowledge=open_knowledge, load_settings=load, ask_daemon=self.ask_daemon))
        captured = self.capture.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line over a fake knowledge base; its standard output is no terminal."""
    for name in ("NO_COLOR", "KB_CONFIG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return CommandLine(capfd)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    current = tmp_path / "here"
    current.mkdir()
    monkeypatch.chdir(current)
    return current
