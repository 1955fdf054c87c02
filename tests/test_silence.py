"""Third-party libraries are told to send nothing, whoever imports them, when, and whatever the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kb.silence import SWITCHES

ROOT = Path(__file__).resolve().parents[1]
# What somebody could have set to have all of it on.
ON = {switch.variable: "1" if switch.value == "0" else "0" for switch in SWITCHES} | {
    "HF_HUB_OFFLINE": "0",
    "TRANSFORMERS_OFFLINE": "0",
    "DO_NOT_TRACK": "0",
}
# Where one of these says that a build runs, ONNX Runtime sends nothing by itself, and nothing would be seen.
BUILDS = {
    "CI",
    "TF_BUILD",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "CIRCLECI",
    "TRAVIS",
    "JENKINS_URL",
    "CODEBUILD_BUILD_ID",
    "BUILDKITE",
    "TEAMCITY_VERSION",
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
}
STATES = "from kb.silence import SWITCHES; print([s.variable for s in SWITCHES if not s.off()])"
# Stands where ONNX Runtime would, and tells what it found and what it was told.
FAKE = """
import os
print("imported with", os.environ.get("ORT_DISABLE_TELEMETRY"))
def disable_telemetry_events():
    print("told by its API")
"""


def run(code: str, home: Path, path: Path = ROOT, **environment: str) -> list[str]:
    """The lines that Python code prints, with every switch of the libraries turned the wrong way before."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={name: value for name, value in os.environ.items() if name not in BUILDS}
        | ON
        | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "HOME": str(home)}
        | environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def files_below(folder: Path) -> list[str]:
    """The files in a folder and below it."""
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A folder to import a made-up ONNX Runtime from."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "onnxruntime.py").write_text(FAKE)
    return folder


def test_onnxruntime_keeps_no_queue(tmp_path: Path) -> None:
    """With kb imported first, ONNX Runtime writes no queue of events and no device id, as it does without kb."""
    home = tmp_path / "home"
    home.mkdir()

    # XDG_CACHE_HOME of the tests would lead it elsewhere.
    run("import kb, onnxruntime", home, XDG_CACHE_HOME=str(home / "cache"))
    silent = files_below(home)
    run("import onnxruntime", home, XDG_CACHE_HOME=str(home / "cache"))

    assert silent == []
    assert any("DeveloperTools" in name for name in files_below(home)), "the test would not have seen a queue"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import kb, onnxruntime", "1"),
        ("import os, kb; os.environ.pop('ORT_DISABLE_TELEMETRY'); import onnxruntime", "1"),
        ("import onnxruntime, kb", "0"),
        ("import kb.silence as s; s.silence_libraries(); s.silence_libraries(); import onnxruntime", "1"),
    ],
    ids=["after kb", "with a variable that was removed", "before kb", "told twice"],
)
def test_onnxruntime_is_told_in_both_ways(fake: Path, tmp_path: Path, code: str, found: str) -> None:
    """Its variable is set when it is imported, and its API is called right afterwards, once."""
    assert run(code, tmp_path, fake) == [f"imported with {found}", "told by its API"]


def test_what_began_before_kb_is_not_called_off(fake: Path, tmp_path: Path) -> None:
    """A library that was imported with its telemetry on has begun; saying that it is off would be wrong."""
    before = run(f"import onnxruntime, kb; {STATES}", tmp_path, fake)
    silent = run(f"import onnxruntime, kb; {STATES}", tmp_path, fake, ORT_DISABLE_TELEMETRY="1")
    after = run(f"import kb, onnxruntime; {STATES}", tmp_path, fake)

    assert before[-1] == "['ORT_DISABLE_TELEMETRY']"
    assert silent[-1] == after[-1] == "[]"


@pytest.mark.parametrize("code", ["import kb, huggingface_hub", "import huggingface_hub.constants, kb"])
def test_the_hub_client_says_that_it_is_silent(tmp_path: Path, code: str) -> None:
    """Neither telemetry nor update checks, by the hub's own constants, whoever came first."""
    asked = (
        f"{code}\nfrom huggingface_hub import constants as c\nfrom huggingface_hub.utils import build_hf_headers\n"
        f"print(c.HF_HUB_DISABLE_TELEMETRY, c.HF_HUB_DISABLE_UPDATE_CHECK)\n"
        "print(build_hf_headers()['user-agent'])\n"
    )

    constants, agent = run(f"{asked}{STATES}", tmp_path)[:2]

    assert constants == "True True"
    assert [part.strip().partition("/")[0] for part in agent.split(";")] == ["unknown", "hf_hub", "python"]


def test_transfers_report_nothing(tmp_path: Path) -> None:
    """The library that transfers large files from the hub has its reports switched off, by its own configuration."""
    asked = "import hf_xet; print(dict(hf_xet.XetConfig())['telemetry.enabled'])"

    assert run(f"import kb; {asked}", tmp_path) == ["False"]
    assert run(asked, tmp_path, HF_HUB_DISABLE_TELEMETRY="0") == ["True"], "the test would not have seen it on"


@pytest.mark.parametrize(
    "module",
    [
        "kb",
        "kb.__main__",
        "kb.sandbox.worker",
        # Imports ChromaDB.
        pytest.param("kb.embedding.bge_m3", marks=pytest.mark.slow),
        "benchmarks.child",
    ],
)
def test_every_door_leads_past_the_switches(tmp_path: Path, module: str) -> None:
    """Whatever starts a process of kb sets all of them."""
    assert run(f"import {module}; {STATES}", tmp_path) == ["[]"]


def test_these_tests_run_silenced() -> None:
    """The process of the tests, which loads all the libraries, is silent as well."""
    assert [switch.variable for switch in SWITCHES if not switch.off()] == []
