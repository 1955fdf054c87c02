"""Kills kb with -9 at random, over folders that change all the time, and compares the store with a fresh index.

A round changes files, starts a command in a process of its own and kills it, or a child of it, at a random moment,
while files go on changing. Then the next run mends the store, and all of it is compared: every passage of the catalog
with a fresh reading of the files, every vector of ChromaDB with the passages and with the embedding cache, and every
tenth time with an index made from nothing. Every text given to the model is noted by the process that gives it, before
it does: a text whose vector was in the cache when the process began, or that one process gives twice, is an error.

The processes are real ones, forked from this one, which has imported the libraries; a command is the command line that
a user types. ChromaDB, SQLite, the parser's processes and the model are real; the model is tiny.

    python tests/watching/kill_rounds.py --kills 1000 --seed 1 --jobs 2 --log kills.jsonl
    python tests/watching/kill_rounds.py --table kills.jsonl

A command is killed at one of the steps it takes, or a moment after it: moments on a clock would nearly all fall into
the time in which it starts. Each chain of ten kills has a seed of its own, which is printed when it fails:
``--kills 10 --seed SEED`` repeats its folder, its commands and the edits before each. What happens while a command runs
is a matter of time, so another machine may be killed elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import json
import mmap
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kb import chroma_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CHAIN: Final = 10
# As many as differ in all ways, and are compared in no time.
_FILES: Final = 20
_ROUNDING: Final = 1e-3
FRESH_EVERY: Final = 10
# A command that has not ended by then hangs.
_HANGS: Final = 1200.0
# An owner that has not come to its step by then is killed where it is.
_WATCHED: Final = 15.0
# How many steps a command takes, as long as none was seen to its end.
_STEPS_AT_FIRST: Final = 40
_WORDS: Final = [
    "water",
    "stone",
    "river",
    "database",
    "vector",
    "python",
    "library",
    "search",
    "notes",
    "folder",
    "passage",
    "café",
    "Zürich",
    "done",
]
PHASES: Final = (
    "start",
    "opening the store",
    "examining the vector index",
    "loading the model",
    "reading and comparing",
    "waiting for changes",
    "embedding",
    "writing the cache",
    "writing the catalog",
    "writing vectors",
    "building a new vector index",
    "exporting the model",
    "closing",
    "between two steps",
)
_BETWEEN: Final = PHASES.index("between two steps")
_PHASE, _STEPS, _KILL_AT, _PROBE = 0, 8, 16, 24

Row = tuple[Any, ...]


class Board:
    """Memory shared with a process that may die at any moment: what it is doing, and at which step it is to die."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 64)

    def _get(self, place: int) -> int:
        return int.from_bytes(self._memory[place : place + 8], "little")

    def _put(self, place: int, value: int) -> None:
        self._memory[place : place + 8] = value.to_bytes(8, "little")

    def clear(self, kill_at: int) -> None:
        """Begin anew; at this step the process kills itself, never where it is 0."""
        for place, value in ((_PHASE, 0), (_STEPS, 0), (_KILL_AT, kill_at), (_PROBE, 0)):
            self._put(place, value)

    @property
    def phase(self) -> str:
        """What the process was doing last."""
        return PHASES[self._get(_PHASE)]

    @property
    def steps(self) -> int:
        """How many steps it took."""
        return self._get(_STEPS)

    @property
    def probe(self) -> int:
        """The process that examines the vector index, once there is one."""
        return self._get(_PROBE)

    @probe.setter
    def probe(self, pid: int) -> None:
        self._put(_PROBE, pid)

    def enter(self, number: int) -> None:
        """A step begins, or ends and leaves the process in another one."""
        self._put(_PHASE, number)
        self._put(_STEPS, self._get(_STEPS) + 1)
        if self._get(_STEPS) == self._get(_KILL_AT):
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Kill:
    """One kill and what was found after it.

    Attributes:
        seed: The seed of its chain.
        number: Its number in the chain.
        victim: What was killed.
        phase: What the command was doing.
        how: ``time``, ``step`` or ``child``.
        unclean: Whether ChromaDB's files were left open.
        pending: Files that the killed command had begun.
        damaged: Whether the vector index had to be made again.
        lost: Texts that were at the model when it was killed, and so are embedded again.
        embedded: Texts given to the model by the mending run.
        again: Texts given to the model though their vector was in the cache. To be none.
        differences: Differences from a fresh index. To be none.
        gone: Hits whose file was gone. To be none.
    """

    seed: int
    number: int
    victim: str
    phase: str
    how: str
    unclean: bool
    pending: int
    damaged: bool
    lost: int
    embedded: int
    again: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.again or self.differences or self.gone)


@dataclass
class Edits:
    """Changes of two folders, one after another, as people and programs make them.

    No more files are deleted in one round than a clearing up deletes, since kb would hold them.
    """

    root: Path
    random: random.Random
    removed: int = 0
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folders = (self.root / "notes", self.root / "second")
        for folder in self.folders:
            folder.mkdir()
            (folder / "stays.md").write_text("# Stays\n\nthis note stays\n")
        for _ in range(_FILES):
            self._create()

    def one(self) -> None:
        """Change something."""
        more = self._create if len(self._files()) < _FILES else self._delete
        kinds: tuple[Callable[[], None], ...] = (
            more, more, self._append, self._append, self._rewrite, self._rewrite, self._save,
            self._rename, self._move_folder, self._copy, self._delete, self._delete, self._delete_folder, self._touch,
            self._binary, self._code,
        )  # fmt: skip
        self.random.choice(kinds)()

    def _files(self) -> list[Path]:
        found = [path for folder in self.folders for path in folder.rglob("*") if path.is_file()]
        return sorted(path for path in found if path.name != "stays.md")

    def _text(self) -> str:
        """A note of some sections; now and then one that was there before."""
        if self.texts and self.random.random() < 0.2:
            return self.random.choice(self.texts)
        sections = []
        for _ in range(self.random.choice((1, 1, 2, 3, 6))):
            words = " ".join(self.random.choice(_WORDS) for _ in range(self.random.randint(4, 30)))
            sections.append(f"# {self.random.choice(_WORDS)} {self.random.randint(0, 999)}\n\n{words}\n")
        text = "\n".join(sections)
        self.texts.append(text)
        return text

    def _place(self, suffix: str = ".md") -> Path:
        below = self.random.choice(("", "", "sub", "sub/deep", "other"))
        folder = self.random.choice(self.folders) / below
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.random.choice(_WORDS)}-{self.random.randint(0, 9999)}{suffix}"

    def _any(self) -> Path | None:
        files = self._files()
        return self.random.choice(files) if files else None

    def _create(self) -> None:
        self._place(self.random.choice((".md", ".md", ".txt"))).write_text(self._text())

    def _append(self) -> None:
        if file := self._any():
            if file.stat().st_size > 2_000:
                file.write_text("# Begun anew\n")
            with file.open("a") as stream:
                stream.write(f"\n# More\n\n{self.random.choice(_WORDS)} {self.random.randint(0, 99999)}\n")

    def _rewrite(self) -> None:
        if file := self._any():
            file.write_text(self._text())

    def _save(self) -> None:
        if file := self._any():
            draft = file.with_name(f".{file.name}.swp")
            draft.write_text(self._text())
            draft.replace(file)

    def _rename(self) -> None:
        if file := self._any():
            target = self._place(file.suffix)
            if not target.exists():
                file.rename(target)

    def _move_folder(self) -> None:
        source, target = self.folders[0] / "sub", self.folders[1] / f"moved-{self.random.randint(0, 99)}"
        if source.is_dir() and not target.exists() and len(list(source.rglob("*"))) < 10:
            source.rename(target)

    def _copy(self) -> None:
        if (file := self._any()) and len(self._files()) < _FILES:
            shutil.copy2(file, self._place(file.suffix))

    def _delete(self) -> None:
        file = self._any()
        if file and self.removed < 8:
            self.removed += 1
            file.unlink()

    def _delete_folder(self) -> None:
        folders = sorted(path for folder in self.folders for path in folder.iterdir() if path.is_dir())
        for folder in self.random.sample(folders, min(1, len(folders))):
            files = sum(path.is_file() for path in folder.rglob("*"))
            if self.removed + files <= 8:
                self.removed += files
                shutil.rmtree(folder)

    def _touch(self) -> None:
        if file := self._any():
            file.touch()

    def _binary(self) -> None:
        self._place(".txt").write_bytes(b"\0\1\2" * self.random.randint(100, 1000))

    def _code(self) -> None:
        if self.random.random() < 0.3:
            name = self.random.choice(_WORDS).replace("é", "e").replace("ü", "u")
            self._place(".py").write_text(f'def {name}():\n    """{self._text()[:60]!r}"""\n    return 1\n')


class Changing:
    """Goes on changing the folders in a thread of its own until it is left."""

    def __init__(self, edits: Edits, pause: float) -> None:
        self._edits = edits
        self._pause = pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            self._edits.one()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


class World:
    """Two folders, a store over them, and what the processes that work on them leave behind."""

    def __init__(self, root: Path, model: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.edits = Edits(root, self.random)
        self.store = root / "store"
        self.config = root / "config.toml"
        self.model = model
        self.board = Board()
        self.config.write_text(
            f'[folders]\npaths = ["notes", "second"]\n[store]\npath = "store"\nwait_seconds = 5\n'
            f'[embed]\nmodel = "{model}"\noffline = true\nthreads = 1\n[chunk]\nmax_tokens = 64\n'
            "[watch]\nquiet_ms = 20\npatience_seconds = 0.2\n"
        )
        shutil.copytree(model.parent / "models", root / "models")
        os.environ["KB_MODELS"] = str(root / "models")
        os.environ["XDG_RUNTIME_DIR"] = str(root)

    def texts(self, name: str) -> list[str]:
        """The texts that a process gave to the model, in order, each behind its digest in 64 letters."""
        path = self.root / f"{name}.texts"
        return path.read_text().splitlines() if path.exists() else []

    def cached(self) -> set[str]:
        """The digests of passages in the embedding cache; a question is there under the digest of the same words."""
        path = self.store / "embeddings.sqlite3"
        if not path.exists():
            return set()
        connection = sqlite3.connect(path)
        try:
            sql = (
                "SELECT e.digest FROM entries e JOIN vectors v ON v.id = e.id JOIN models m ON m.id = e.model "
                "WHERE m.fingerprint NOT LIKE 'question %'"
            )
            return {digest.hex() for (digest,) in connection.execute(sql)}
        finally:
            connection.close()

    def unfinished(self) -> int:
        """Files that a run began and did not finish."""
        path = self.store / "catalog.sqlite3"
        if not path.exists():
            return 0
        connection = sqlite3.connect(path)
        try:
            return int(connection.execute("SELECT count(*) FROM files WHERE state = 'pending'").fetchone()[0])
        finally:
            connection.close()

    def start(self, name: str, work: Callable[[], int], kill_at: int = 0) -> int:
        """Do some work in a process of its own; its process id."""
        for suffix in (".texts", ".said"):
            (self.root / f"{name}{suffix}").unlink(missing_ok=True)
        self.board.clear(kill_at)
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            said = os.open(self.root / f"{name}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(said, 1)
            os.dup2(said, 2)
            observe(self.board, self.root / f"{name}.texts")
            code = work()
        except BaseException:  # noqa: BLE001 - the end of this process; what it says is read by the parent
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def said(self, name: str) -> str:
        """What a process wrote."""
        return (self.root / f"{name}.said").read_text(errors="replace")


def observe(board: Board, texts: Path) -> None:
    """In a process of its own: note what it is doing, and every text that is given to the model."""
    from kb.container import Container
    from kb.embedding import onnx_export
    from kb.embedding.cache import EmbeddingCache
    from kb.embedding.encoder import Encoder
    from kb.indexing.sync import Indexer
    from kb.records.documents import digest_of
    from kb.store import local_vectors, probe
    from kb.store.catalog import SqliteCatalog
    from kb.store.chroma import ChromaIndex
    from kb.watching.scheduler import Scheduler

    log = os.open(texts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    lock = threading.RLock()
    inside = threading.local()

    def watched(owner: Any, name: str, phase: str) -> None:
        original, number = getattr(owner, name), PHASES.index(phase)

        def call(*args: Any, **named: Any) -> Any:
            outer = getattr(inside, "step", _BETWEEN)
            inside.step = number
            with lock:
                board.enter(number)
            try:
                return original(*args, **named)
            finally:
                inside.step = outer
                with lock:
                    board.enter(outer)

        setattr(owner, name, call)

    embed = Encoder.embed_documents

    def noted(self: Any, given: Sequence[str], *args: Any, **named: Any) -> Any:
        os.write(log, "".join(f"{digest_of(text).hex()} {text!r}\n" for text in given).encode())
        return embed(self, given, *args, **named)

    Encoder.embed_documents = noted  # type: ignore[method-assign,assignment]  # only in this process
    for owner, name, phase in (
        (Container, "own", "opening the store"),
        (local_vectors.LocalVectors, "_opened", "opening the store"),
        (local_vectors.LocalVectors, "_probe_failure", "examining the vector index"),
        (local_vectors.LocalVectors, "rebuild", "building a new vector index"),
        (Encoder, "_load", "loading the model"),
        (Indexer, "run", "reading and comparing"),
        (Scheduler, "_next_work", "waiting for changes"),
        (Encoder, "embed_documents", "embedding"),
        (EmbeddingCache, "put", "writing the cache"),
        *(
            (SqliteCatalog, step, "writing the catalog")
            for step in ("begin", "finish", "embedded", "remove", "mark_pending", "refresh")
        ),
        *((ChromaIndex, step, "writing vectors") for step in ("upsert", "delete", "relabel")),
        *((onnx_export, step, "exporting the model") for step in ("_write", "_checked", "write_manifest")),
        (Container, "close", "closing"),
    ):
        watched(owner, name, phase)
    # The one call that kb.store.probe makes of it.
    vars(probe)["subprocess"] = _Probes(board)


class _Probes:
    """Stands for ``subprocess`` in ``kb.store.probe``: the process that examines is forked, and imports nothing."""

    PIPE, DEVNULL, TimeoutExpired = subprocess.PIPE, subprocess.DEVNULL, subprocess.TimeoutExpired

    def __init__(self, board: Board) -> None:
        self._board = board

    def Popen(self, command: Sequence[str], **_: object) -> _Probe:  # noqa: N802 - the name of what it stands for
        """Start to examine."""
        return _Probe(self._board, command[command.index("kb.store.probe") + 1 :])


class _Probe:
    """A forked process that examines a vector index; ends with its parent, as the real one does."""

    def __init__(self, board: Board, arguments: Sequence[str]) -> None:
        from kb.store import probe

        lives, ours = os.pipe()
        answers, theirs = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.dup2(lives, 0)
            os.dup2(theirs, 1)
            for descriptor in (lives, ours, answers, theirs):
                os.close(descriptor)
            code = 1
            try:
                sys.stdout = os.fdopen(1, "w")
                code = probe.main(arguments)
            finally:
                os._exit(code)
        os.close(lives)
        os.close(theirs)
        self._ours = ours
        self.stdout = os.fdopen(answers, "rb")
        board.probe = self.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        self.stdout.close()

    def wait(self, timeout: float) -> int:
        """Its exit code, negative where a signal ended it."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        raise subprocess.TimeoutExpired("probe", timeout)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)


def command(world: World, *args: str) -> Callable[[], int]:
    """A command line of kb over a world."""

    def run() -> int:
        from kb.cli.main import run as run_command

        return run_command(["--config", str(world.config), *args])

    return run


def victims(world: World) -> dict[str, tuple[str, ...]]:
    """The commands that are killed."""
    return {
        "kb index": ("index", "-q"),
        "kb index --full": ("index", "--full", "-q"),
        "kb rebuild": ("rebuild",),
        "kb watch": ("watch",),
        "kb model export": ("model", "export", str(world.model)),
        "parser of kb index": ("index", "--full", "-q"),
        "examiner of kb index": ("index", "-q"),
    }


WEIGHTS: Final = {
    "kb index": 34,
    "kb index --full": 8,
    "kb rebuild": 18,
    "kb watch": 26,
    "kb model export": 6,
    "parser of kb index": 3,
    "examiner of kb index": 5,
}


def wait(pid: int, seconds: float = _HANGS) -> int:
    """The exit code of a process, negative where a signal ended it.

    Raises:
        TimeoutError: It goes on; it is killed.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} did not end")


def _child(pid: int, module: str) -> int:
    """A child of a process that runs a module of kb, or 0."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                status = Path(entry.path, "stat").read_text()
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if int(status.rpartition(")")[2].split()[1]) == pid and module.encode() in words:
                return int(entry.name)
    return 0


class Rounds:
    """Chains of kills.

    Args:
        model: A model that loads in no time.
        base: A folder for the worlds.
        only: The victims.
    """

    def __init__(self, model: Path, base: Path, only: Sequence[str]) -> None:
        self._model = model
        self._base = base
        self._weights = {name: weight for name, weight in WEIGHTS.items() if name in only}
        # How long each command takes on this machine, and how many steps, as seen.
        self._seconds: dict[str, float] = {}
        self._steps: dict[str, int] = {}

    def chain(self, seed: int, kills: int = CHAIN) -> Iterator[Kill]:
        """Kill so many times over one world, and give what was found after each."""
        root = Path(tempfile.mkdtemp(prefix="kb-kills-", dir=self._base))
        try:
            world = World(root, self._model, seed)
            began = time.monotonic()
            self._must(world, "first", command(world, "index", "-q"))
            self._seconds.setdefault("kb index", time.monotonic() - began)
            self._steps.setdefault("kb index", world.board.steps)
            number = 0
            while number < kills:
                kill = self._round(world, seed, number)
                if kill is not None:
                    number += 1
                    yield kill
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _must(self, world: World, name: str, work: Callable[[], int]) -> None:
        code = wait(world.start(name, work))
        if code:
            raise AssertionError(f"{name} ended with {code}: {world.said(name)}")

    def _round(self, world: World, seed: int, number: int) -> Kill | None:
        """Change, kill, mend, compare; None where the command had ended before it was killed."""
        chance = world.random
        victim = chance.choices(list(self._weights), list(self._weights.values()))[0]
        by_step = chance.random() < 0.34
        share, pause = chance.random(), chance.choice((0.02, 0.1, 0.3))
        world.edits.removed = 0
        for _ in range(chance.randint(1, 12)):
            world.edits.one()
        if victim == "kb model export" and chance.random() < 0.5:
            shutil.rmtree(world.root / "models", ignore_errors=True)
        before = world.cached()
        if victim == "examiner of kb index":
            # What is examined was left by a run that was killed.
            pid = world.start("victim", command(world, "index", "--full", "-q"), kill_at=chance.randint(12, 30))
            if wait(pid) != -signal.SIGKILL:
                return None
            again = _again(world, "victim", before)
            before = world.cached()
        else:
            again = []
        args = victims(world)[victim]
        step = 1 + int(share * self._steps.get(victim, _STEPS_AT_FIRST))
        by_child = "of kb" in victim
        pid = world.start("victim", command(world, *args), step if by_step and not by_child else 0)
        with Changing(world.edits, pause):
            if by_child:
                how = self._kill_child(world, pid, victim)
            else:
                how = self._kill(world, pid, victim, step, after=None if by_step else chance.random())
        if not how:
            return None
        phase = world.board.phase
        # A process of the parser's, or one that examined, may still be ending.
        unclean, unfinished = (world.store / "unclean").exists(), world.unfinished()
        again += _again(world, "victim", before)
        cached = world.cached()
        lost = len({text[:64] for text in world.texts("victim")} - cached)
        deep = number % FRESH_EVERY == FRESH_EVERY - 1
        code = wait(world.start("mend", lambda: mend(world)))
        report = world.root / "found.json"
        if code:
            found: dict[str, Any] = {
                "differences": [f"the next run ended with {code}: {world.said('mend')}"],
                "gone": [],
            }
        else:
            found = json.loads(report.read_text())
        again += _again(world, "mend", cached)
        if deep:
            self._must(world, "fresh", lambda: from_nothing(world))
            found["differences"] += json.loads(report.read_text())
        return Kill(
            seed, number, victim, phase, how, unclean, unfinished, "rebuilt from" in world.said("mend"), lost,
            len(world.texts("mend")), tuple(again), tuple(found["differences"]), tuple(found["gone"]),
        )  # fmt: skip

    def _kill(self, world: World, pid: int, victim: str, step: int, *, after: float | None) -> str:
        """Kill a process at a step, or a moment later; how, or nothing where it had ended by itself.

        Args:
            world: Where it works.
            pid: The process.
            victim: The command.
            step: At which of its steps; one that never ends is killed after some seconds in any case.
            after: How much later, in steps as long as two of the usual ones; None where it kills itself.
        """
        began = time.monotonic()
        until = began + (_WATCHED if victim == "kb watch" else _HANGS)
        while time.monotonic() < until:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                if code == -signal.SIGKILL and after is None:
                    return "step"
                if code:
                    raise AssertionError(f"{victim} ended with {code}: {world.said('victim')}")
                self._seconds[victim] = (self._seconds.get(victim, 0.5) + time.monotonic() - began) / 2
                self._steps[victim] = (self._steps.get(victim, world.board.steps) + world.board.steps) // 2
                return ""
            if after is not None and world.board.steps >= step - 1:
                usual = self._seconds.get(victim, 1.0) / self._steps.get(victim, _STEPS_AT_FIRST)
                until, after = time.monotonic() + 2 * after * usual, None
                step = sys.maxsize
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        return "time" if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL else ""

    def _kill_child(self, world: World, pid: int, victim: str) -> str:
        """Kill a child of a command, and let the command come to its end."""
        child = 0
        until = time.monotonic() + 10
        while (
            not child
            and time.monotonic() < until
            and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        ):
            child = world.board.probe if victim.startswith("examiner") else _child(pid, "kb.sandbox.worker")
            time.sleep(0.001)
        if child:
            time.sleep(world.random.random() * (0.05 if victim.startswith("examiner") else 0.4))
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                child = 0
        code = wait(pid)
        if code:
            raise AssertionError(f"{victim} ended with {code}: {world.said('victim')}")
        return "child" if child else ""


def _again(world: World, name: str, before: set[str]) -> list[str]:
    """The texts a process gave to the model though their vector was there, or though it had given them before."""
    given = world.texts(name)
    found = [f"{name} gave {text}, whose vector was in the cache" for text in given if text[:64] in before]
    return found + [f"{name} gave {text} {number} times" for text, number in Counter(given).items() if number > 1]


def mend(world: World) -> int:
    """Ask, run kb as the next user does, and compare everything; what is wrong goes into a file."""
    from kb.app import LocalKnowledgeBase

    gone: list[str] = []
    differences: list[str] = []
    with LocalKnowledgeBase.open(str(world.config), warn=lambda text: print(text, flush=True)) as kb:  # noqa: T201
        gone += _gone(kb, world)
        report = kb.index()
        if report.interrupted or report.held:
            differences.append(f"the next run was no whole one: {report}")
        parts: Any = kb._container
        differences += compared(parts)
        gone += _gone(kb, world)
    if (world.store / "unclean").exists():
        differences.append("the store was not closed in order")
    (world.root / "found.json").write_text(json.dumps({"differences": differences[:20], "gone": gone}))
    return 0


def _gone(kb: Any, world: World) -> list[str]:
    """The hits of a question whose file is gone."""
    question = f"{world.random.choice(_WORDS)} {world.random.choice(_WORDS)}"
    hits = kb.search(question, limit=50, weak=True).hits
    places = [Path(hit.passage.file.folder, hit.passage.file.path) for hit in hits]
    return [f"{question}: {place}" for place in places if not place.exists()]


def compared(parts: Any) -> list[str]:
    """Every difference of a store from a fresh reading of its folders, and of its vectors from its passages."""
    import numpy as np

    fresh, failed = read_afresh(parts)
    held = Counter(map(_row, parts.catalog.all_passages()))
    found = [f"missing passage {row[:4]}" for row in (fresh - held)]
    found += [f"passage too many {row[:4]}" for row in (held - fresh)]
    known = {(file.folder, file.path, file.reason) for file in parts.catalog.files() if file.state == "failed"}
    found += [f"failure {one}" for one in known ^ failed]
    found += [f"left unfinished {file.path}" for file in parts.catalog.files() if file.state == "pending"]
    passages = {passage.id: passage for passage in parts.catalog.all_passages()}
    index = parts.index()
    ids = list(index.ids())
    found += [f"vector without passage {id_}" for id_ in set(ids) - set(passages)]
    found += [f"passage without vector {id_} of {passages[id_].file.path}" for id_ in set(passages) - set(ids)]
    if len(ids) != len(set(ids)) or index.count() != len(ids):
        found.append(f"{index.count()} vectors counted, {len(ids)} listed, {len(set(ids))} of them different")
    vectors = index.vectors(list(passages))
    cached = parts.cache.peek(parts.embedder.fingerprint, [one.digest for one in passages.values()])
    for id_, passage in passages.items():
        if passage.digest not in cached:
            found.append(f"no vector in the cache for {passage.file.path}")
        elif id_ in vectors and not np.allclose(vectors[id_], cached[passage.digest], rtol=0, atol=1e-5):
            found.append(f"another vector for {passage.file.path}")
    told = index._collection.get(ids=list(passages), include=["metadatas", "documents"])
    for id_, labels, text in zip(told["ids"], told["metadatas"], told["documents"], strict=True):
        passage = passages[id_]
        if (labels["path"], labels["file"], text) != (passage.file.path, passage.file.id, passage.text):
            found.append(f"other labels or text beside the vector of {passage.file.path}")
    return found


def read_afresh(parts: Any) -> tuple[Counter[Row], set[Row]]:
    """What a fresh index would hold: passages, and files that cannot be read."""
    from kb.errors import DocumentError

    rows: Counter[Row] = Counter()
    failed: set[Row] = set()
    for file in parts.files.scan().files:
        try:
            document, passages = parts.reader.read(parts.files.load(file))
        except DocumentError as error:
            failed.add((file.folder, file.path, error.message))
            continue
        rows.update(
            (
                file.folder, file.path, one.first_line, one.last_line, one.text, one.heading, one.digest,
                document.title, document.kind, document.tags, document.language,
            )
            for one in passages
        )  # fmt: skip
    return rows, failed


def _row(one: Any) -> Row:
    file = one.file
    return (
        file.folder, file.path, one.first_line, one.last_line, one.text, one.heading, one.digest,
        file.title, file.kind, file.tags, file.language,
    )  # fmt: skip


def from_nothing(world: World) -> int:
    """Compare with an index of the same folders that is made from nothing, with a cache of its own."""
    from kb.app import LocalKnowledgeBase

    store = str(world.root / "fresh")
    overrides = {"store.path": store}
    with (
        LocalKnowledgeBase.open(str(world.config)) as kb,
        LocalKnowledgeBase.open(str(world.config), overrides=overrides) as other,
    ):
        other.index()
        found = _other_rows(kb, other) + _other_answers(kb, other)
    shutil.rmtree(store)
    (world.root / "found.json").write_text(json.dumps(found))
    return 0


def _other_rows(kb: Any, other: Any) -> list[str]:
    """The passages that one of two stores has and the other has not, and those whose vectors differ."""
    import numpy as np

    mine, its = kb._container, other._container
    held, fresh = (Counter(map(_row, parts.catalog.all_passages())) for parts in (mine, its))
    found = [f"not in an index made from nothing: {row[:4]}" for row in held - fresh]
    found += [f"only in an index made from nothing: {row[:4]}" for row in fresh - held]
    if not found:
        digests = [one.digest for one in mine.catalog.all_passages()]
        left, right = (parts.cache.peek(parts.embedder.fingerprint, digests) for parts in (mine, its))
        found += ["another vector" for one in digests if not np.allclose(left[one], right[one], rtol=0, atol=1e-5)]
    return found


def _other_answers(kb: Any, other: Any) -> list[str]:
    """The questions that two stores answer differently."""
    found = []
    for mode in ("cosine", "keyword", "hybrid"):
        for words in ("river database", "café", "python notes folder"):
            mine, its = (_scores(one, words, mode) for one in (kb, other))
            # The last of a list may be as good as the first that is not on it.
            for some, all_ in ((mine, its), (its, mine)):
                lacking = [one for one in list(some)[:10] if abs(all_.get(one, 9.0) - some[one]) > _ROUNDING]
                found += [
                    f"another answer to {words!r} by {mode}: {one} {some[one]} {all_.get(one)}" for one in lacking
                ]
    return found


def _scores(kb: Any, words: str, mode: str) -> dict[tuple[str, str, int], float]:
    """The score of each hit, best first."""
    hits = kb.search(words, mode=mode, weak=True, fold=False, limit=30).hits
    return {(one.passage.file.folder, one.passage.file.path, one.passage.first_line): one.score for one in hits}


def prepare(root: Path) -> Path:
    """Import what every process needs, and make the model and its ONNX form; the model's folder."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    os.environ |= {"KB_MODELS": str(root / "models"), "XDG_RUNTIME_DIR": str(root)}
    from tiny_bge_m3 import build_tiny_bge_m3

    model = build_tiny_bge_m3(root / "tiny")
    (root / "config.toml").write_text(f'[embed]\nmodel = "{model}"\noffline = true\nthreads = 1\n')
    # In a process of its own: what starts threads must not have been used where processes are forked.
    made = subprocess.run(
        [sys.executable, "-P", "-m", "kb", "--config", str(root / "config.toml"), "model", "export"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode:
        raise AssertionError(made.stderr)
    chroma_import.import_chromadb()
    for name in _needed(root, model):
        # Some modules can be imported from within another one only; whoever needs those imports them again.
        with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
            importlib.import_module(name)
    return model


def _needed(root: Path, model: Path) -> list[str]:
    """The modules that the commands and the comparison import."""
    (root / "needed").mkdir()
    world = World(root / "needed", model, 0)
    world.edits._place(".py").write_text("def f():\n    return 1\n")

    def work() -> int:
        for args in (("index", "-q"), ("rebuild",), ("model", "export", str(model))):
            command(world, *args)()
        mend(world)
        for name in ("cli.daemon", "service.listen", "service.server", "watching.scheduler", "watching.watcher"):
            importlib.import_module(f"kb.{name}")
        importlib.import_module("uvicorn.protocols.http.h11_impl")
        importlib.import_module("watchdog.observers")
        (root / "modules").write_text("\n".join(sys.modules))
        return 0

    code = wait(world.start("needed", work))
    if code:
        raise AssertionError(world.said("needed"))
    return (root / "modules").read_text().split()


def table(kills: Sequence[Kill]) -> str:
    """What was killed, when, how often and what came of it, in Markdown."""
    columns = (
        "killed",
        "kills",
        "by",
        "ChromaDB open",
        "unfinished files",
        "index made again",
        "texts lost",
        "embedded again",
        "differences",
        "hits of gone files",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    groups: dict[str, list[Kill]] = {}
    for one in kills:
        groups.setdefault(one.victim, []).append(one)
    for name, group in [*sorted(groups.items()), ("all", list(kills))]:
        by = ", ".join(f"{number} {how}" for how, number in sorted(Counter(one.how for one in group).items()))
        lines.append(
            f"| {name} | {len(group)} | {by} | {sum(one.unclean for one in group)} "
            f"| {sum(one.pending for one in group)} in {sum(one.pending > 0 for one in group)} "
            f"| {sum(one.damaged for one in group)} | {sum(one.lost for one in group)} "
            f"| {sum(len(one.again) for one in group)} | {sum(len(one.differences) for one in group)} "
            f"| {sum(len(one.gone) for one in group)} |"
        )
    lines += ["", "| while it was | kills |", "|---|---|"]
    for phase, number in Counter(one.phase for one in kills).most_common():
        lines.append(f"| {phase} | {number} |")
    return "\n".join(lines)


def read_log(logs: Sequence[Path]) -> list[Kill]:
    """The kills of some logs; the last line of one may still be being written."""
    kills = []
    for log in logs:
        for line in log.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                told = json.loads(line)
                lists = {name: tuple(told[name]) for name in ("again", "differences", "gone")}
                kills.append(Kill(**{**told, **lists}))
    return kills


def chains(rounds: Rounds, seeds: Iterator[int], kills: int, until: float, log: Path) -> int:
    """Kill until there are enough, and write each kill down as a line of JSON; how many chains came to no end."""
    done = failed = 0
    for seed in seeds:
        if done >= kills or time.monotonic() >= until:
            break
        try:
            for kill in rounds.chain(seed, min(CHAIN, kills - done)):
                done += 1
                with log.open("a") as stream:
                    stream.write(json.dumps(asdict(kill)) + "\n")
                if not kill.right:
                    print(f"seed {seed}, kill {kill.number}: {kill}", flush=True)  # noqa: T201
        except (AssertionError, TimeoutError):
            print(f"seed {seed} came to no end: {traceback.format_exc()}", flush=True)  # noqa: T201
            failed += 1
    return failed


def main(arguments: Sequence[str]) -> int:
    """Kill as often as told, and print the table; the exit code is 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description="Kill kb at random and compare its store with a fresh index.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no chain after so many seconds")
    parser.add_argument("--jobs", type=int, default=1, help="how many chains at a time")
    parser.add_argument("--log", type=Path, help="add each kill to this file as a line of JSON")
    parser.add_argument("--only", nargs="*", default=list(WEIGHTS), metavar="VICTIM", help="kill nothing else")
    parser.add_argument("--table", nargs="+", type=Path, metavar="LOG", help="kill nothing: the table of these logs")
    wanted = parser.parse_args(arguments)
    if wanted.table:
        return summed_up(read_log(wanted.table))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kb-kills-") as base:
        log = wanted.log or Path(base, "kills.jsonl")
        before = len(read_log([log])) if log.exists() else 0
        rounds = Rounds(prepare(Path(base)), Path(base), wanted.only)
        jobs = []
        for number in range(wanted.jobs):
            share = len(range(number, wanted.kills, wanted.jobs))
            pid = os.fork()
            if not pid:
                code = 70
                try:
                    seeds = itertools.count(wanted.seed + number, wanted.jobs)
                    code = min(chains(rounds, seeds, share, began + wanted.seconds, log), 1)
                except BaseException:  # noqa: BLE001 - the end of this process; its code says so
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    os._exit(code)
            jobs.append(pid)
        failed = [pid for pid in jobs if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
        print(f"from seed {wanted.seed}, {time.monotonic() - began:.0f} s")  # noqa: T201
        kills = read_log([log])[before:] if log.exists() else []
        return max(summed_up(kills), 1 if failed else 0)


def summed_up(kills: Sequence[Kill]) -> int:
    """Print how many kills were wrong, and the table; the exit code."""
    wrong = sum(not one.right for one in kills)
    deep = sum(one.number % FRESH_EVERY == FRESH_EVERY - 1 for one in kills)
    print(f"{len(kills)} kills, {deep} comparisons with an index made from nothing, {wrong} wrong\n\n{table(kills)}")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
