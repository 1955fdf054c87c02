"""The configuration is found, overridden and checked."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.config import load, render_default, render_own
from kb.config.schema import fields
from kb.errors import ConfigError

ROOT = Path(__file__).parents[2]


def write(path: Path, text: str) -> str:
    """A file with this text; its path."""
    path.write_text(text, "utf-8")
    return str(path)


def test_shipped_file_is_made_from_the_schema() -> None:
    """The config.toml of the repository has every key with its default and explanation."""
    assert (ROOT / "config.toml").read_text("utf-8") == render_default({"folders.paths": ["examples"]})


def test_every_key_is_explained() -> None:
    """Each key has a sentence."""
    assert [field.key for field in fields() if not field.about] == []


def test_defaults_apply_without_file(tmp_path: Path) -> None:
    """Each value has its default as origin."""
    settings = load(environ={"XDG_CONFIG_HOME": str(tmp_path)}, cwd=str(tmp_path), config_file=None)

    assert settings.config.embed.model == "BAAI/bge-m3"
    assert {setting.origin for setting in settings.listing()} == {"default"}


def test_lookup_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config, then $KB_CONFIG, then ./config.toml, then the user's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "xdg" / "kb").mkdir(parents=True)
    user = write(tmp_path / "xdg" / "kb" / "config.toml", "[search]\nlimit = 1\n")
    assert str(load(environ={}, cwd=str(tmp_path)).file) == str(Path(user).resolve())

    write(tmp_path / "config.toml", "[search]\nlimit = 2\n")
    other = write(tmp_path / "other.toml", "[search]\nlimit = 3\n")
    flag = write(tmp_path / "flag.toml", "[search]\nlimit = 4\n")

    assert load(environ={}, cwd=str(tmp_path)).config.search.limit == 2
    assert load(environ={"KB_CONFIG": other}, cwd=str(tmp_path)).config.search.limit == 3
    assert load(flag, environ={"KB_CONFIG": other}, cwd=str(tmp_path)).config.search.limit == 4


def test_nearest_file_upward_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of other programs are skipped, and those of other users above the folder are not read."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write(tmp_path / "config.toml", "[search]\nlimit = 2\n")
    write(tmp_path / "a" / "config.toml", '[server]\nport = 80\n[params.search]\nstores = ["x"]\nfolders = 3\n')

    assert load(environ={}, cwd=str(below)).config.search.limit == 2
    with pytest.raises(ConfigError, match="unknown section"):
        load("../config.toml", environ={}, cwd=str(below))
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert load(environ={}, cwd=str(below)).file is None
    with pytest.raises(ConfigError, match="belongs to another user"):
        load(environ={}, cwd=str(tmp_path))


def test_environment_and_flags_override_file(tmp_path: Path) -> None:
    """KB_SECTION__KEY overrides the file, a flag overrides both, and the origin says which."""
    write(tmp_path / "config.toml", "[search]\nlimit = 2\nper_file = 1\n\n[embed]\noffline = false\n")
    environ = {"KB_SEARCH__LIMIT": "5", "KB_EMBED__OFFLINE": "true", "KB_TESTING": "1"}

    settings = load(environ=environ, cwd=str(tmp_path), overrides={"search.limit": "7"})

    origins = {setting.key: setting.origin for setting in settings.listing()}
    assert settings.config.search.limit == 7
    assert settings.config.embed.offline is True
    assert origins["search.limit"] == "command line"
    assert origins["embed.offline"] == "$KB_EMBED__OFFLINE"
    assert origins["search.per_file"].endswith("config.toml:3")


def test_relative_paths(tmp_path: Path) -> None:
    """Paths in the file start at its folder, typed ones at the current folder."""
    (tmp_path / "conf").mkdir()
    file = write(tmp_path / "conf" / "config.toml", '[folders]\npaths = ["notes"]\n[store]\npath = "store"\n')

    settings = load(file, environ={"KB_STORE__PATH": "typed"}, cwd=str(tmp_path))

    assert settings.folder_paths() == (str(tmp_path.resolve() / "conf" / "notes"),)
    assert settings.store_path() == str(tmp_path.resolve() / "typed")


@pytest.mark.parametrize(
    ("store", "told"), [("notes", " is "), (".", " holds "), ("link", " is "), ("notes/.kb", ""), ("note", "")]
)
def test_store_in_watched_folder_is_refused(tmp_path: Path, store: str, told: str) -> None:
    """Files in the store's folder would never be found."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "link").symlink_to("notes")
    write(tmp_path / "config.toml", f'[folders]\npaths = ["notes"]\n[store]\npath = "{store}"\n')

    if not told:
        assert load(environ={}, cwd=str(tmp_path)).config.store.path == store
        return
    with pytest.raises(ConfigError, match=f"config.toml:4.{told}.*notes, a folder that is read"):
        load(environ={}, cwd=str(tmp_path))


def test_lists_from_the_environment(tmp_path: Path) -> None:
    """A TOML array, or parts divided by the platform's path separator."""
    separated = load(environ={"KB_FOLDERS__PATHS": "/a:/b"}, cwd=str(tmp_path)).config.folders.paths
    bracketed = load(environ={"KB_FOLDERS__EXCLUDE": '["*.a", "*.b"]'}, cwd=str(tmp_path)).config.folders.exclude

    assert separated == ("/a", "/b")
    assert bracketed == ("*.a", "*.b")


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """One message has all of them, with file, line, key and the nearest name."""
    text = '[embed]\nmodle = "x"\nbatch_tokens = "many"\n\n[chunk]\nmax_tokens = 3\n\n[stor]\npath = "x"\n'
    file = write(tmp_path / "config.toml", text)

    with pytest.raises(ConfigError) as caught:
        load(environ={"KB_SEARCH__LIMIT": "none"}, cwd=str(tmp_path))

    lines = caught.value.message.splitlines()
    assert "5 mistakes" in lines[0]
    assert any(f"{file}:2: unknown key embed.modle; did you mean embed.model?" in line for line in lines)
    assert any(f"{file}:3: embed.batch_tokens: expected a whole number, got text" in line for line in lines)
    assert any(f"{file}:6: chunk.max_tokens: expected a whole number >= 32" in line for line in lines)
    assert any(f"{file}:8: unknown section [stor]; did you mean store?" in line for line in lines)
    assert any("$KB_SEARCH__LIMIT: search.limit" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[search]\n[embed\n", "not valid TOML"),
        ('embed = "x"\n[search]\n', "embed must be a section"),
        ('[store]\ncollection = "a b"\n', "store.collection: expected 3 to 512 letters"),
        ('[note]\nfolder = "/a"\n', "note.folder: expected a folder below the first"),
        ('[documents]\nocr_languages = "de en"\n', "documents.ocr_languages: expected languages"),
        ('[embed]\ndevice = "tpu"\n', "embed.device: expected one of auto, cpu, cuda, mps, got 'tpu'"),
        ("[search]\nlimit = true\n", "search.limit: expected a whole number, got true or false"),
    ],
)
def test_single_mistakes(tmp_path: Path, text: str, expected: str) -> None:
    """Each kind of mistake has a sentence with its place."""
    write(tmp_path / "config.toml", text)

    with pytest.raises(ConfigError, match="mistake") as caught:
        load(environ={}, cwd=str(tmp_path))

    assert expected in caught.value.message


def test_whatever_has_a_pattern_says_what_is_expected(tmp_path: Path) -> None:
    """A pattern tells nobody what to write."""
    kinds = {one.key: msgspec.inspect.type_info(one.type) for one in fields()}
    patterned = [key for key, kind in kinds.items() if getattr(getattr(kind, "type", kind), "pattern", None)]
    assert "serve.http" in patterned

    for key in patterned:
        with pytest.raises(ConfigError, match=rf"{key}: expected \w+") as raised:
            load(environ={}, cwd=str(tmp_path), overrides={key: "/../ "})
        assert "regex" not in raised.value.message


def test_a_mistake_in_a_list_names_its_place(tmp_path: Path) -> None:
    """Counted from one, in words."""
    file = write(tmp_path / "config.toml", '[folders]\npaths = ["notes"]\ninclude = ["*.md", 3]\n')

    with pytest.raises(
        ConfigError, match=r"folders\.include: expected text, got a whole number at place 2 of the list"
    ):
        load(file, environ={})


def test_named_file_must_exist(tmp_path: Path) -> None:
    """No other file is used instead."""
    with pytest.raises(ConfigError, match=r"--config names gone\.toml"):
        load("gone.toml", environ={}, cwd=str(tmp_path))


def test_config_is_frozen(tmp_path: Path) -> None:
    """A loaded configuration cannot be changed."""
    config = load(environ={}, cwd=str(tmp_path)).config

    with pytest.raises(AttributeError):
        config.search.limit = 3  # type: ignore[misc]  # what the test is about


@given(
    paths=st.lists(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1), max_size=3),
    limit=st.integers(1, 10**6),
    score=st.floats(-1, 1),
    offline=st.booleans(),
)
def test_written_configuration_round_trips(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], limit: int, score: float, *, offline: bool
) -> None:
    """A configuration that is written and read is the same."""
    values = {"folders.paths": paths, "search.limit": limit, "search.min_score": score, "embed.offline": offline}
    file = write(tmp_path_factory.mktemp("config") / "config.toml", render_default(values))

    config = load(file, environ={}).config

    assert config.folders.paths == tuple(paths)
    assert (config.search.limit, config.search.min_score, config.embed.offline) == (limit, score, offline)


def test_own_file_sets_only_chosen_values(tmp_path: Path) -> None:
    """All other keys are commented out with their defaults."""
    file = write(tmp_path / "config.toml", render_own({"folders.paths": ["notes"]}))

    settings = load(file, environ={})

    assert settings.config.folders.paths == ("notes",)
    assert {one.key for one in settings.listing() if one.origin != "default"} == {"folders.paths"}
    text = Path(file).read_text("utf-8")
    commented = re.compile(r'# (?=[a-z_]+ = |  "|\]$)')
    uncommented = [commented.sub("", line, count=1) for line in text.split("\n")]
    all_of_it = write(tmp_path / "all.toml", "\n".join(one for one in uncommented if not one.startswith("# ")))
    assert load(all_of_it, environ={}).config == settings.config


def test_model_directory_is_relative_to_file(tmp_path: Path) -> None:
    """A directory is relative to the file; a name without a directory stays a name."""
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    file = write(tmp_path / "config.toml", '[embed]\nmodel = "models/mine"\n')

    assert load(file, environ={}).model() == str(tmp_path.resolve() / "models" / "mine")
    assert load(file, environ={"KB_EMBED__MODEL": "org/name"}).model() == "org/name"
    assert load(file, environ={"KB_EMBED__MODEL": "all-MiniLM-L6-v2"}).model() == "all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"store.chroma": "https://user@host"}, "is not the address of a server"),
        ({"store.chroma": "ftp://host"}, "is not the address of a server"),
        ({"store.chroma": "https://host/?a=1"}, "is not the address of a server"),
        ({"store.chroma": "http://192.0.2.1:8000"}, "unencrypted to 192.0.2.1"),
    ],
)
def test_a_chroma_server_has_an_address_that_hides_what_is_sent(given: dict[str, str], says: str) -> None:
    """Headers are secrets: plain http is for this machine, unless it is allowed."""
    with pytest.raises(ConfigError, match=says):
        load(environ={}, overrides=given)

    for url in ("https://host:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost:8000", ""):
        assert load(environ={}, overrides={"store.chroma": url}).config.store.chroma == url
    allowed = {"store.chroma": "http://192.0.2.1:8000", "store.unencrypted": "true"}
    assert load(environ={}, overrides=allowed).config.store.unencrypted


def test_another_store_beside_is_in_its_own_folder() -> None:
    """Such as that of an evaluation, which must not write into the collections of this one."""
    settings = load(environ={}, overrides={"store.chroma": "https://host:8000"})

    assert settings.beside("/elsewhere").config.store.chroma == ""


def test_a_list_that_is_nested_without_end_is_a_mistake(tmp_path: Path) -> None:
    """Named like any other."""
    with pytest.raises(ConfigError, match=r"folders\.paths: not a list"):
        load(environ={}, cwd=str(tmp_path), overrides={"folders.paths": "[" * 10_000})
