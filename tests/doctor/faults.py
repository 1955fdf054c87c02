"""Faults of a small knowledge base: each is put in for real, with the check that has to find it and what mends it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chroma_server import RunningChroma

from kb.cli.main import run as run_command
from kb.cli.session import Session
from kb.doctor import folders, question
from kb.doctor.catalog_view import opened_catalog
from kb.doctor.run import fix, run
from kb.doctor.table import CHECKS
from kb.records import Hit
from kb.service.address import PROTOCOL, addresses_of
from kb.service.listen import listen
from kb.service.server import DaemonServer, Handlers
from kb.store.lock import StoreLock
from kb.watching import mounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from examined import World

    from kb.doctor.case import Case
    from kb.records import SearchRequest

# A word that stands in a file, a file's name, a folder's name and a tag, and in nothing that kb says.
MARKER: Final = "Quetzalcoatlus"
DAY: Final = 86_400.0


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        check: The check that has to find it.
        state: How it has to find it.
        says: A part of what it has to say.
        remedy: A part of the remedy that it has to name.
        put: Puts it in.
        mend: Follows the remedy; None where that would mend nothing here, such as to install a package.
    """

    check: str
    state: str
    says: str
    remedy: str
    put: Callable[[World], object]
    mend: Callable[[World], object] | None = None


def kb(*arguments: str) -> None:
    """Run a command of kb in this process."""
    assert run_command(arguments, Session()) == 0


def with_fix(world: World) -> None:
    """What ``kb doctor --fix`` does."""
    made = list(fix(list(run(CHECKS, world.case()))))
    assert made
    assert not [one.problem for one in made if one.problem]


def index(world: World) -> None:
    """``kb index``."""
    world.index()


def rebuild(world: World) -> None:
    """``kb rebuild``."""
    world.rebuild()


# --- The configuration and the folders -----------------------------------------------------------------------------


def as_user(world: World) -> None:
    """Have the rights of files bind this process, also where root runs the tests."""
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        return

    def allowed(path: str | Path, rights: int) -> bool:
        found = Path(path)
        around = [one for one in found.parents if one.is_relative_to(world.root)]
        needed = [(found, rights), *((one, os.X_OK) for one in around)]
        return found.exists() and all(one.stat().st_mode >> 6 & need == need for one, need in needed)

    world.monkeypatch.setattr(os, "access", allowed)


def closed(find: Callable[[World], Path], mode: int = 0) -> Callable[[World], None]:
    """A file or folder that its owner may not use."""

    def put(world: World) -> None:
        as_user(world)
        place = find(world)
        before = stat.S_IMODE(place.stat().st_mode)
        place.chmod(mode)
        world.closing.append(lambda: place.chmod(before) if place.exists() else None)

    return put


def remedy_run(check: str) -> Callable[[World], None]:
    """Run the command that a check names, in a shell."""

    def mend(world: World) -> None:
        command = world.finding(check).remedy.command
        subprocess.run(["/bin/sh", "-c", command], check=True, env={"PATH": "/usr/bin:/bin"})

    return mend


def variable(name: str, value: str) -> Callable[[World], None]:
    """A variable of the environment."""
    return lambda world: world.monkeypatch.setenv(name, value)


def variable_unset(name: str) -> Callable[[World], None]:
    """The variable is removed."""
    return lambda world: world.monkeypatch.delenv(name)


def configuration_in_utf16(world: World) -> None:
    """A configuration that an editor of Windows saved."""
    world.config.write_text(world.config.read_text("utf-8"), "utf-16")


def configuration_is_a_folder(world: World) -> None:
    """A folder where the configuration was."""
    world.config.unlink()
    world.config.mkdir()


def configuration_folder_moved(world: World) -> None:
    """What the remedy says."""
    world.config.rename(f"{world.config}.old")
    configuration_made(world)


def configuration_leads_nowhere(world: World) -> None:
    """A link into a folder of dotfiles that is not here."""
    world.config.unlink()
    world.config.symlink_to("dotfiles/config.toml")


def configuration_link_replaced(world: World) -> None:
    """What the remedy says."""
    world.config.unlink()
    configuration_made(world)


def folder_leads_nowhere(world: World) -> None:
    """The configured folder is a link, and its target is gone."""
    link = world.root / "linked"
    link.symlink_to(world.root / "gone")
    world.configure(folders__paths=[str(link)])


def two_notes_closed(world: World) -> None:
    """A folder and a file beside it."""
    closed(lambda world: world.notes / f"{MARKER} letters")(world)
    closed(lambda world: next(world.notes.glob("*.*")))(world)


def store_leads_nowhere(world: World) -> None:
    """The store is a link to a drive that is not there."""
    world.store.rename(world.root / "drive")
    world.store.symlink_to(world.root / "mnt" / "store")


def mounted_read_only(world: World) -> None:
    """A file system that went read-only, as after an error of the disk."""
    world.monkeypatch.setattr("kb.doctor.store._is_mounted_read_only", lambda _path: True)


def absent_on_read_only(world: World) -> None:
    """The same, before the first run."""
    shutil.rmtree(world.store)
    mounted_read_only(world)


def store_drive_back(world: World) -> None:
    """The drive is mounted again."""
    (world.root / "mnt").mkdir()
    (world.root / "drive").rename(world.root / "mnt" / "store")


def append(text: str) -> Callable[[World], None]:
    """Lines at the end of the configuration."""

    def put(world: World) -> None:
        with world.config.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{text}\n")

    return put


def mistyped(world: World) -> None:
    """A key with a typing error."""
    text = world.config.read_text("utf-8")
    assert "[search]\n" in text
    world.config.write_text(text.replace("[search]\n", "[search]\nlimti = 3\n"), "utf-8")


def configured(**values: object) -> Callable[[World], None]:
    """Values in the configuration."""
    return lambda world: world.configure(**values)


def configuration_removed(world: World) -> None:
    """Configuration removed."""
    world.config.unlink()


def configuration_made(world: World) -> None:
    """Configuration made."""
    kb("init", "--model", world.encoder.located.name, str(world.notes))


def configuration_of_a_stranger(world: World) -> None:
    """A cloned folder has a configuration that wants to read something else."""
    (world.here / "config.toml").write_text(f'[folders]\npaths = ["{world.notes}"]\n', "utf-8")


def configuration_trusted(world: World) -> None:
    """Configuration trusted."""
    kb("config", "--trust", str(world.here / "config.toml"))


def folder_moved(world: World) -> None:
    """Folder moved."""
    world.notes.rename(world.root / "elsewhere")


def folder_made(world: World) -> None:
    """Folder made."""
    world.notes.mkdir()


def folder_is_a_file(world: World) -> None:
    """Folder is a file."""
    folder_moved(world)
    world.notes.write_text("x", "utf-8")


def folder_silent(world: World) -> None:
    """A drive that went away blocks whoever lists it."""
    world.monkeypatch.setattr(folders, "_SECONDS", 0.5)
    never = threading.Event()
    world.closing.append(never.set)
    world.monkeypatch.setattr(folders, "_is_empty", lambda _path: never.wait(120))


def folder_in_another(world: World) -> None:
    """Folder in another."""
    inner = next(path for path in world.notes.iterdir() if path.is_dir())
    world.configure(folders__paths=[str(world.notes), str(inner)])


def folder_emptied(world: World) -> None:
    """A mount point whose drive is not there."""
    folder_moved(world)
    world.notes.mkdir()


def deletions_accepted(world: World) -> None:
    """Deletions accepted."""
    with world.opened() as opened:
        opened.index(accept_deletions=True)


# --- The store -----------------------------------------------------------------------------------------------------


def store_is_a_file(world: World) -> None:
    """Store is a file."""
    shutil.rmtree(world.store)
    world.store.write_text("x", "utf-8")


def store_set_aside(world: World) -> None:
    """Store set aside."""
    world.store.rename(f"{world.store}.old")
    world.index()


def store_absent(world: World) -> None:
    """Store absent."""
    shutil.rmtree(world.store)


def store_of_another_program(world: World) -> None:
    """Store of another program."""
    (world.store / "chroma.sqlite3").write_bytes(b"")


def disk_full(world: World) -> None:
    """Disk full."""
    usage = shutil.disk_usage(world.root)._replace(free=1_000_000)
    world.monkeypatch.setattr("kb.doctor.store.shutil.disk_usage", lambda _path: usage)


def store_open_to_others(world: World) -> None:
    """Store open to others."""
    world.store.chmod(0o755)
    (world.store / "catalog.sqlite3").chmod(0o644)


def record_of_a_dead_process(world: World) -> None:
    """Record of a dead process."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record = {"pid": ended.pid, "command": "kb index", "since": "2026-11-01T10:00:00+00:00"}
    (world.store / "owner.json").write_text(json.dumps(record), "utf-8")


def record_unreadable(world: World) -> None:
    """Record unreadable."""
    (world.store / "owner.json").write_text("{{", "utf-8")


def record_removed(world: World) -> None:
    """Remove the record; a question that was asked meanwhile did so too."""
    (world.store / "owner.json").unlink(missing_ok=True)


def unfinished_files(world: World) -> None:
    """Unfinished files."""
    (world.store / "generation-0099").mkdir()
    (world.store / "restoring").mkdir()
    (world.store / f"copying-{10**20}-x").mkdir()
    draft = world.store / "catalog.left.new"
    draft.write_text("[]", "utf-8")
    os.utime(draft, (0, 0))


def damaged_set_aside(world: World) -> None:
    """Damaged set aside."""
    aside = world.store / "damaged-20261101T100000.000000Z"
    aside.mkdir()
    (aside / "data").write_bytes(bytes(1000))


def cache_set_aside(world: World) -> None:
    """A damaged cache set aside."""
    world.store.joinpath("embeddings.sqlite3.damaged").write_bytes(bytes(1000))


def cache_deleted(world: World) -> None:
    """The damaged cache is removed, and the present one stays."""
    world.store.joinpath("embeddings.sqlite3.damaged").unlink()


# --- The daemon ----------------------------------------------------------------------------------------------------


def hold(world: World, command: str = "kb watch") -> None:
    """Hold the store, as a daemon does."""
    held = StoreLock(str(world.store), command).acquire()
    world.closing.append(held.release)


def served(version: str = "", **status: object) -> Callable[[World], None]:
    """A daemon that answers what it is asked for its state, and nothing else."""

    def put(world: World) -> None:
        from kb import __version__

        hold(world)
        told = {
            "pid": os.getpid(), "version": version or __version__, "protocol": PROTOCOL, "state": "watching",
            "reason": "", "waiting": 0, "watched": 2, "errors": [], **status,
        }  # fmt: skip
        handlers = Handlers(run=lambda _request, _output: 0, status=lambda: told, stop=lambda: None)
        listening = listen(str(world.store), os.environ)
        server = DaemonServer(listening, str(world.store), str(told["version"]), handlers)
        server.start()
        world.closing.append(server.close)
        # It has no index to ask; the test of a real daemon asks one.
        world.monkeypatch.setattr(question, "_hits", _found)

    return put


def _found(case: Case, request: SearchRequest, _told: list[str], *, through_daemon: bool) -> tuple[Hit, ...]:
    """The hit that a question has to have."""
    assert through_daemon
    with opened_catalog(case) as view:
        passage = next(one for one in view.passages(100) if " ".join(one.text.split()).startswith(request.question))
    return (Hit(1, passage, 0.9, 0.4),)


def daemon_silent(world: World) -> None:
    """A daemon that is suspended: the system accepts connections for it."""
    world.monkeypatch.setattr("kb.doctor.case.ANSWER_SECONDS", 0.5)
    hold(world)
    listening = listen(str(world.store), os.environ)
    world.closing += [listening.remove, listening.socket.close]


def daemon_out_of_reach(world: World) -> None:
    """A daemon whose socket is in the runtime folder of another session."""
    world.monkeypatch.setattr("kb.doctor.daemon._RETURNS_SECONDS", 0.5)
    hold(world)


def socket_of_a_dead_daemon(world: World) -> None:
    """Socket of a dead daemon."""
    listening = listen(str(world.store), os.environ)
    listening.socket.close()


def socket_folder_open(world: World) -> None:
    """Socket folder open."""
    folder = Path(addresses_of(str(world.store), os.environ)[0]).parent
    folder.mkdir(parents=True)
    folder.chmod(0o755)


def few_watches(world: World) -> None:
    """Few watches."""
    (world.root / "inotify" / "max_user_watches").write_text("1\n", "ascii")


def more_watches(world: World) -> None:
    """More watches."""
    finding = world.finding("watcher")
    name, number = finding.remedy.command.removeprefix("sudo sysctl fs.inotify.").split("=")
    (world.root / "inotify" / name).write_text(f"{number}\n", "ascii")


def few_instances(world: World) -> None:
    """Few instances."""
    (world.root / "inotify" / "max_user_instances").write_text("0\n", "ascii")


def network_drive(world: World) -> None:
    """Network drive."""
    table = world.root / "mountinfo"
    escaped = str(world.notes).replace(" ", "\\040")
    table.write_text(f"30 20 0:26 / {escaped} rw - nfs4 server:/export rw\n", "utf-8")
    world.monkeypatch.setattr(mounts, "_MOUNTINFO", table)


# --- What the store holds ------------------------------------------------------------------------------------------


def catalog_overwritten(world: World) -> None:
    """Catalog overwritten."""
    file = world.store / "catalog.sqlite3"
    data = bytearray(file.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    file.write_bytes(bytes(data))
    for beside in ("-wal", "-shm"):
        Path(f"{file}{beside}").unlink(missing_ok=True)


def change_catalog(statement: str, *values: object) -> Callable[[World], None]:
    """Have another program change the catalog."""

    def put(world: World) -> None:
        connection = sqlite3.connect(world.store / "catalog.sqlite3")
        connection.execute(statement, values)
        connection.commit()
        connection.close()

    return put


def catalog_gone(world: World) -> None:
    """The catalog alone was deleted."""
    for file in world.store.glob("catalog.sqlite3*"):
        file.unlink()


def catalog_empty(world: World) -> None:
    """A file system that lost the content in a power cut."""
    catalog_gone(world)
    (world.store / "catalog.sqlite3").touch()


def catalog_is_a_folder(world: World) -> None:
    """A folder where the catalog was."""
    catalog_gone(world)
    (world.store / "catalog.sqlite3").mkdir()


def other_configuration(world: World) -> None:
    """A second configuration, with another folder, names the same store."""
    other = world.root / "other notes"
    other.mkdir()
    second = world.config.with_name("second.toml")
    text = world.config.read_text("utf-8").replace(str(world.notes), str(other))
    second.write_text(text, "utf-8")
    world.monkeypatch.setenv("KB_CONFIG", str(second))


def other_store(world: World) -> None:
    """Other store."""
    world.monkeypatch.setenv("KB_STORE__PATH", str(world.root / "another store"))
    world.index()


def file_unreadable(world: World) -> None:
    """File unreadable."""
    (world.notes / "data.md").write_bytes(bytes(range(256)) * 20)
    world.index()


def file_removed(world: World) -> None:
    """File removed."""
    (world.notes / "data.md").unlink()
    world.index()


def generation(world: World) -> Path:
    """The folder of the vector index."""
    return world.store / (world.store / "current").read_text("utf-8").strip()


def vectors_removed(world: World) -> None:
    """Vectors removed."""
    shutil.rmtree(generation(world))


def vectors_of_another_store(world: World) -> None:
    """Vectors of another store."""
    (generation(world) / "kb.id").write_text("0" * 32, "utf-8")


def vectors_not_closed(world: World) -> None:
    """Vectors not closed."""
    (world.store / "unclean").write_text("", "utf-8")


def vectors_changed(world: World) -> None:
    """Vectors changed."""
    with next(generation(world).glob("*/data_level0.bin")).open("ab") as stream:
        stream.write(b"x")


def graph_cut(world: World) -> None:
    """The file of the graph was cut off."""
    file = next(generation(world).glob("*/data_level0.bin"))
    os.truncate(file, file.stat().st_size // 2)


def graph_bit(world: World) -> None:
    """One bit of the graph is another, at the same size."""
    file = next(generation(world).glob("*/data_level0.bin"))
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 4
    file.write_bytes(bytes(data))


def database_of_vectors_overwritten(world: World) -> None:
    """A page of Chroma's database, at the same size."""
    file = generation(world) / "chroma.sqlite3"
    data = bytearray(file.read_bytes())
    data[8192:12288] = b"Z" * 4096
    file.write_bytes(bytes(data))


def vectors_copied(world: World) -> None:
    """A copy that did not keep the times of files."""
    os.utime(generation(world) / "chroma.sqlite3", (1, 1))


def other_generation_named(world: World) -> None:
    """The record of the index in use names one that is not there, and the one that is there is no leftover."""
    (world.store / "current").write_text("generation-0077", "utf-8")


def on_server(world: World) -> RunningChroma:
    """Have a Chroma server keep the vectors."""
    server = RunningChroma(world.root / "chroma").start()
    world.closing.append(server.kill)
    world.configure(store__chroma=server.url, store__headers_file=str(_headers(world)))
    world.index()
    return server


def _headers(world: World) -> Path:
    file = world.root / "headers"
    file.write_text("x-chroma-token: secret\n", "ascii")
    file.chmod(0o600)
    return file


def headers_readable(world: World) -> None:
    """Headers that others can read."""
    on_server(world)
    (world.root / "headers").chmod(0o644)


def headers_private(world: World) -> None:
    """What the remedy says."""
    (world.root / "headers").chmod(0o600)


def server_away(world: World) -> None:
    """A Chroma server that was killed."""
    on_server(world).kill()


def server_back(world: World) -> None:
    """The server in its folder, at another port."""
    server = RunningChroma(world.root / "chroma").start()
    world.closing.append(server.kill)
    world.configure(store__chroma=server.url)


def server_emptied(world: World) -> None:
    """A Chroma server whose collections were deleted."""
    on_server(world).empty()


def server_changed(world: World) -> None:
    """Another program replaced a vector by one of its own, so that there are as many as before."""
    server = on_server(world)
    with server.client() as client:
        collection = client.get_collection("passages-0001", embedding_function=None)
        collection.delete(ids=collection.get()["ids"][:1])
        collection.add(ids=["another"], embeddings=[[0.1] * world.encoder.dimension])


def collection_of_another_program(world: World) -> None:
    """Another program marked the collection as its own."""
    server = on_server(world)
    with server.client() as client:
        client.get_collection("passages-0001", embedding_function=None).modify(metadata={"owner": "another"})


def other_collection(world: World) -> None:
    """What the remedy says."""
    text = world.config.read_text("utf-8")
    assert "[store]\n" in text
    world.config.write_text(text.replace("[store]\n", '[store]\ncollection = "notes"\n'), "utf-8")
    world.index()


def cache_overwritten(world: World) -> None:
    """Cache overwritten."""
    (world.store / "embeddings.sqlite3").write_bytes(b"This is no database, but a text. " * 200)


def cache_removed(world: World) -> None:
    """Cache removed."""
    for file in world.store.glob("embeddings.sqlite3*"):
        file.unlink()


def cache_is_a_folder(world: World) -> None:
    """A folder where the cache was."""
    cache_removed(world)
    (world.store / "embeddings.sqlite3").mkdir()


def cache_swapped(world: World) -> None:
    """All vectors are those of other texts, with checksums that say they are right."""
    with world.opened() as opened:
        container = opened._container
        digests = [digest for _, _, digest in container.catalog.with_vectors()]
        vectors = container.cache.get(world.encoder.fingerprint, digests)
    connection = sqlite3.connect(world.store / "embeddings.sqlite3")
    connection.executescript("DELETE FROM vectors; DELETE FROM entries")
    connection.close()
    with world.opened() as opened:
        opened._container.cache.put(world.encoder.fingerprint, {digest: -one for digest, one in vectors.items()})


def clock_set_back(world: World) -> None:
    """Clock set back."""
    world.now = time.time() - 3 * DAY


def clock_set(world: World) -> None:
    """Clock set."""
    world.now = None


def file_of_the_future(world: World) -> None:
    """A file from a camera or another machine."""
    file = next(world.notes.glob("*.*"))
    os.utime(file, (time.time() + 40 * DAY,) * 2)
    world.index()


def new_times_of_the_future(world: World) -> None:
    """Two files got another time since the last run."""
    for file in list(world.notes.glob("*.*"))[:2]:
        os.utime(file, (time.time() + 40 * DAY,) * 2)


def touched_by_remedy(world: World) -> None:
    """The first half of the remedy, in a shell; then the index run."""
    command = world.finding("clocks").remedy.command
    first, _, second = command.partition(" && ")
    assert second == "kb index"
    subprocess.run(["/bin/sh", "-c", first], check=True, env={"PATH": "/usr/bin:/bin"})
    world.index()


def file_touched(world: World) -> None:
    """File touched."""
    for file in world.notes.glob("*.*"):
        os.utime(file)
    world.index()


# --- The model -----------------------------------------------------------------------------------------------------


def model_absent(offline: bool) -> Callable[[World], None]:
    """A model that is not on this machine."""

    def put(world: World) -> None:
        world.monkeypatch.setenv("HF_HUB_CACHE", str(world.root / "hub"))
        world.monkeypatch.setenv("KB_MODELS", str(world.root / "models"))
        from huggingface_hub import constants

        world.monkeypatch.setattr(constants, "HF_HUB_CACHE", str(world.root / "hub"))
        world.real_encoder = True
        world.configure(embed__model="BAAI/bge-m3", embed__offline=offline)

    return put


def model_back(world: World) -> None:
    """The bundled model, as ``kb model use`` sets it."""
    world.real_encoder = False
    world.configure()


def model_directory_absent(world: World) -> None:
    """Model directory absent."""
    world.real_encoder = True
    world.configure(embed__model=str(world.root / "no model"))


def model_switched(world: World) -> None:
    """The store was made with another model than the configured one."""
    change_catalog("UPDATE meta SET value = 'another/model@1 cls unit float 8' WHERE key = 'fingerprint'")(world)


def indexed_in_full(world: World) -> None:
    """Indexed in full."""
    with world.opened() as opened:
        opened.index(full=True)


def export_failed(world: World) -> None:
    """The daemon tried to export the model, and failed."""
    from kb.embedding.onnx_files import write_failure

    world.real_encoder = True
    world.monkeypatch.setenv("KB_MODELS", str(world.root / "models"))
    write_failure(world.encoder.located, "out of memory")


def no_form(world: World) -> None:
    """ONNX Runtime is configured, and there is no form for it."""
    world.real_encoder = True
    world.monkeypatch.setenv("KB_MODELS", str(world.root / "models"))
    world.configure(embed__runtime="onnx")


def form_made(world: World) -> None:
    """What ``kb model export`` makes."""
    world.monkeypatch.setenv("KB_MODELS", world.forms)


def form_damaged(world: World) -> None:
    """A bit of the ONNX form flipped; all other files are links to the sound ones."""
    from kb.embedding.onnx_files import export_folder, read_exports

    sound = Path(os.environ["KB_MODELS"])
    form = next(one for one in read_exports(export_folder(world.encoder.located)) if one.form == "float32")
    graph = form.path.relative_to(sound)
    world.in_full()
    shutil.copytree(sound, world.root / "models", copy_function=_linked)
    damaged = world.root / "models" / graph
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.unlink()
    damaged.write_bytes(bytes(data))
    world.monkeypatch.setenv("KB_MODELS", str(world.root / "models"))


def _linked(source: str, target: str) -> None:
    Path(target).symlink_to(source)


def little_memory(world: World) -> None:
    """Little memory."""
    (world.root / "meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 100000 kB\n", "ascii")


# --- Privacy and programs ------------------------------------------------------------------------------------------


def sandbox_does_not_start(world: World) -> None:
    """The Python of the process that parses documents is gone."""
    world.in_full()
    world.monkeypatch.setattr(sys, "executable", "/bin/false")
    # That kb cannot be found either is another fault.
    world.monkeypatch.setattr(sys, "argv", [str(world.bin / "kb")])


def switch_undone(world: World) -> None:
    """Switch undone."""
    world.monkeypatch.setenv("HF_XET_TELEMETRY_ENABLED", "1")


def switch_set(world: World) -> None:
    """Switch set."""
    words = world.finding("telemetry").remedy.command.removeprefix("export ").split("=")
    world.monkeypatch.setenv(words[0], words[1])


def not_installed(name: str) -> Callable[[World], None]:
    """A library of an extra that is not installed."""

    def put(world: World) -> None:
        real = importlib.util.find_spec
        world.monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == name else real(wanted))

    return put


def model_without_llm(world: World) -> None:
    """Model without llm."""
    world.configure(answer__model="some-model")
    not_installed("llm")(world)


def library_missing(world: World) -> None:
    """Library missing."""
    listed = [*(metadata.requires("localkb") or ()), "no-such-library>=1"]
    world.monkeypatch.setattr(metadata, "requires", lambda _name: listed)


def tesseract_without_languages(world: World) -> None:
    """A Tesseract that knows English alone."""
    script = world.bin / "tesseract"
    script.write_text("#!/bin/sh\necho 'List of available languages (2):'\necho eng\necho osd\n", "ascii")
    script.chmod(0o755)
    world.configure(documents__ocr=True, documents__ocr_languages="eng+deu")


def another_kb_first(world: World) -> None:
    """Another kb first."""
    script = world.bin / "kb"
    script.write_text("#!/bin/sh\necho another program\n", "ascii")


def no_kb(world: World) -> None:
    """No kb."""
    (world.bin / "kb").unlink()


def kb_on_path(world: World) -> None:
    """What the remedy says, in a folder of the test: the folder of this Python need not have kb."""
    script = world.bin / "kb"
    script.write_text(f"#!{sys.executable}\n", "utf-8")
    script.chmod(0o755)


# --- What starts kb ------------------------------------------------------------------------------------------------


def service_installed(world: World, *, enabled: bool = True) -> Path:
    """The service file, as ``kb watch --install-service`` writes it."""
    kb("watch", "--install-service")
    (file,) = (world.root / "home" / "config" / "systemd" / "user").glob("kb-*.service")
    if enabled:
        wants = file.parent / "default.target.wants"
        wants.mkdir()
        (wants / file.name).symlink_to(file)
    return file


def service_of_a_removed_program(world: World) -> None:
    """Service of a removed program."""
    file = service_installed(world)
    file.write_text(file.read_text("utf-8").replace(sys.executable, "/opt/removed/bin/python"), "utf-8")


def service_of_a_removed_configuration(world: World) -> None:
    """Service of a removed configuration."""
    file = service_installed(world)
    file.write_text(file.read_text("utf-8").replace("config.toml", "former.toml"), "utf-8")


def service_in_a_removed_folder(world: World) -> None:
    """Where the unit was installed from is no more, and systemd starts nothing in it."""
    file = service_installed(world)
    file.write_text(
        file.read_text("utf-8").replace(f"WorkingDirectory={world.here}", "WorkingDirectory=/gone"), "utf-8"
    )


def service_edited(world: World) -> None:
    """A program that is gone, behind a sign that has systemd overlook its failure."""
    file = service_installed(world)
    file.write_text(
        file.read_text("utf-8").replace(f'ExecStart="{sys.executable}', 'ExecStart=-"/gone/python'), "utf-8"
    )


def service_not_enabled(world: World) -> None:
    """Service not enabled."""
    service_installed(world, enabled=False)


def client_entry(world: World, *command: str) -> None:
    """The entry of kb in the configuration of Cursor."""
    file = world.root / "home" / ".cursor" / "mcp.json"
    file.parent.mkdir()
    servers = {"kb": {"command": command[0], "args": list(command[1:])}}
    file.write_text(json.dumps({"mcpServers": servers}), "utf-8")


def client_of_a_removed_program(world: World) -> None:
    """Client of a removed program."""
    client_entry(world, "/opt/removed/bin/kb", "--config", str(world.config), "mcp")


def client_of_a_removed_configuration(world: World) -> None:
    """Client of a removed configuration."""
    client_entry(world, sys.executable, "-P", "-m", "kb", "--config", f"{world.config}.old", "mcp")


def client_of_a_configuration_in_one_word(world: World) -> None:
    """The option and its value are one word."""
    client_entry(world, sys.executable, "-P", "-m", "kb", f"--config={world.config}.old", "mcp")


def client_of_a_configuration_in_a_variable(world: World) -> None:
    """The client sets a variable for kb."""
    client_entry(world, sys.executable, "-P", "-m", "kb", "mcp")
    file = world.root / "home" / ".cursor" / "mcp.json"
    values = json.loads(file.read_text("utf-8"))
    values["mcpServers"]["kb"]["env"] = {"KB_CONFIG": f"{world.config}.old"}
    file.write_text(json.dumps(values), "utf-8")


def client_of_nothing(world: World) -> None:
    """An entry without a command."""
    client_entry(world, "kb")
    (world.root / "home" / ".cursor" / "mcp.json").write_text('{"mcpServers": {"kb": {"args": ["mcp"]}}}', "utf-8")


def client_file_cut(world: World) -> None:
    """A file with kb in it that was cut off."""
    client_of_nothing(world)
    (world.root / "home" / ".cursor" / "mcp.json").write_text('{"mcpServers": {"kb": {"command": "kb"', "utf-8")


def client_mended(world: World) -> None:
    """What ``kb mcp install cursor`` writes; that command also starts kb, which takes seconds."""
    shutil.rmtree(world.root / "home" / ".cursor")
    client_entry(world, sys.executable, "-P", "-m", "kb", "--config", str(world.config), "mcp")


def client_file_invalid(world: World) -> None:
    """Client file invalid."""
    client_entry(world, "kb")
    (world.root / "home" / ".cursor" / "mcp.json").write_text("{ this is no JSON", "utf-8")


def client_without_extra(world: World) -> None:
    """Client without extra."""
    client_entry(world, sys.executable, "-P", "-m", "kb", "--config", str(world.config), "mcp")
    real = importlib.util.find_spec
    world.monkeypatch.setattr(importlib.util, "find_spec", lambda one: None if one == "mcp" else real(one))


def pending(world: World) -> None:
    """A run was killed before it was done with a file."""
    change_catalog("UPDATE files SET state = 'pending' WHERE id = (SELECT min(id) FROM files)")(world)


def stopped_amid_embedding(world: World) -> None:
    """A run was stopped once a new note was found by its words."""
    (world.notes / "new.md").write_text("# New\n\nThe ferry leaves at seven.\n", "utf-8")
    with world.opened() as opened:
        opened.update()


FAULTS: Final[dict[str, Fault]] = {
    "library missing": Fault(
        "installation", "failed", "no-such-library", "-m pip install no-such-library", library_missing
    ),
    "another kb first": Fault(
        "program", "warning", "finds another kb first", "export PATH=", another_kb_first, kb_on_path
    ),
    "no kb on the path": Fault("program", "warning", "the shell finds no kb", "export PATH=", no_kb, kb_on_path),
    "configuration not TOML": Fault(
        "configuration", "failed", "not valid TOML", "config.toml", append("[broken"), configured()
    ),
    "unknown key": Fault(
        "configuration",
        "failed",
        "did you mean search.limit?",
        "Correct it",
        mistyped,
        configured(),
    ),
    "wrong value": Fault(
        "configuration", "failed", "expected one of", "Correct it", configured(search__mode="best"), configured()
    ),
    "no folder named": Fault(
        "configuration",
        "failed",
        "names no folder",
        "kb init --add FOLDER",
        configured(folders__paths=[]),
        configured(),
    ),
    "no configuration": Fault(
        "configuration",
        "failed",
        "there is no configuration",
        "kb init FOLDER",
        configuration_removed,
        configuration_made,
    ),
    "variable of the environment wrong": Fault(
        "configuration",
        "failed",
        "expected a whole number",
        "unset KB_CHUNK__MAX_TOKENS",
        variable("KB_CHUNK__MAX_TOKENS", "many"),
        variable_unset("KB_CHUNK__MAX_TOKENS"),
    ),
    "variable of the environment unknown": Fault(
        "configuration",
        "failed",
        "did you mean embed.model?",
        "unset KB_EMBED__MODLE",
        variable("KB_EMBED__MODLE", "all-MiniLM-L6-v2"),
        variable_unset("KB_EMBED__MODLE"),
    ),
    "variable names no configuration": Fault(
        "configuration",
        "failed",
        "which is not a file",
        "unset KB_CONFIG",
        variable("KB_CONFIG", "/nowhere/config.toml"),
        variable_unset("KB_CONFIG"),
    ),
    "folder of an unknown user": Fault(
        "configuration",
        "failed",
        "there is no user",
        "Correct it",
        configured(folders__paths=["~nobody-of-this-name/notes"]),
        configured(),
    ),
    "configuration in UTF-16": Fault(
        "configuration", "failed", "is not UTF-8 text", "Save it as UTF-8", configuration_in_utf16, configured()
    ),
    "configuration is a folder": Fault(
        "configuration",
        "failed",
        "is a folder",
        "config.toml.old && kb init FOLDER",
        configuration_is_a_folder,
        configuration_folder_moved,
    ),
    "configuration leads nowhere": Fault(
        "configuration",
        "failed",
        "leads to no file",
        "config.toml && kb init FOLDER",
        configuration_leads_nowhere,
        configuration_link_replaced,
    ),
    "configuration not trusted": Fault(
        "trust", "failed", "folders.paths", "kb config --trust", configuration_of_a_stranger, configuration_trusted
    ),
    "folder missing": Fault("folders", "failed", "does not exist", "mkdir -p", folder_moved, folder_made),
    "folder is a file": Fault("folders", "failed", "is not a folder", "folders.paths in", folder_is_a_file),
    "folder leads nowhere": Fault(
        "folders", "failed", "linked leads to", "mkdir -p", folder_leads_nowhere, configured()
    ),
    "notes closed": Fault(
        "permissions", "failed", "not be read by you: 2", "chmod -R u+rwX", two_notes_closed, remedy_run("permissions")
    ),
    "folder on a dead drive": Fault("folders", "failed", "does not answer within", "umount -l", folder_silent),
    "folder in another": Fault("overlap", "warning", "lies in", "folders.paths", folder_in_another, configured()),
    "store is a file": Fault("store", "failed", "is not a folder", "mv ", store_is_a_file, store_set_aside),
    "store leads nowhere": Fault(
        "store", "failed", "which does not exist", "mkdir -p", store_leads_nowhere, store_drive_back
    ),
    "store mounted read-only": Fault(
        "store", "warning", "not written", "sudo mount -o remount,rw /", mounted_read_only
    ),
    "store absent and read-only": Fault(
        "store", "failed", "cannot be written", "sudo mount -o remount,rw /", absent_on_read_only
    ),
    "store closed": Fault(
        "store",
        "failed",
        "may not be read",
        "chmod -R u+rwX",
        closed(lambda world: world.store),
        remedy_run("store"),
    ),
    "catalog read-only": Fault(
        "store",
        "failed",
        "catalog.sqlite3 may not be read and written",
        "chmod -R u+rwX",
        closed(lambda world: world.store / "catalog.sqlite3", 0o400),
        remedy_run("store"),
    ),
    "vectors closed": Fault(
        "store",
        "failed",
        "may not be read and written",
        "chmod -R u+rwX",
        closed(generation),
        remedy_run("store"),
    ),
    "store absent": Fault("store", "warning", "nothing is indexed yet", "kb index", store_absent, index),
    "store of another program": Fault(
        "store", "failed", "that kb did not make", "Set store.path", store_of_another_program, other_store
    ),
    "disk full": Fault("disk", "failed", "1 MB are free", "du -xhd1", disk_full),
    "store open to others": Fault("access", "warning", "mode 0755", "chmod -R go-rwx", store_open_to_others, with_fix),
    "record of a dead process": Fault(
        "lock", "warning", "which has ended", "owner.json", record_of_a_dead_process, record_removed
    ),
    "record unreadable": Fault("lock", "warning", "cannot be read", "rm ", record_unreadable, record_removed),
    "socket folder open": Fault("socket", "failed", "mode 0755", "chmod 700", socket_folder_open, with_fix),
    "socket of a dead daemon": Fault("daemon", "warning", "left its socket", "rm ", socket_of_a_dead_daemon, with_fix),
    "daemon silent": Fault("daemon", "failed", "does not answer", "kill -9", daemon_silent),
    "daemon out of reach": Fault("daemon", "failed", "cannot be reached", "kb watch --background", daemon_out_of_reach),
    "daemon of another version": Fault(
        "version", "failed", "runs kb 0.0.9", "kb watch --stop && kb watch --background", served("0.0.9")
    ),
    "daemon with other commands": Fault(
        "version", "failed", "with other commands", "kb watch --stop && kb watch --background", served(protocol="2-0")
    ),
    "daemon with errors": Fault(
        "daemon", "warning", "last index run failed: the disk is full", "kb index", served(errors=["the disk is full"])
    ),
    "daemon blind": Fault(
        "watcher",
        "failed",
        "notices no changes",
        "kb watch --stop",
        served(state="blind", reason="The watcher has ended"),
    ),
    "few watches": Fault("watcher", "warning", "max_user_watches is 1", "sudo sysctl", few_watches, more_watches),
    "few instances": Fault("watcher", "warning", "max_user_instances is 0", "sudo sysctl", few_instances),
    "network drive": Fault("watcher", "warning", "nfs4", "watch.poll_seconds=5", network_drive),
    "catalog overwritten": Fault("catalog", "failed", "damaged", "kb index", catalog_overwritten, index),
    "catalog gone": Fault("catalog", "failed", "missing from the store", "kb index", catalog_gone, index),
    "catalog empty": Fault("catalog", "failed", "is empty", "kb index", catalog_empty, index),
    "catalog is a folder": Fault("catalog", "failed", "is a folder", "kb index", catalog_is_a_folder, index),
    "row changed": Fault(
        "checksums",
        "failed",
        "rows of 1 files",
        "kb index",
        change_catalog("UPDATE files SET title = CAST('other' AS BLOB) WHERE id = (SELECT min(id) FROM files)"),
        index,
    ),
    "store of another configuration": Fault(
        "owner", "failed", "has other folders", "index --take-over", other_configuration, other_store
    ),
    "run interrupted": Fault("files", "warning", "1 files wait", "kb index", pending, index),
    "run stopped amid embedding": Fault(
        "files", "warning", "1 passages are found by their words only", "kb index", stopped_amid_embedding, index
    ),
    "file unreadable": Fault(
        "files", "warning", "1 could not be", "kb status --problems", file_unreadable, file_removed
    ),
    "folder emptied": Fault(
        "mounts",
        "warning",
        "its drive is not mounted",
        "kb index --accept-deletions",
        folder_emptied,
        deletions_accepted,
    ),
    "vectors removed": Fault("vectors", "failed", "is missing", "kb rebuild", vectors_removed, rebuild),
    "headers readable": Fault(
        "headers", "failed", "others can read the headers", "chmod 600", headers_readable, headers_private
    ),
    "server away": Fault("server", "failed", "cannot be reached", "kb index", server_away, server_back),
    "server emptied": Fault("collection", "warning", "is not on the server", "kb index", server_emptied, index),
    "server changed": Fault("collection", "failed", "lacks the vectors of 1 of", "kb rebuild", server_changed, rebuild),
    "collection of another program": Fault(
        "collection",
        "failed",
        "is another program's",
        "Set store.collection",
        collection_of_another_program,
        other_collection,
    ),
    "vectors of another store": Fault(
        "vectors", "failed", "belongs to another catalog", "kb rebuild", vectors_of_another_store, rebuild
    ),
    "vectors not closed": Fault("vectors", "warning", "as after a crash", "kb index", vectors_not_closed, index),
    "vectors changed": Fault("vectors", "failed", "damaged or replaced", "kb rebuild", vectors_changed, rebuild),
    "graph cut": Fault("vectors", "failed", "data_level0.bin", "kb rebuild", graph_cut, rebuild),
    "bit of the graph": Fault("vectors", "failed", "data_level0.bin", "kb rebuild", graph_bit, rebuild),
    "database of vectors overwritten": Fault(
        "vectors", "failed", "chroma.sqlite3", "kb rebuild", database_of_vectors_overwritten, rebuild
    ),
    "vectors copied": Fault("vectors", "warning", "touched by something", "kb index", vectors_copied, index),
    "other generation named": Fault("vectors", "failed", "is missing", "kb rebuild", other_generation_named, rebuild),
    "cache overwritten": Fault("cache", "failed", "damaged", "kb index", cache_overwritten, index),
    "cache is a folder": Fault("cache", "failed", "is a folder", "kb index", cache_is_a_folder, index),
    "cache removed": Fault("cache", "warning", "there is none", "kb index", cache_removed, index),
    "unfinished files": Fault("leftovers", "warning", "4 unfinished files", "rm -r", unfinished_files, with_fix),
    "damaged set aside": Fault(
        "leftovers", "warning", "damaged parts that a repair set aside: 1", "kb rebuild", damaged_set_aside, rebuild
    ),
    "cache set aside": Fault("leftovers", "warning", "set aside: 1", "rm ", cache_set_aside, cache_deleted),
    "clock set back": Fault("clocks", "warning", "3.0 days behind", "timedatectl", clock_set_back, clock_set),
    "file of the future": Fault("clocks", "warning", "in the future", "touch ", file_of_the_future, file_touched),
    "new times of the future": Fault(
        "clocks", "warning", "2 files", "-newermt now", new_times_of_the_future, touched_by_remedy
    ),
    "model absent": Fault("model", "warning", "the next index run downloads it", "kb model fetch", model_absent(False)),
    "model absent, offline": Fault(
        "model", "failed", "fetching is off", "model use all-MiniLM-L6-v2", model_absent(True), model_back
    ),
    "model directory absent": Fault(
        "model", "failed", "there is no model directory", "embed.model", model_directory_absent
    ),
    "store of another model": Fault(
        "fingerprint",
        "failed",
        "other files or another precision",
        "back; if the change is meant: kb index --full",
        model_switched,
        indexed_in_full,
    ),
    "ONNX form absent": Fault("runtime", "failed", "there is no ONNX form", "kb model export", no_form, form_made),
    "export to ONNX failed": Fault(
        "runtime", "warning", "the export to ONNX failed (out of memory)", "kb model export", export_failed, form_made
    ),
    "half precision on a CPU": Fault(
        "precision",
        "warning",
        "no GPU",
        "embed.precision to auto",
        configured(embed__precision="float16"),
        configured(),
    ),
    "little memory": Fault("memory", "warning", "are available, and the model takes", "kb model use", little_memory),
    "ONNX form damaged": Fault("proof", "failed", "float32 are damaged", "kb model export", form_damaged),
    "sandbox does not start": Fault(
        "sandbox", "failed", "does not start", "pip install --force-reinstall", sandbox_does_not_start
    ),
    "telemetry on": Fault("telemetry", "failed", "hf_xet may send", "export HF_XET", switch_undone, switch_set),
    "language model without llm": Fault("extras", "failed", "the extra answer", "localkb[answer]", model_without_llm),
    "Tesseract absent": Fault(
        "tesseract",
        "failed",
        "Tesseract is not installed",
        "apt install tesseract-ocr",
        configured(documents__ocr=True),
    ),
    "Tesseract without a language": Fault(
        "tesseract", "failed", "no data for deu", "tesseract-ocr-deu", tesseract_without_languages
    ),
    "service of a removed program": Fault(
        "service",
        "failed",
        "starts a program that does not exist",
        "--install-service",
        service_of_a_removed_program,
        with_fix,
    ),
    "service of a removed configuration": Fault(
        "service",
        "failed",
        "starts a configuration that does not exist",
        "--install-service",
        service_of_a_removed_configuration,
        with_fix,
    ),
    "service in a removed folder": Fault(
        "service", "failed", "kb in a folder that", "--install-service", service_in_a_removed_folder, with_fix
    ),
    "service edited": Fault("service", "failed", "/gone/python", "--install-service", service_edited, with_fix),
    "service not enabled": Fault("service", "warning", "not enabled", "systemctl --user enable", service_not_enabled),
    "client of a removed program": Fault(
        "clients",
        "failed",
        "Cursor starts a program",
        "kb mcp install cursor",
        client_of_a_removed_program,
        client_mended,
    ),
    "client of a removed configuration": Fault(
        "clients",
        "failed",
        "Cursor starts a configuration",
        "kb mcp install cursor",
        client_of_a_removed_configuration,
        client_mended,
    ),
    "client of a configuration in one word": Fault(
        "clients",
        "failed",
        "Cursor starts a configuration",
        "kb mcp install cursor",
        client_of_a_configuration_in_one_word,
        client_mended,
    ),
    "client of a configuration in a variable": Fault(
        "clients",
        "failed",
        "Cursor starts a configuration",
        "kb mcp install cursor",
        client_of_a_configuration_in_a_variable,
        client_mended,
    ),
    "client of nothing": Fault(
        "clients", "failed", "starts nothing", "kb mcp install cursor", client_of_nothing, client_mended
    ),
    "client file cut": Fault(
        "clients", "failed", "Cursor needs JSON", "Correct the file", client_file_cut, client_mended
    ),
    "client file invalid": Fault("clients", "warning", "Cursor needs JSON", "Correct the file", client_file_invalid),
    "client without the extra": Fault(
        "clients", "failed", "the extra mcp is missing", "localkb[mcp]", client_without_extra
    ),
    "vectors of other texts": Fault("question", "failed", "does not find itself", "kb check --repair", cache_swapped),
}
