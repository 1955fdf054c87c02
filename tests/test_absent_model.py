"""Without a network and without the model: the command that the error gives leads, followed once, to an answer."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from kb.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


def followed(err: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what an error says, as a shell would."""
    told = err.partition("Run ")[2].partition(" for a model that needs no network")[0]
    for command in told.split(" && "):
        words = shlex.split(command)
        if words[0] == "export":
            monkeypatch.setenv(*words[1].split("=", 1))
        else:
            assert words[0] == "kb"
            assert run(words[1:]) == 0, command


@pytest.mark.usefixtures("onnx_minilm")
@pytest.mark.parametrize(
    "filled", [pytest.param(False, marks=pytest.mark.slow), True], ids=["new store", "filled store"]
)
def test_the_remedy_works(
    tmp_path: Path,
    notes: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    *,
    filled: bool,
) -> None:
    """From a store with nothing in it, and from one with the vectors of another model."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.toml"
    file.write_text(f"[folders]\npaths = ['{notes.name}']\n\n[embed] # mine\noffline = true\n")
    if filled:
        assert run(["-s", f"embed.model={tiny}", "index"]) == 0
    capfd.readouterr()

    for command in (["index"], ["search", "vector store", "--weak"]) if filled else (["index"],):
        assert run(command) == 2
        err = capfd.readouterr().err
        told = f"BAAI/bge-m3, the default model, is not on this machine, and fetching is off (embed.offline: {file}:5)"
        assert err.startswith(f"kb: {told}\n    Run kb --config {file} model use all-MiniLM-L6-v2 && "), err
        assert err.count("\n") == 2
    followed(err, monkeypatch)

    assert file.read_text().endswith('[embed] # mine\noffline = true\nmodel = "all-MiniLM-L6-v2"\n')
    capfd.readouterr()
    assert run(["search", "vector store", "--weak"]) == 0
    assert "chroma" in capfd.readouterr().out.lower()


@pytest.mark.usefixtures("onnx_minilm")
@pytest.mark.parametrize(
    "how",
    ["flag", pytest.param("environment", marks=pytest.mark.slow), pytest.param("no file", marks=pytest.mark.slow)],
)
def test_the_remedy_fits_where_the_model_is_named(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], how: str
) -> None:
    """An edit of the file would change nothing where something goes before it."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    if how == "no file":
        monkeypatch.setenv("KB_FOLDERS__PATHS", str(notes))
    else:
        (tmp_path / "config.toml").write_text(f"[folders]\npaths = ['{notes.name}']\n")
    if how == "environment":
        monkeypatch.setenv("KB_EMBED__MODEL", "org/model")
    flag = ["-s", "embed.model=org/model"] if how == "flag" else []

    assert run(["--offline", *flag, "index"]) == 2
    err = capfd.readouterr().err

    named = {
        "flag": "org/model (embed.model: command line)",
        "environment": "org/model (embed.model: $KB_EMBED__MODEL)",
        "no file": "BAAI/bge-m3, the default model,",
    }[how]
    assert f"kb: {named} is not on this machine, and fetching is off (embed.offline: command line)\n" in err
    followed(err, monkeypatch)


@pytest.mark.usefixtures("onnx_minilm")
@pytest.mark.parametrize("store", [False, True])
def test_the_user_configuration_needs_no_option(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *, store: bool
) -> None:
    """It applies wherever there is no other; a store that was named has to be named again."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    monkeypatch.chdir(notes.parent)
    assert run(["init", str(notes)]) == 0
    capfd.readouterr()
    option = ["--store", str(tmp_path / "other")] if store else []

    assert run([*option, "--offline", "index"]) == 2
    err = capfd.readouterr().err

    assert ("--store" in err) is ("--config" in err) is store
    if not store:
        assert "    Run kb model use all-MiniLM-L6-v2 && kb index --full for a model that needs no network\n" in err
    followed(err, monkeypatch)


def test_a_daemon_that_cannot_start_says_why_once(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its log has the same sentence with the time."""
    for name in ("HOME", "HF_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "KB_MODELS"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.chdir(notes)
    assert run(["init", str(notes)]) == 0
    capfd.readouterr()

    assert run(["--offline", "watch", "--background"]) == 2

    err = capfd.readouterr().err
    assert err.count("is not on this machine") == 1, err
    assert "kb: kb watch exited during startup: BAAI/bge-m3, the default model," in err
    assert " && kb index --full for a model that needs no network\n    See the log: " in err


def test_only_a_model_that_is_here_can_be_used(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A directory is named absolutely; a revision of another model goes."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    assert run(["model", "use", "all-MiniLM-L6-v2"]) == 2
    assert "no configuration file" in capfd.readouterr().err
    (tmp_path / "config.toml").write_text('[embed]\nrevision = "main"\nmodel = "x"\n')

    assert run(["--config", "config.toml", "model", "use", "org/model"]) == 2
    assert "org/model (revision main) is not on this machine\n    kb model list" in capfd.readouterr().err
    assert run(["--config", "config.toml", "model", "use", str(tiny)]) == 0
    assert (tmp_path / "config.toml").read_text() == f'[embed]\nrevision = ""\nmodel = "{tiny}"\n'
