"""A configuration that was found, not named: what is used, refused and trusted."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kb.config import load, user_config_path
from kb.config.find import ConfigFile, belongs_to_kb, look_for, read_config
from kb.config.schema import fields
from kb.config.trust import all_trusted, distrust, is_too_broad, trust
from kb.errors import ConfigError
from kb.service.address import Undetermined, split, store_of

# Keys that can lead out of the folder of the configuration: ``reaches`` looks at each of them.
REACHING = frozenset(
    {
        "folders.paths",
        "store.path",
        "store.chroma",
        "store.headers_file",
        "note.folder",
        "embed.model",
        "embed.revision",
        "search.rerank_model",
        "search.rerank_revision",
        "serve.http",
        "answer.model",
        "answer.endpoint",
    }
)
# The other keys. They decide how files in those folders are read, how much of the machine that takes, how questions are
# answered and how changes are noticed.
STAYING = frozenset(
    {
        *(f"folders.{name}" for name in ("include", "exclude", "gitignore", "hidden")),
        *(f"folders.{name}" for name in ("follow_symlinks", "max_file_mb")),
        "chunk.max_tokens",
        *(f"documents.{name}" for name in ("max_file_mb", "seconds", "memory_mb", "text_mb")),
        *(f"documents.{name}" for name in ("ocr", "ocr_languages", "ocr_seconds")),
        *(f"embed.{name}" for name in ("runtime", "device", "precision", "batch_tokens", "threads")),
        # The default allows what running without a configuration allows: to fetch the models that kb names itself.
        *(f"embed.{name}" for name in ("offline", "cache_vectors")),
        # The last four are of no effect without a server.
        *(f"store.{name}" for name in ("collection", "wait_seconds")),
        *(f"store.{name}" for name in ("tenant", "database", "server_seconds", "unencrypted")),
        *(f"search.{name}" for name in ("limit", "mode", "weak", "fold", "min_score", "per_file", "candidates")),
        *(f"search.{name}" for name in ("best_seconds", "rerank", "rerank_hits", "rerank_seconds")),
        # Of no effect without a model.
        *(f"answer.{name}" for name in ("mode", "offline", "seconds", "max_tokens", "context_chars")),
        *(f"watch.{name}" for name in ("polling", "poll_seconds", "quiet_ms", "patience_seconds", "sweep_minutes")),
    }
)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder from elsewhere next to private files; both closed to others."""
    for name in ("came/notes", "private", "home"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def configured(folder: Path, text: str) -> Path:
    """A config.toml in a folder."""
    file = folder / "config.toml"
    file.write_text(text, "utf-8")
    return file


def refused(folder: Path) -> str:
    """Why the configuration found from a folder is refused."""
    with pytest.raises(ConfigError) as caught:
        load(environ=os.environ, cwd=str(folder))
    return str(caught.value)


def trusted(folder: Path) -> None:
    """Trust the configuration found from a folder, as ``kb config --trust`` does."""
    place = look_for(None, os.environ, folder)
    assert place is not None
    trust(load(str(place.file), environ={}), place, os.environ)


def test_every_key_is_classified() -> None:
    """For each new key it is decided whether it can lead out of its folder."""
    assert {field.key for field in fields()} == REACHING | STAYING
    assert not REACHING & STAYING


@pytest.mark.parametrize(
    "text",
    [
        '[folders]\npaths = ["notes", ".", "not/yet"]\n[store]\npath = "a/.store"\n',
        '[folders]\npaths = ["notes/../notes"]\n[note]\nfolder = "%Y/%m"\n',
        '[embed]\nmodel = "all-MiniLM-L6-v2"\n[search]\nrerank = "cross-encoder"\n',
        '[embed]\nmodel = "BAAI/bge-m3"\nrevision = "5617a9f61b028005a4858fdac845db406aefb181"\n',
        '[embed]\nmodel = "my/model"\n',
        "[watch]\npolling = true\n[documents]\nocr = true\n",
    ],
)
def test_configuration_inside_its_folder_is_used(world: Path, text: str) -> None:
    """From the folder and from below, without a question."""
    (world / "came" / "my" / "model").mkdir(parents=True)
    file = configured(world / "came", text)

    for folder in (world / "came", world / "came" / "notes"):
        assert load(environ=os.environ, cwd=str(folder)).file == file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[folders]\npaths = ["notes", "../private"]\n', 'folders.paths = "../private": {world}/private'),
        ('[folders]\npaths = ["{world}/private"]\n', 'folders.paths = "{world}/private": {world}/private'),
        ('[folders]\npaths = ["~"]\n', 'folders.paths = "~": '),
        ('[folders]\npaths = ["notes/../../private"]\n', "{world}/private"),
        ('[folders]\npaths = ["out"]\n', 'folders.paths = "out": {world}/private'),
        ('folders.paths = ["/"]\n[store]\npath = "s"', 'folders.paths = "/": /'),
        ('[store]\npath = "../private/.kb"\n', 'store.path = "../private/.kb": {world}/private/.kb'),
        ('[store]\npath = "out/.kb"\n', 'store.path = "out/.kb": {world}/private/.kb'),
        ('store = {{ path = "~/.local/share/kb/store" }}\n', "store.path"),
        ('[folders]\npaths = ["notes"]\n[note]\nfolder = "out"\n', 'note.folder = "out": {world}/private'),
        ('[folders]\npaths = ["notes"]\n[note]\nfolder = "%Y/\\u0000"\n', "note.folder"),
        ('[embed]\nmodel = "evil/model"\n', 'embed.model = "evil/model": evil/model is not on this machine'),
        ('[embed]\nmodel = "../private"\n', 'embed.model = "../private": {world}/private'),
        ('[embed]\nmodel = "out/model"\n', 'embed.model = "out/model": {world}/private/model'),
        ('[embed]\nrevision = "refs/pr/7"\n', 'embed.revision = "refs/pr/7": BAAI/bge-m3 at refs/pr/7 is not'),
        ('[search]\nrerank_model = "evil/reader"\n', "search.rerank_model = "),
        ('[search]\nrerank_model = "/srv/reader"\n', "search.rerank_model = "),
        ('[search]\nrerank_revision = "refs/pr/7"\n', "search.rerank_revision = "),
        ('[store]\nchroma = "https://elsewhere"\n', "vectors, paths and headings of your files are sent to it"),
        ('[store]\nchroma = "http://127.0.0.1:8000"\n', 'store.chroma = "http://127.0.0.1:8000"'),
        (
            '[store]\nchroma = "https://elsewhere"\nheaders_file = "../private/headers"\n',
            "{world}/private/headers is sent to https://elsewhere",
        ),
    ],
)
def test_configuration_reaching_out_is_refused(world: Path, text: str, told: str) -> None:
    """However it is written; it can be trusted, and a change has to be trusted again."""
    (world / "private" / "model").mkdir()
    (world / "came" / "out").symlink_to(world / "private")
    (world / "came" / "notes" / "out").symlink_to(world / "private")
    file = configured(world / "came", text.format(world=world))

    why = refused(world / "came" / "notes")
    assert f"{file} was found here and asks for more than its own folder\n" in why
    assert told.format(world=world) in why
    assert f"kb config --trust {file}" in why
    assert load(str(file), environ={}).file == file

    trusted(world / "came")
    assert load(environ=os.environ, cwd=str(world / "came")).file == file
    file.write_text(file.read_text("utf-8") + "\n# harmless\n", "utf-8")
    assert "kb config --trust" in refused(world / "came")


def test_typed_values_need_no_trust(world: Path) -> None:
    """Flags and environment come from the user."""
    configured(world / "came", '[folders]\npaths = ["../private"]\n[store]\npath = "../s"\n[embed]\nmodel = "e/m"\n')
    environ = {**os.environ, "KB_STORE__PATH": str(world / "mine"), "KB_EMBED__MODEL": "all-MiniLM-L6-v2"}

    settings = load(environ=environ, cwd=str(world / "came"), overrides={"folders.paths": str(world / "private")})

    assert settings.folder_paths() == (str(world / "private"),)


def test_trust_covers_places(world: Path) -> None:
    """If a link leads elsewhere than when the file was trusted, it is refused again."""
    link = world / "came" / "out"
    link.symlink_to(world / "private")
    configured(world / "came", '[folders]\npaths = ["out"]\n')
    trusted(world / "came")
    assert load(environ=os.environ, cwd=str(world / "came")).folder_paths() == (str(world / "private"),)

    link.unlink()
    link.symlink_to(world / "home")
    assert str(world / "home") in refused(world / "came")


def test_links_in_default_store_are_found(world: Path) -> None:
    """A store in a copied folder may contain links that make kb write elsewhere."""
    configured(world / "came", '[folders]\npaths = ["notes"]\n')
    store = world / "came" / ".kb"
    (store / "generation-0001").mkdir(parents=True)
    assert load(environ=os.environ, cwd=str(world / "came")).file is not None

    for link in (store / "owner.json.new", store / "generation-0001" / "chroma.sqlite3"):
        link.symlink_to(world / "private" / "file")
        assert f"{link} is a link to {world}/private/file" in refused(world / "came")
        link.unlink()
    (store / "generation-0001").rmdir()
    store.rmdir()
    store.symlink_to(world / "private")
    assert f'store.path = ".kb": {world}/private' in refused(world / "came")


def test_link_to_other_configuration(world: Path) -> None:
    """Its folder is not the one in which it was found."""
    other = configured(world / "private", '[folders]\npaths = ["."]\n')
    (world / "came" / "config.toml").symlink_to(other)

    assert f"a link to {other}" in refused(world / "came")
    trusted(world / "came")
    assert load(environ=os.environ, cwd=str(world / "came")).folder_paths() == (str(world / "private"),)


@pytest.mark.parametrize(("what", "mode"), [("config.toml", 0o666), (".", 0o777), (".", 0o1777)])
def test_configuration_writable_by_others_is_refused(world: Path, what: str, mode: int) -> None:
    """The file or its folder; trust covers the content as it is."""
    file = configured(world / "came", '[folders]\npaths = ["notes"]\n')
    (world / "came" / what).chmod(mode)

    assert f"can be changed by others ({(world / 'came' / what).resolve()} has mode {mode:o})" in refused(
        world / "came"
    )
    trusted(world / "came")
    assert load(environ=os.environ, cwd=str(world / "came")).file == file


def test_private_group_may_write(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many systems give each user a private group that may write; a shared group is others."""
    (world / "came").chmod(0o775)
    configured(world / "came", '[folders]\npaths = ["notes"]\n').chmod(0o664)

    monkeypatch.setattr("kb.config.trust.is_group_of_one", lambda _: True)
    assert load(environ=os.environ, cwd=str(world / "came")).file is not None
    monkeypatch.setattr("kb.config.trust.is_group_of_one", lambda _: False)
    assert "can be changed by others" in refused(world / "came")


def test_found_file_of_other_user_is_refused(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be trusted either, since its owner may change it. Above the current folder it is skipped."""
    file = configured(world / "came", '[folders]\npaths = ["notes"]\n')
    monkeypatch.setattr("os.getuid", lambda: 12345)

    assert f"kb --config {file}" in refused(world / "came")
    with pytest.raises(ConfigError, match="belongs to another user"):
        trusted(world / "came")
    assert load(environ=os.environ, cwd=str(world / "came" / "notes")).file is None
    assert load(str(file), environ={}).file == file
    with pytest.raises(Undetermined):
        store_of(split(["x"]), os.environ, str(world / "came"))


def test_own_configuration_may_name_any_place(world: Path) -> None:
    """From any current folder."""
    own = user_config_path()
    own.parent.mkdir(parents=True)
    configured(own.parent, f'[folders]\npaths = ["{world}/private"]\n')

    for folder in (world / "came", own.parent):
        settings = load(environ=os.environ, cwd=str(folder))
        assert (settings.file, settings.found) == (own.resolve(), False)


def test_found_flag_survives_child_process(world: Path) -> None:
    """A background daemon gets the path of a file that nobody named."""
    file = configured(world / "came", '[folders]\npaths = ["notes"]\n')
    assert load(str(file), environ={}, found=True).found

    file.write_text('[folders]\npaths = ["../private"]\n')
    with pytest.raises(ConfigError, match="kb config --trust"):
        load(str(file), environ={}, found=True)


def test_client_ignores_store_of_untrusted_configuration(world: Path) -> None:
    """The client of the daemon checks the same records."""
    configured(world / "came", '[store]\npath = "../private/.kb"\n')
    with pytest.raises(Undetermined):
        store_of(split(["x"]), os.environ, str(world / "came"))

    trusted(world / "came")
    assert store_of(split(["x"]), os.environ, str(world / "came")) == str(world / "private" / ".kb")


def test_trust_can_be_listed_and_withdrawn(world: Path) -> None:
    """One entry for each file, with its state: trusted, changed or gone."""
    file = configured(world / "came", '[folders]\npaths = ["../private"]\n')
    trusted(world / "came")
    file.write_text('[folders]\npaths = ["../home"]\n')
    assert [one.state() for one in all_trusted(os.environ)] == ["changed"]
    trusted(world / "came")

    [one] = all_trusted(os.environ)
    assert (one.file, one.state(), one.reaches[0].place) == (str(file), "trusted", str(world / "home"))
    file.unlink()
    assert one.state() == "gone"
    assert distrust(file, os.environ)
    assert not distrust(file, os.environ)
    assert all_trusted(os.environ) == []


def test_trust_is_never_kept_in_current_folder(world: Path) -> None:
    """A relative $XDG_STATE_HOME would put it there."""
    configured(world / "came", '[folders]\npaths = ["../private"]\n')
    place = look_for(None, os.environ, world / "came")
    assert place is not None
    assert place == ConfigFile(world / "came" / "config.toml", world / "came" / "config.toml", around=True)
    environ = {**os.environ, "XDG_STATE_HOME": "state"}

    trust(load(str(place.file), environ={}), place, environ)

    assert not (Path.cwd() / "state").exists()
    assert all_trusted(environ) != []
    assert store_of(split(["x"]), environ, str(world / "came")) == str(world / "came" / ".kb")


def test_home_folder_is_too_broad() -> None:
    """Whatever it contains."""
    assert is_too_broad("/home/a", "/home/a")
    assert not is_too_broad("/home/a/notes", "/home/a")


# --- what is no configuration costs nothing, and stops nothing ---------------------------------------------------


COSTLY = {
    "a key of many parts": "[folders]\npaths = ['.']\n" + ".".join("a" * 40_000) + " = 1\n",
    "a quoted key of many parts": "[folders]\npaths = ['.']\n[store]\n" + " . ".join(['"a"'] * 15_000) + " = 1\n",
    "a head of many parts": "[folders]\npaths = ['.']\n[store.path." + ".".join("a" * 40_000) + "]\n",
    "a key in a table of many parts": "[folders]\npaths = ['.']\n[store]\npath = {" + "a." * 40_000 + "a = 1}\n",
    "brackets without end": "[folders]\npaths = " + "[" * 90_000,
    "braces without end": "[store]\npath = " + "{a=" * 30_000,
    "unknown keys": "[store]\n" + "".join(f"path{at} = 1\n" for at in range(7_000)),
    "unknown sections": "[folders]\n" + "".join(f"[fo{at}]\n" for at in range(10_000)),
    "a long unknown key": "[folders]\n" + "paths" * 15_000 + " = 1\n",
    "a long word": "[store]\n" + "path" * 20_000,
    "too much": "[folders]\npaths = ['.']\n" + "# and so on\n" * 10_000,
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_configuration_is_refused_quickly(world: Path, name: str) -> None:
    """Any config.toml is refused in a moment and in a few lines."""
    configured(world / "came", COSTLY[name])
    begun = time.process_time()

    told = refused(world / "came")
    with suppress(Undetermined):
        store_of(split(["question"]), os.environ, str(world / "came"))

    assert time.process_time() - begun < 2
    assert len(told) < 5_000
    assert "config.toml" in told


def test_long_list_of_folders_is_accepted(world: Path) -> None:
    """Paths with many dots on one line are no problem."""
    names = ", ".join(f'"notes/v{at}.0.0.{at}.x"' for at in range(800))
    configured(world / "came", f'[folders]\npaths = [{names}]\n[store]\npath = "here"\n')

    assert len(load(environ=os.environ, cwd=str(world / "came")).config.folders.paths) == 800
    # The quick way leaves what it is not sure of to the other one.
    with pytest.raises(Undetermined):
        store_of(split(["question"]), os.environ, str(world / "came"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_fifo_does_not_block(world: Path) -> None:
    """A FIFO at the path of a configuration is skipped."""
    os.mkfifo(world / "came" / "config.toml")

    assert look_for(None, os.environ, world / "came") is None
    assert belongs_to_kb(world / "came" / "config.toml")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_config(world / "came" / "config.toml")


def test_end_of_large_foreign_file_is_not_read(world: Path) -> None:
    """A config.toml of another program may have any size."""
    file = configured(world / "came", "[package]\n")
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)

    assert look_for(None, os.environ, world / "came") is None
    assert store_of(split(["question"]), os.environ, str(world / "came")) == str(world / "came" / ".kb")
