"""docs/privacy.md names every dependency, every switch, and tests that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from kb.silence import CHROMADB_SETTINGS, SWITCHES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "privacy.md").read_text("utf-8")
WORDS = {word.lower() for word in re.findall(r"[\w.-]+\w", PAGE)}


def dependencies() -> list[str]:
    """The packages that kb needs or can use, those for its development aside."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = (given for extra, given in project["optional-dependencies"].items() if extra != "dev")
    return [re.split(r"[^\w.-]", one)[0] for given in (project["dependencies"], *extras) for one in given]


def test_every_dependency_is_looked_into() -> None:
    """What is added to kb stands on the page, with what it sends or that it sends nothing."""
    assert [one for one in dependencies() if one.lower() not in WORDS and one.lower() != "onnxruntime"] == []
    assert "ONNX Runtime" in PAGE


def test_every_switch_is_told() -> None:
    """Each variable and setting that kb sets is explained."""
    assert [switch.variable for switch in SWITCHES if f"`{switch.variable}={switch.value}`" not in PAGE] == []
    assert f"`anonymized_telemetry={CHROMADB_SETTINGS['anonymized_telemetry']}`" in PAGE


def test_tests_that_it_names_exist() -> None:
    """A test that is said to show something is there."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }

    assert len(named) >= 5
    assert named - there == set()
