"""Every way in which one thing in a store is damaged, and what comes of each: the table of docs/store.md.

A damaged store answers rightly, or it says so in one sentence whose remedy, followed once as it is printed, heals it.
Run as a program, it walks all of them and prints the table.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter, defaultdict
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock

from damaged_stores import NOTES, Store, write_notes

from kb.errors import KbError
from kb.store import local_chroma
from kb.store.catalog import SqliteCatalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# More than stay in ChromaDB's log: see Walk.
OTHER: Final = {
    "cat.md": "# Cat\n\nIt sleeps.\n",
    "dog.md": "# Dog\n\nIt barks at the boiler.\n",
    "hen.md": "# Hen\n\nIt lays in May.\n",
    "owl.md": "# Owl\n\nIt is awake at night.\n",
}
NOBODY: Final = 65534
SEGMENT_FILES: Final = ("data_level0.bin", "header.bin", "length.bin", "link_lists.bin", "index_metadata.pickle")
FLIPS: Final = 10
# What a person sees of a hit: path, lines, text, headings, title, tags, whether it changed, score.
Told = tuple[str, int, int, str, tuple[str, ...], str, tuple[str, ...], bool, float]


def truncated(part: float) -> Callable[[Path, Path], None]:
    """Truncate a file; to all but one byte for 1."""

    def damage(file: Path, _other: Path) -> None:
        size = file.stat().st_size
        os.truncate(file, size - 1 if part == 1 and size else int(size * part))

    return damage


def zeroed(file: Path, _other: Path) -> None:
    """Fill a file with zeros."""
    file.write_bytes(bytes(file.stat().st_size))


def deleted(file: Path, _other: Path) -> None:
    """Delete a file."""
    file.unlink()


def directory(file: Path, _other: Path) -> None:
    """Replace a file by a directory that is not empty."""
    file.unlink()
    file.mkdir()
    (file / "something").write_text("of somebody", "utf-8")


def dangling_link(file: Path, _other: Path) -> None:
    """Replace a file by a broken link."""
    file.unlink()
    file.symlink_to("/nowhere/at/all")


def link_to_other(file: Path, other: Path) -> None:
    """Replace a file by a link to the same file of another store."""
    file.unlink()
    file.symlink_to(other)


def other_file(file: Path, other: Path) -> None:
    """Replace a file by the same file of another store."""
    shutil.copy2(other, file)


def unreadable(file: Path, _other: Path) -> None:
    """Remove all permissions of a file."""
    file.chmod(0)


def flipped(number: int) -> Callable[[Path, Path], None]:
    """Flip a bit of a file, at a position that depends on the number."""

    def damage(file: Path, _other: Path) -> None:
        data = bytearray(file.read_bytes())
        if data:
            at = random.Random(f"{file.name} {number}").randrange(len(data))
            data[at] ^= 1 << (number % 8)
        file.write_bytes(data)

    return damage


DAMAGES: Final[dict[str, Callable[[Path, Path], None]]] = {
    "truncated to 0": truncated(0),
    "truncated to half": truncated(0.5),
    "a byte short": truncated(1),
    "zeroed": zeroed,
    "deleted": deleted,
    "a directory": directory,
    "a dangling link": dangling_link,
    "a link to another store's": link_to_other,
    "another store's": other_file,
    "unreadable": unreadable,
    **{f"a bit flipped ({number})": flipped(number) for number in range(FLIPS)},
}
FILES: Final = (
    "catalog.sqlite3",
    "catalog.sqlite3-wal",
    "catalog.sqlite3-shm",
    "catalog.left",
    "embeddings.sqlite3",
    "embeddings.sqlite3-wal",
    "embeddings.sqlite3-shm",
    "generation-0001/chroma.sqlite3",
    "generation-0001/kb.id",
    *(f"generation-0001/*/{name}" for name in SEGMENT_FILES),
    "current",
    "unclean",
    "left",
    "kb.lock",
    "owner.json",
)
STATEMENTS: Final = {
    "passages dropped": "DROP TABLE passages",
    "files dropped": "DROP TABLE files",
    "postings dropped": "DROP TABLE postings",
    "links dropped": "DROP TABLE links",
    "meta dropped": "DROP TABLE meta",
    "an index dropped": "DROP INDEX passages_of_file",
    "a column dropped": "ALTER TABLE passages DROP COLUMN page",
    "a trigger added": "CREATE TRIGGER t AFTER UPDATE ON files BEGIN DELETE FROM passages; END",
    "lines shifted by 100": "UPDATE passages SET first_line = first_line + 100, last_line = last_line + 100",
    "a text altered": "UPDATE passages SET text = 'The boiler is serviced by nobody.' WHERE text LIKE '%Dieter%'",
    "a text emptied": "UPDATE passages SET text = '' WHERE text LIKE '%Dieter%'",
    "headings altered": "UPDATE passages SET heading = '[\"Something\"]'",
    "digests swapped": "UPDATE passages SET digest = (SELECT max(digest) FROM passages)",
    "orders altered": "UPDATE passages SET ordinal = ordinal + 7",
    "passages removed": "DELETE FROM passages WHERE file_id = (SELECT min(id) FROM files)",
    "a passage removed": "DELETE FROM passages WHERE text LIKE '%Dieter%'",
    "passages not live": "UPDATE passages SET state = 'coming' WHERE text LIKE '%Dieter%'",
    "files removed": "DELETE FROM files WHERE CAST(name AS TEXT) = 'boiler.md'",
    "a title altered": "UPDATE files SET title = 'Another'",
    "tags altered": "UPDATE files SET tags = '[\"secret\"]'",
    "paths altered": "UPDATE files SET name = x'612e6d64' WHERE CAST(name AS TEXT) = 'boiler.md'",
    "hashes altered": "UPDATE files SET content_hash = x'00'",
    "counts altered": "UPDATE files SET live = live + 1",
    "files called failed": "UPDATE files SET state = 'failed'",
    "postings removed": "DELETE FROM postings WHERE term LIKE 'boil%'",
    "postings altered": "UPDATE postings SET data = CAST(data || data AS BLOB)",
    "all postings removed": "DELETE FROM postings",
    "ids used again": "UPDATE sqlite_sequence SET seq = 0",
    "the fingerprint altered": "UPDATE meta SET value = 'another model' WHERE key = 'fingerprint'",
    "the time altered": "UPDATE meta SET value = 'yesterday' WHERE key = 'completed'",
    "the count of the dead altered": "UPDATE meta SET value = 'many' WHERE key = 'dead'",
    "the generation altered": "UPDATE meta SET value = 'generation-0009' WHERE key = 'generation'",
    "the mounts altered": "INSERT OR REPLACE INTO meta VALUES ('mounts', '[[\"')",
    "the checksum of the words altered": "UPDATE meta SET value = 'q' WHERE key = 'keywords checksum'",
    "meta removed": "DELETE FROM meta",
    "a newer version": "PRAGMA user_version = 1000000",
    "an older version": "PRAGMA user_version = 3",
}
CACHE_STATEMENTS: Final = {
    "vectors dropped": "DROP TABLE vectors",
    "signs of vectors flipped": "UPDATE vectors SET vector = kb_flip(vector)",
    "vectors swapped": "UPDATE vectors SET vector = (SELECT vector FROM vectors ORDER BY id DESC LIMIT 1)",
    "vectors shortened": "UPDATE vectors SET vector = substr(vector, 1, 8)",
    "digests altered": "UPDATE entries SET digest = CAST(id || digest AS BLOB)",
}
WHOLE: Final = (
    "generation removed",
    "generation of another store",
    "older store",
    "catalog of before",
    "index of before",
)


def cases() -> list[tuple[str, str]]:
    """All pairs of (what, how)."""
    return [
        *((file, how) for file in FILES for how in DAMAGES),
        *(("rows of the catalog", how) for how in STATEMENTS),
        *(("rows of the cache", how) for how in CACHE_STATEMENTS),
        *(("the store", how) for how in WHOLE),
    ]


class Walk:
    """Prepared stores, and the results of damaging copies.

    Args:
        root: An empty directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        write_notes(root / "notes")
        write_notes(root / "other notes", OTHER)
        # So few passages stay in ChromaDB's log otherwise, and there would be no graph to damage.
        with mock.patch.dict(local_chroma.open_index.__kwdefaults__ or {}, {"sync_threshold": 3}):
            for name, notes in (("store", "notes"), ("other", "other notes")):
                Store(root / notes, root / name).do("kb index")
        # What a process leaves behind that was killed: logs, marks, the note of who it was.
        self._killed(root / "store", root / "killed")
        self._killed(root / "other", root / "other killed")
        write_notes(root / "notes", {"tax.md": "# Tax\n\nThe return was posted.\n"})
        shutil.copytree(root / "store", root / "later", symlinks=True)
        Store(root / "notes", root / "later").do("kb index")
        write_notes(root / "notes", NOTES)
        fresh = Store(root / "notes", root / "fresh")
        fresh.do("kb index")
        self.right = self._answers(fresh)
        self._number = 0

    @staticmethod
    def _killed(store: Path, to: Path) -> None:
        with closing(SqliteCatalog(str(store / "catalog.sqlite3"))) as catalog:
            catalog.set_meta("somebody", "was here")
            with closing(sqlite3.connect(store / "embeddings.sqlite3")) as cache, cache:
                cache.execute("UPDATE entries SET used = used + 1")
                shutil.copytree(store, to)
        (to / "unclean").touch()
        (to / "owner.json").write_text(
            '{"pid": 1, "command": "kb watch", "since": "2026-01-01T00:00:00+00:00"}', "utf-8"
        )

    @staticmethod
    def _answers(store: Store) -> list[list[Told]]:
        return [store.ask(mode) for mode in ("hybrid", "cosine", "keyword")]

    def outcome(self, what: str, how: str) -> str:
        """The result of one kind of damage, in a few words.

        Raises:
            AssertionError: It is wrong in silence, or its remedy does not heal.
        """
        self._number += 1
        path = self.root / f"damaged {self._number}"
        self._damage(path, what, how)
        store = Store(self.root / "notes", path)
        try:
            with _as_nobody(path) if how == "unreadable" else _as_we_are():
                return self._followed(store)
        finally:
            shutil.rmtree(path)

    def _damage(self, path: Path, what: str, how: str) -> None:
        left_by_kill = what.endswith(("-wal", "-shm", "unclean", "owner.json"))
        shutil.copytree(self.root / ("killed" if left_by_kill else "store"), path)
        other = self.root / ("other killed" if left_by_kill else "other")
        if what in FILES:
            (file,) = path.glob(what)
            (of_other,) = other.glob(what)
            DAMAGES[how](file, of_other)
        elif what.startswith("rows"):
            database = "catalog.sqlite3" if what.endswith("catalog") else "embeddings.sqlite3"
            with closing(sqlite3.connect(path / database)) as connection, connection:
                connection.create_function(
                    "kb_flip", 1, lambda data: bytes(b ^ 0x80 * (i % 4 == 3) for i, b in enumerate(data))
                )
                connection.execute(STATEMENTS.get(how) or CACHE_STATEMENTS[how])
        elif how == "generation removed":
            shutil.rmtree(path / "generation-0001")
        elif how == "generation of another store":
            shutil.rmtree(path / "generation-0001")
            shutil.copytree(other / "generation-0001", path / "generation-0001")
            shutil.copy2(other / "left", path / "left")
        elif how == "older store":
            _make_older(path)
        elif how == "catalog of before":
            shutil.rmtree(path)
            shutil.copytree(self.root / "later", path)
            shutil.copy2(self.root / "store" / "catalog.sqlite3", path / "catalog.sqlite3")
        else:
            for name in ("generation-0001", "left"):
                _replace(self.root / "later" / name, path / name)

    def _followed(self, store: Store) -> str:
        """Search, and follow the first remedy once; then everything must be right."""
        told, error = self._asked(store)
        if error is None and not told:
            return self._right(store, "right")
        command = _command(error.remedy if error is not None else told)
        if command.startswith("chmod"):
            for folder, _, names in os.walk(store.path):
                for name in names:
                    Path(folder, name).chmod(0o600)
        else:
            store.do(command)
        return self._right(store, f"{'an error' if error else 'told'}, healed by {command.partition(' -R')[0]}")

    def _asked(self, store: Store) -> tuple[str, KbError | None]:
        """The result of a search and a daemon: the command to run, an error, or nothing if the answers are right."""
        try:
            answers = self._answers(store)
            if answers != self.right:
                assert store.waits(), f"wrong in silence: {answers}; told {store.told}"
                return "kb index", None
            assert store.ask_daemon() == self.right[1], f"wrong in silence in a daemon; told {store.told}"
        except KbError as error:
            return "", error
        return "", None

    def _right(self, store: Store, word: str) -> str:
        """Check that everything is right now."""
        store.told.clear()
        answers = self._answers(store)
        assert answers == self.right, f"after '{word}': {answers}; told {store.told}"
        assert store.ask_daemon() == self.right[1], f"after '{word}' in a daemon; told {store.told}"
        with store.open() as kb:
            report = kb.check()
            assert not report.differences, f"after '{word}': {report.differences}"
            assert [one.path for one in kb.documents()] == sorted(NOTES)
            assert [one.tags for one in kb.documents() if one.path == "tax.md"] == [("money",)]
        return word


def _command(remedy: str) -> str:
    found = re.search(r"kb index --full|kb index|kb rebuild|chmod -R u\+rwX \S+", remedy)
    assert found, f"no command in {remedy!r}"
    return found[0]


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _make_older(path: Path) -> None:
    """Remove from a store what kb has added since its first release."""
    with closing(sqlite3.connect(path / "catalog.sqlite3")) as connection, connection:
        for statement in (
            "ALTER TABLE files DROP COLUMN crc",
            "ALTER TABLE passages DROP COLUMN crc",
            "DELETE FROM meta WHERE key IN ('generation id', 'keywords checksum')",
            "PRAGMA user_version = 5",
        ):
            connection.execute(statement)
    with closing(sqlite3.connect(path / "embeddings.sqlite3")) as connection, connection:
        connection.execute("ALTER TABLE entries DROP COLUMN crc")
        connection.execute("PRAGMA user_version = 1")
    (path / "catalog.left").unlink()
    (path / "generation-0001" / "kb.id").unlink()


@contextmanager
def _as_we_are() -> Iterator[None]:
    yield


@contextmanager
def _as_nobody(path: Path) -> Iterator[None]:
    """Run something as an unprivileged user who owns the store."""
    if os.geteuid() != 0:
        yield
        return
    for one in (path, *path.rglob("*")):
        os.chown(one, NOBODY, -1, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        with ExitStack() as stack:
            home = {"HOME": str(path), "XDG_CONFIG_HOME": str(path), "XDG_DATA_HOME": str(path)}
            stack.enter_context(mock.patch.dict(os.environ, home))
            if not os.access(sys.executable, os.X_OK, effective_ids=True):
                # This user may not run the Python of the tests, and so not the child that looks into ChromaDB's files.
                stack.enter_context(mock.patch("kb.store.probe.probe", return_value=None))
            yield
    finally:
        os.seteuid(0)


def main(shard: str = "0/1", only: str = "") -> None:
    """Test all cases, or every nth, and print the results."""
    first, step = map(int, shard.split("/"))
    root = Path(tempfile.mkdtemp(prefix="kb-walk-"))
    os.environ["HOME"] = str(root)
    root.chmod(0o755)
    walk = Walk(root)
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    failed = 0
    for what, how in cases()[first::step]:
        if only and only not in f"{what} {how}":
            continue
        try:
            word = walk.outcome(what, how)
        except Exception as error:  # noqa: BLE001  (one of many)
            failed += 1
            word = "WRONG"
            print(f"{what}, {how}: {type(error).__name__}: {error}", flush=True)  # noqa: T201
        table[what][word] += 1
        print(f"{what}\t{how}\t{word}", flush=True)  # noqa: T201
    for what, words in table.items():
        print(f"| {what} | {sum(words.values())} | {'; '.join(f'{word} {n}' for word, n in words.most_common())} |")  # noqa: T201
    print(f"{sum(sum(words.values()) for words in table.values())} damages, {failed} wrong")  # noqa: T201
    shutil.rmtree(root)


if __name__ == "__main__":
    main(*sys.argv[1:])
