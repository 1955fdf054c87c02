"""kb model: what is here, whether it is right, and making and removing its ONNX form."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from kb.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

    from kb.embedding.spec import Located


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder for models."""
    monkeypatch.setenv("KB_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def kb(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Run a command of kb model with nothing configured; its exit code and what it wrote."""
    code = run(["-s", "embed.offline=true", "model", *args])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_model_is_exported_listed_verified_and_removed(
    tiny: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a model without an ONNX form and back; each step changes what the list says."""
    model = ["-s", f"embed.model={tiny}"]

    def listed() -> dict[str, object]:
        assert run([*model, "model", "list", "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)["models"][0]
        return found

    assert listed()["forms"] == []
    assert str(listed()["runs"]).startswith("torch")

    assert run([*model, "model", "export"]) == 0
    assert "differs by" in capsys.readouterr().out
    assert str(listed()["runs"]).startswith("onnx")
    assert listed()["configured"] is True

    code, out, _ = kb(capsys, "verify", str(tiny))
    assert code == 0
    assert "ok  ONNX form in float32" in out
    assert "--  published cosines" in out

    code, out, _ = kb(capsys, "remove", str(tiny))
    assert code == 0
    assert "removed" in out
    assert listed()["forms"] == []
    assert tiny.is_dir()
    code, _, err = kb(capsys, "remove", str(tiny))
    assert code == 2
    assert f"kb keeps nothing of {tiny} in {place}" in err


@pytest.mark.slow
def test_the_bundled_model_is_what_was_published(
    minilm: Located, forms: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every check is good, for people and for programs."""
    monkeypatch.setenv("KB_MODELS", str(forms))

    code, out, _ = kb(capsys, "verify", minilm.name, "--json")

    checks = json.loads(out)["checks"]
    assert code == 0
    assert {one["good"] for one in checks} == {True}
    assert "published cosines" in {one["what"] for one in checks}


def test_a_model_that_is_not_here_is_listed_and_not_fetched(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list says so in one line; fetching is refused where it is switched off."""
    code, out, _ = kb(capsys, "list")
    assert code == 0
    assert "BAAI/bge-m3  (configured)\n  runs: BAAI/bge-m3" in out

    code, _, err = kb(capsys, "fetch")
    assert code == 2
    assert "embed.offline is true" in err
    assert not place.exists()


def test_a_damaged_form_fails_the_verification(tiny: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the file's name."""
    assert kb(capsys, "export", str(tiny))[0] == 0
    data = next(place.rglob("model.onnx.data"))
    data.write_bytes(bytes(reversed(data.read_bytes())))

    code, out, _ = kb(capsys, "verify", str(tiny))

    assert code == 1
    assert "NO  " in out


def test_int8_is_exported_and_configured_at_once(
    tiny: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command from torch to int8, which says what that gains; the rest of the configuration stays as it is."""
    monkeypatch.setattr("kb.models._SPEED_SECONDS", 0.05)
    file = tmp_path / "config.toml"
    file.write_text(f'# mine\n[folders]\npaths = ["."]\n\n[embed]\nmodel = "{tiny}"\n')

    assert run(["--config", str(file), "model", "export", "--use"]) == 2
    assert not place.exists()
    assert run(["--config", str(file), "model", "export", "--int8", "--use"]) == 0
    assert re.search(r"\nint8 embeds \d[\d.]* times as fast as float32 on this machine\n", capsys.readouterr().out)

    written = tomllib.loads(file.read_text("utf-8"))
    assert written["embed"] == {"model": str(tiny), "precision": "int8"}
    assert written["folders"] == {"paths": ["."]}
    assert file.read_text("utf-8").startswith("# mine\n")
    assert run(["--config", str(file), "model", "verify"]) == 0
