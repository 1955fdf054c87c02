"""Two configurations on one store: the second is refused; the first may be edited, renamed, moved and overridden."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from memory_catalog import memory_catalog

from kb.claims import claim, require_own_claim
from kb.cli.main import run
from kb.config import Settings, load
from kb.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.store.catalog import SqliteCatalog


@pytest.fixture
def catalog() -> Iterator[SqliteCatalog]:
    """The catalog of a store."""
    made = memory_catalog()
    yield made
    made.close()


def configured(folder: Path, text: str, **overrides: str) -> Settings:
    """The settings of a configuration that is named."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.toml"
    file.write_text(text, "utf-8")
    return load(str(file), environ={}, overrides={key.replace("__", "."): value for key, value in overrides.items()})


def test_another_configuration_is_refused(catalog: SqliteCatalog, tmp_path: Path) -> None:
    """Other folders or other rules on the same store; the message names both and the way on."""
    store = f'[store]\npath = "{tmp_path}/store"\n'
    first = configured(tmp_path / "a", f'[folders]\npaths = ["notes"]\n{store}')
    claim(catalog, first)

    for text in ('paths = ["notes", "{0}/a/notes"]', 'paths = ["."]', 'paths = ["{0}/a/notes"]\nexclude = ["*.txt"]'):
        second = configured(tmp_path / "b", f"[folders]\n{text.format(tmp_path)}\n{store}")
        with pytest.raises(StoreError) as caught:
            require_own_claim(catalog, second)
        assert f"is filled by {first.file} ({tmp_path}/a/notes); {second.file} (" in caught.value.message
        assert caught.value.remedy.endswith(f"kb --config {second.file} index --take-over")
    # The same files: nothing would be dropped.
    require_own_claim(
        catalog, configured(tmp_path / "b", f'[folders]\npaths = ["../a/notes"]\n{store}[search]\nlimit = 3\n')
    )
    with pytest.raises(StoreError, match="a command without a configuration file"):
        require_own_claim(catalog, replace(second, file=None))


def test_the_same_file_may_say_anything(catalog: SqliteCatalog, tmp_path: Path) -> None:
    """Edited, or with something else typed over it."""
    store = f'[store]\npath = "{tmp_path}/store"\n'
    claim(catalog, configured(tmp_path / "a", f'[folders]\npaths = ["notes"]\n{store}'))

    require_own_claim(catalog, configured(tmp_path / "a", f'[folders]\npaths = ["other"]\n{store}'))
    require_own_claim(catalog, configured(tmp_path / "a", store, folders__paths="/elsewhere"))


@pytest.mark.parametrize("how", ["renamed", "moved with its store", "moved with its folder", "copied with its store"])
def test_a_configuration_that_moved_is_the_same(catalog: SqliteCatalog, tmp_path: Path, how: str) -> None:
    """Though its folders have other paths now."""
    store = ".kb" if "store" in how else f"{tmp_path}/store"
    before = configured(tmp_path / "a", f'[folders]\npaths = ["notes"]\n[store]\npath = "{store}"\n')
    claim(catalog, before)
    assert before.file is not None
    if how == "renamed":
        file = before.file.rename(tmp_path / "a" / "kb.toml")
        file.write_text(file.read_text("utf-8").replace("notes", "more"), "utf-8")
    elif how.startswith("copied"):
        file = configured(tmp_path / "b", before.file.read_text("utf-8")).file or Path()
    else:
        file = (tmp_path / "a").rename(tmp_path / "b") / "config.toml"

    require_own_claim(catalog, load(str(file), environ={}))


def test_a_configuration_on_a_drive_that_is_absent_keeps_its_store(catalog: SqliteCatalog, tmp_path: Path) -> None:
    """Its file is not there, and neither is the folder it was in."""
    store = f'[store]\npath = "{tmp_path}/store"\n'
    claim(catalog, configured(tmp_path / "drive", f'[folders]\npaths = ["notes"]\n{store}'))
    (tmp_path / "drive").rename(tmp_path / "unplugged")

    with pytest.raises(StoreError, match=r"drive/config\.toml"):
        require_own_claim(catalog, configured(tmp_path / "b", f'[folders]\npaths = ["."]\n{store}'))


def test_what_was_typed_first_may_be_written_down_later(catalog: SqliteCatalog, tmp_path: Path) -> None:
    """A configuration that has the folders that were typed, and more, takes nothing away."""
    typed = replace(configured(tmp_path / "a", "", folders__paths="/x", store__path="/s"), file=None)
    claim(catalog, typed)

    require_own_claim(catalog, typed)
    require_own_claim(catalog, configured(tmp_path / "a", '[folders]\npaths = ["/x", "/y"]\n[store]\npath = "/s"\n'))
    with pytest.raises(StoreError, match="a command without a configuration file"):
        require_own_claim(catalog, configured(tmp_path / "a", '[folders]\npaths = ["/y"]\n[store]\npath = "/s"\n'))


def test_a_store_of_before_is_only_refused_where_all_of_it_would_go(catalog: SqliteCatalog, tmp_path: Path) -> None:
    """Nothing is remembered in it: a folder whose files it has is there, and none of those configured is in it."""

    class Known:
        """A catalog that remembers nothing but a file."""

        def __init__(self, folder: str) -> None:
            self.folder = folder

        def meta(self, key: str) -> str | None:
            """Nothing."""
            return catalog.meta(key)

        def set_meta(self, key: str, value: str) -> None:
            """Nothing is remembered."""

        def files(self) -> list[Known]:
            """One."""
            return [self]

        def close(self) -> None:
            """Nothing is open."""

    (tmp_path / "mine").mkdir()
    theirs = configured(tmp_path / "b", '[folders]\npaths = ["."]\n')
    with pytest.raises(StoreError, match=f"has the files of {tmp_path}/mine; "):
        require_own_claim(Known(f"{tmp_path}/mine"), theirs)  # type: ignore[arg-type]  # all that is used of it
    for folder in (f"{tmp_path}/b", f"{tmp_path}/moved"):
        require_own_claim(Known(folder), theirs)  # type: ignore[arg-type]  # the same
    typed = configured(tmp_path / "b", "", folders__paths="/elsewhere")
    require_own_claim(Known(f"{tmp_path}/mine"), typed)  # type: ignore[arg-type]  # the same


@pytest.mark.usefixtures("onnx_minilm")
def test_a_second_configuration_empties_nothing(
    tmp_path: Path, notes: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a run nor a question nor a note; the remedy, followed once, hands the store over."""
    monkeypatch.chdir(tmp_path)
    common = f'[store]\npath = "{tmp_path}/store"\n[embed]\nmodel = "all-MiniLM-L6-v2"\noffline = true\n'
    first = configured(tmp_path / "a", f'[folders]\npaths = ["{notes}"]\n{common}').file
    second = configured(tmp_path / "b", f'[folders]\npaths = ["own"]\n{common}').file
    (tmp_path / "b" / "own").mkdir()
    (tmp_path / "b" / "own" / "one.md").write_text("# One\n\nA single note.\n")
    assert run(["--config", str(first), "index"]) == 0

    for command in (
        ["index"],
        ["index", "--dry-run"],
        ["search", "x"],
        ["list"],
        ["note", "text"],
        ["check", "--repair"],
    ):
        capfd.readouterr()
        assert run(["--config", str(second), *command]) == 2, command
        err = capfd.readouterr().err
        assert f"is filled by {first} ({notes}); {second} (" in err
    assert [path.name for path in (tmp_path / "b" / "own").iterdir()] == ["one.md"]
    assert run(["--config", str(first), "list"]) == 0
    assert capfd.readouterr().out.count(".md") == 4

    told = err.partition("of the other: ")[2].strip()
    assert run(shlex.split(told)[1:]) == 0
    assert "1 added, 4 removed" in capfd.readouterr().out.replace("files ", "")
    assert run(["--config", str(first), "search", "x"]) == 2


def test_a_claim_of_another_kb_counts_as_none(catalog: SqliteCatalog, tmp_path: Path) -> None:
    """Whatever stands there."""
    settings = configured(tmp_path / "a", '[folders]\npaths = ["/x"]\n')
    for told in ("", "[]", "{}", msgspec.json.encode({"file": 3, "folders": None}).decode()):
        catalog.set_meta("configuration", told)
        require_own_claim(catalog, settings)
