"""The thin client finds the store that the configuration means, and a place for its daemon that is safe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.config import Config, belongs_to_kb, load, render_own
from kb.config.schema import sections
from kb.errors import ConfigError
from kb.location import DEFAULT_STORE, SECTIONS
from kb.service.address import Undetermined, addresses_of, is_safe, make_folder, split, store_of

if TYPE_CHECKING:
    from pathlib import Path

# Written so that files, environment and flags meet in every combination, tildes and odd spellings included.
PATHS = st.sampled_from(
    [
        ".kb",
        "a/b",
        "./a",
        "../up",
        "~/s",
        "./~/s",
        "~",
        "/abs/x",
        "a//b/.",
        "link/s",
        "~nobody-of-that-name/x",
        "",
        " s",
    ]
)


def found(args: list[str], environ: dict[str, str], cwd: Path) -> str | None:
    """The store as the client finds it, or None where it leaves that to others."""
    try:
        return store_of(split(args), environ, str(cwd))
    except Undetermined:
        return None


def loaded(args: list[str], environ: dict[str, str], cwd: Path) -> str | None:
    """The store as the whole configuration gives it, or None where that has mistakes."""
    line = split(args)
    try:
        return load(line.config, environ, str(cwd), line.overrides).store_path()
    except (ConfigError, RuntimeError):
        return None


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a link in it, a home, and a place for the user's own configuration."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "conf"))
    for name in ("here", "real", "home/conf/kb", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "here" / "link").symlink_to(tmp_path / "real")
    return tmp_path


def test_what_the_client_knows_of_the_schema_is_true() -> None:
    """It is written again there, since the schema takes a library to read."""
    assert tuple(sections()) == SECTIONS
    assert Config().store.path == DEFAULT_STORE


@given(
    here=st.none() | PATHS,
    foreign=st.booleans(),
    above=st.none() | PATHS,
    user=st.none() | PATHS,
    other=st.none() | PATHS,
    how=st.sampled_from(["none", "flag", "flag=", "environment", "missing"]),
    variable=st.none() | PATHS,
    flag=st.none() | PATHS,
    override=st.none() | PATHS,
)
def test_the_store_is_the_one_the_configuration_means(  # noqa: PLR0917 - hypothesis passes them by name
    world: Path,
    here: str | None,
    above: str | None,
    user: str | None,
    other: str | None,
    how: str,
    variable: str | None,
    flag: str | None,
    override: str | None,
    *,
    foreign: bool,
) -> None:
    """Whatever names it, file, environment or flag: the client agrees wherever the configuration can be read."""
    for place, path in (("here", here), (".", above), ("home/conf/kb", user), ("other", other)):
        file = world / place / "config.toml"
        file.unlink(missing_ok=True)
        if path is not None:
            file.write_text(f"[store]\npath = {json.dumps(path)}\n", "utf-8-sig")
    if foreign:
        (world / "here" / "config.toml").write_text('[theirs]\n[params.store]\npath = "no"\n')
    named = "nowhere.toml" if how == "missing" else "../other/config.toml"
    args = {"none": [], "environment": []}.get(how, ["--config", named])
    args = [f"--config={named}"] if how == "flag=" else args
    args += ["--store", flag] if flag is not None else []
    args += ["-s", f"store.path={override}"] if override is not None else []
    environ = dict(os.environ)
    environ |= {"KB_CONFIG": named} if how == "environment" else {}
    environ |= {"KB_STORE__PATH": variable} if variable is not None else {}

    wanted = loaded(args, environ, world / "here")

    assert wanted is None or found(args, environ, world / "here") == wanted


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ('[folders]\npaths = ["n"]\n[store]\n# path = "no"\n', "here/.kb"),
        ('[store]\n path="yes"', "here/yes"),
        ('store.path = "yes"', "here/yes"),
        ('store = { path = "yes" }', "here/yes"),
        ('"store"."p\\u0061th" = "yes"', "here/yes"),
        ('[folders]\npaths = ["""\n# path""", "b"]\n[store]\n"path" = "yes"', "here/yes"),
        ('[folders] # path\npaths = ["path"]', "here/.kb"),
        ("", "here/.kb"),
    ],
)
def test_a_file_is_parsed_where_it_may_name_the_store(world: Path, text: str, store: str) -> None:
    """However the key is written it is found; a comment is none."""
    (world / "here" / "config.toml").write_text(text)

    assert found(["search"], dict(os.environ), world / "here") == str(world / store)
    assert loaded(["search"], dict(os.environ), world / "here") == str(world / store)


def test_a_file_is_of_kb_by_any_of_its_sections(world: Path) -> None:
    """However the section is begun."""
    for name in sections():
        for text in (f"[{name}]", f" [ '{name}' ] # its", f"{name}.key = 3", f"{name} = {{ }}"):
            (world / "config.toml").write_text(f"other = 1\r\n{text}\r\n")
            assert found(["x"], dict(os.environ), world / "here") == str(world / ".kb"), text
            assert belongs_to_kb(world / "config.toml"), text


def test_a_file_without_the_key_costs_no_parser(world: Path) -> None:
    """What kb init writes has it in a comment only."""
    (world / "here" / "config.toml").write_text(render_own({"folders.paths": ["notes"]}))
    code = (
        "import sys; from kb.service.address import split, store_of\n"
        "store_of(split(['x']), {}, sys.argv[1]); print('tomllib' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code, world / "here"], check=True, capture_output=True, text=True)

    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("args", "store"),
    [
        (["search", "x"], "here/in-file"),
        (["--store", "s", "search"], "here/s"),
        (["--store=s", "search"], "here/s"),
        (["-s", "store.path=s", "search"], "here/s"),
        (["-sstore.path=s", "search"], "here/s"),
        (["--set=store.path=s", "--store", "t", "x"], "here/t"),
        (["--offline", "--debug", "--color", "always", "x"], "here/in-file"),
        (["search", "--store", "s"], "here/s"),
        (["q", "--json", "--config=../other/config.toml", "-n", "3"], "other/.kb"),
        (["note", "--title", "--store", "s"], "here/in-file"),
        (["q", "--", "--store", "s"], "here/in-file"),
        (["what", "does", "-xzvf", "do"], "here/in-file"),
        (["--", "--store", "s"], "here/in-file"),
        (["-"], "here/in-file"),
        (["--config", "../other/config.toml", "x"], "other/.kb"),
        (["--help"], None),
        (["--version"], None),
        (["status", "--version"], None),
        (["q", "--store"], None),
        (["q", "--unknown"], None),
        (["--store"], None),
        (["--unknown", "x"], None),
        (["-s", "no-pair", "x"], None),
        (["--config", "missing.toml", "x"], None),
    ],
)
def test_global_options_are_read_as_the_command_reads_them(world: Path, args: list[str], store: str | None) -> None:
    """Wherever they stand; what is not understood is left to the command itself."""
    (world / "here" / "config.toml").write_text('[store]\npath = "in-file"\n')
    (world / "other" / "config.toml").write_text("[search]\nlimit = 3\n")

    assert found(args, dict(os.environ), world / "here") == (str(world / store) if store else None)


@pytest.mark.parametrize(
    "text", ["[store]\npath\n", "store.path = 3\n", "[store]\npath = 3\n", '[store]\npath = ""\n', "[store]\n\xffpath"]
)
def test_a_file_with_mistakes_is_left_to_the_command(world: Path, text: str) -> None:
    """It tells them better."""
    (world / "here" / "config.toml").write_text(text, "latin-1")

    assert found(["x"], dict(os.environ), world / "here") is None


@pytest.mark.parametrize("text", ["[note]\n[store\n", "store = 3\n[note]\n", "[note]\n\xff", "[search]\nlimit = 0\n"])
def test_a_file_with_mistakes_elsewhere_is_left_to_the_daemon(world: Path, text: str) -> None:
    """It loads the file as the command does, and tells the same."""
    (world / "here" / "config.toml").write_text(text, "latin-1")

    assert found(["x"], dict(os.environ), world / "here") == str(world / "here" / ".kb")
    assert loaded(["x"], dict(os.environ), world / "here") is None


def test_one_store_has_one_address(tmp_path: Path) -> None:
    """Another store has another, and a long runtime folder is passed over for one with room for a socket's name."""
    tmp_path.chmod(0o700)
    short = {"XDG_RUNTIME_DIR": str(tmp_path)} if len(str(tmp_path)) <= 60 else {}
    long = tmp_path / ("x" * 80)
    long.mkdir(mode=0o700)

    assert addresses_of("/a", short) == addresses_of("/a", short)
    assert not set(addresses_of("/a", short)) & set(addresses_of("/b", short))
    for address in addresses_of("/a", {"XDG_RUNTIME_DIR": str(long)}) + addresses_of("/a", short):
        assert len(os.fsencode(address)) <= 100


def test_only_a_folder_of_the_user_alone_is_trusted(tmp_path: Path) -> None:
    """Not one that others can write or read, and no link to one."""
    address = str(tmp_path / "kb" / "a.sock")
    assert make_folder(address)
    assert is_safe(address)

    (tmp_path / "kb").chmod(0o755)
    assert not is_safe(address)
    assert not make_folder(address)

    (tmp_path / "kb").chmod(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "kb")
    assert not is_safe(str(tmp_path / "link" / "a.sock"))
    (tmp_path / "file").touch()
    assert not make_folder(str(tmp_path / "file" / "a.sock"))
