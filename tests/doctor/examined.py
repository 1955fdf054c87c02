"""A small knowledge base in which everything is well, built once and put back before each test."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from faults import MARKER
from seed_example import SEED

from kb.app import LocalKnowledgeBase
from kb.cli.login_service import service_of
from kb.cli.session import Session
from kb.config import load, render_own
from kb.container import Container
from kb.doctor import models, privacy, watcher
from kb.doctor.case import Case
from kb.doctor.run import run
from kb.doctor.table import CHECKS
from kb.embedding.encoder import Encoder
from kb.embedding.onnx_files import read_exports
from kb.embedding.verify import Check, published_cosines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.config import Settings
    from kb.doctor.finding import Finding
    from kb.embedding.spec import Located

# A socket needs a short path.
_RUNTIME: Final = tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp")
# What is replaced in most tests.
PARSED: Final = privacy.parsed


@dataclass
class World:
    """The home folder of a user, with notes, a configuration, and a store.

    Attributes:
        root: The folder that all of it is in.
        encoder: The model, loaded.
        monkeypatch: Undoes what a fault changes in this process.
        now: What the clock says, in seconds since the epoch; None for the real one.
        patience: The longest that any check may take, in seconds.
        real_encoder: Whether the model is found by the configuration.
        forms: Where the ONNX forms of the model are.
        closing: What is undone after the test.
    """

    root: Path
    encoder: Encoder
    monkeypatch: pytest.MonkeyPatch
    now: float | None = None
    patience: float = 60.0
    real_encoder: bool = False
    forms: str = ""
    closing: list[Callable[[], object]] = field(default_factory=list)

    @property
    def notes(self) -> Path:
        """The watched folder."""
        return self.root / f"notes {MARKER}"

    @property
    def config(self) -> Path:
        """The user's configuration."""
        return self.root / "home" / "config" / "kb" / "config.toml"

    @property
    def store(self) -> Path:
        """The store."""
        return self.config.parent / ".kb"

    @property
    def bin(self) -> Path:
        """The only folder of the search path."""
        return self.root / "bin"

    @property
    def here(self) -> Path:
        """The current folder."""
        return self.root / "here"

    def configure(self, **values: object) -> None:
        """Write the configuration, with more values by key; two underscores stand for the dot."""
        given = {
            "folders.paths": [str(self.notes)],
            "store.path": str(self.store),
            "embed.model": self.encoder.located.name,
            "embed.offline": True,
            **{key.replace("__", "."): value for key, value in values.items()},
        }
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(render_own(given), "utf-8")

    def settings(self) -> Settings:
        """The configuration in effect."""
        return load(cwd=str(self.here))

    def opened(self) -> LocalKnowledgeBase:
        """The knowledge base, as a context manager, with the loaded model."""
        return LocalKnowledgeBase(Container(self.settings(), _silent, embedder=self.encoder))

    def index(self) -> None:
        """What ``kb index`` does."""
        with self.opened() as kb:
            kb.index()

    def rebuild(self) -> None:
        """What ``kb rebuild`` does."""
        with self.opened() as kb:
            kb.rebuild()

    def case(self) -> Case:
        """What is examined."""
        session, encoder = Session(), self.encoder
        from kb.cli.commands.doctor import _encoder

        return Case(
            session.client.environ,
            str(self.here),
            home=self.root / "home",
            make_encoder=_encoder if self.real_encoder else lambda _: encoder,
            service=lambda settings: service_of(session, settings),
            now=time.time if self.now is None else lambda: self.now or 0.0,
            patience=self.patience,
        )

    def findings(self) -> dict[str, Finding]:
        """What all checks find, by their names."""
        return {result.check.name: result.finding for result in run(CHECKS, self.case())}

    def finding(self, name: str) -> Finding:
        """What one check finds, after those that it needs."""
        wanted = {name}
        for check in reversed(CHECKS):
            wanted |= set(check.needs) if check.name in wanted else set()
        chosen = [check for check in CHECKS if check.name in wanted]
        return next(one.finding for one in run(chosen, self.case()) if one.check.name == name)

    def in_full(self) -> None:
        """Have documents parsed, and the model proved, as they are outside of the tests."""
        self.monkeypatch.setattr(privacy, "parsed", PARSED)
        self.monkeypatch.setattr(models, "read_exports", read_exports)
        self.monkeypatch.setattr(models, "published_cosines", published_cosines)


def _silent(_warning: str) -> None:
    """Take no notice."""


def _write_notes(folder: Path) -> None:
    (folder / f"{MARKER} letters").mkdir(parents=True)
    for name, text in SEED.items():
        (folder / name).write_text(f"{text}\n", "utf-8")
    text = f"---\ntags: [{MARKER}]\n---\n# The {MARKER}\n\nA {MARKER} was seen above the harbour on Sunday morning.\n"
    (folder / f"{MARKER} letters" / f"{MARKER}.md").write_text(text, "utf-8")


def _environ(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = root / "home"
    monkeypatch.setenv("HOME", str(home))
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    # Below a longer path, kb would fall back to the folder that all tests of a user share.
    shutil.rmtree(Path(_RUNTIME.name, "kb"), ignore_errors=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", _RUNTIME.name)
    monkeypatch.setenv("PATH", str(root / "bin"))
    monkeypatch.setenv("USER", MARKER)
    monkeypatch.setenv("LOGNAME", MARKER)
    monkeypatch.chdir(root / "here")


@pytest.fixture(scope="session")
def doctor_encoder(minilm: Located, forms: Path) -> Encoder:
    """The bundled model in its ONNX form, loaded once."""
    encoder = Encoder(minilm, models=forms)
    encoder.load()
    return encoder


@pytest.fixture(scope="session")
def template(doctor_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a world in which everything is well. What it names lies beside it, in ``world``."""
    base = tmp_path_factory.mktemp("doctor")
    root = base / "world"
    with pytest.MonkeyPatch.context() as patched:
        for folder in ("home", "bin", "here"):
            (root / folder).mkdir(mode=0o700, parents=True)
        world = World(root, doctor_encoder, patched)
        _environ(root, patched)
        _write_notes(world.notes)
        world.configure()
        script = world.bin / "kb"
        script.write_text(f"#!{sys.executable}\nfrom kb.__main__ import main\nmain()\n", "utf-8")
        script.chmod(0o755)
        limits = root / "inotify"
        limits.mkdir()
        (limits / "max_user_watches").write_text("1000000\n", "ascii")
        (limits / "max_user_instances").write_text("100000\n", "ascii")
        (root / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable: 8000000 kB\n", "ascii")
        world.index()
    shutil.copytree(root, base / "template", symlinks=True)
    return base / "template"


@pytest.fixture
def world(template: Path, doctor_encoder: Encoder, forms: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world in which everything is well, as it was built. Documents are not parsed in it."""
    root = template.parent / "world"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root, symlinks=True)
    _environ(root, monkeypatch)
    monkeypatch.setenv("KB_MODELS", str(forms))
    monkeypatch.setattr(watcher, "INOTIFY", root / "inotify")
    monkeypatch.setattr("kb.system.memory._MEMORY", root / "meminfo")
    # These take longer than all others together; the tests of their own faults do what they do.
    monkeypatch.setattr(privacy, "parsed", lambda _config: "This is read by kb doctor.")
    monkeypatch.setattr(models, "read_exports", lambda _folder: ())
    monkeypatch.setattr(models, "published_cosines", lambda _encoder, _located: Check("", "", good=True))
    made = World(root, doctor_encoder, monkeypatch, forms=str(forms))
    yield made
    for undo in reversed(made.closing):
        undo()
