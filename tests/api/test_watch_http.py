"""``kb watch --http`` as a process of its own: the port, the reload of the configuration, the events, the stop."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from chroma_server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.embedding.spec import Located

pytestmark = pytest.mark.slow
KB = [sys.executable, "-P", "-m", "kb"]


class Watching:
    """A configuration, its notes, and the daemon over them."""

    def __init__(self, root: Path, model: str) -> None:
        self.root = root
        self.notes = root / "notes"
        self.notes.mkdir()
        (self.notes / "tea.md").write_text("# Tea\n\nGreen tea is steeped at 80 degrees.\n", "utf-8")
        self.model = model
        self.configure()

    def configure(self, http: str = "") -> None:
        """Write the configuration."""
        serve = f'[serve]\nhttp = "{http}"\n' if http else ""
        text = f'[folders]\npaths = ["notes"]\n[embed]\nmodel = "{self.model}"\n{serve}'
        (self.root / "config.toml").write_text(text, "utf-8")

    def kb(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return subprocess.run(
            [*KB, "--config", str(self.root / "config.toml"), *args],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
            cwd=self.root,
            env={**os.environ, "XDG_RUNTIME_DIR": str(self.root)},
        )

    def get(self, port: int, path: str) -> httpx.Response:
        """Ask at a port with the token."""
        token = self.kb("token").stdout.strip()
        return httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.fixture
def watching(onnx_minilm: Located) -> Iterator[Watching]:
    """A daemon can be started, and is stopped at the end."""
    root = Path(tempfile.mkdtemp(prefix="kb-", dir="/tmp"))
    made = Watching(root, onnx_minilm.name)
    yield made
    made.kb("watch", "--stop")
    shutil.rmtree(root)


def test_port_opens_moves_and_closes_with_the_configuration(watching: Watching) -> None:
    """Without a restart; the status tells the address, and a port in use changes nothing."""
    first, second = free_port(), free_port()
    started = watching.kb("watch", "--background")
    assert started.returncode == 0, started.stderr
    assert json.loads(watching.kb("watch", "--status", "--json").stdout)["owner"]["http"] is None

    watching.configure(f"127.0.0.1:{first}")
    _wait_until(lambda: f"http://127.0.0.1:{first}" in watching.kb("watch", "--status").stdout)
    assert watching.get(first, "/v1/status").json()["daemon"]["http"] == f"http://127.0.0.1:{first}"
    assert f"http://127.0.0.1:{first}" in watching.kb("status").stdout

    watching.configure(f"127.0.0.1:{second}")
    _wait_until(lambda: f"http://127.0.0.1:{second}" in watching.kb("watch", "--status").stdout)
    with pytest.raises(httpx.ConnectError):
        watching.get(first, "/v1/status")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        watching.configure(f"127.0.0.1:{taken.getsockname()[1]}")
        time.sleep(3)
        assert watching.get(second, "/v1/status").status_code == 200

    watching.configure()
    _wait_until(lambda: json.loads(watching.kb("watch", "--status", "--json").stdout)["owner"]["http"] is None)


def test_port_in_use_keeps_the_daemon_from_starting(watching: Watching) -> None:
    """One sentence and one remedy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        started = watching.kb("watch", "--http", f"127.0.0.1:{number}")

    assert started.returncode == 2
    assert f"kb: port {number} is in use at 127.0.0.1" in started.stderr
    assert "Traceback" not in started.stderr


def test_typed_port_is_carried_to_the_background_and_to_the_service(watching: Watching) -> None:
    """Events tell of a file that changes, and the stop ends a stream at once."""
    port = free_port()
    service = watching.kb("watch", "--install-service", "--print", "--http", str(port))
    assert f"serve.http=127.0.0.1:{port}" in service.stdout

    assert watching.kb("watch", "--background", "--http", str(port)).returncode == 0
    assert watching.kb("sync").returncode == 0
    token = watching.kb("token").stdout.strip()
    url, headers = f"http://127.0.0.1:{port}/v1/events", {"Authorization": f"Bearer {token}"}
    with httpx.stream("GET", url, headers=headers, timeout=120) as answer:
        lines = answer.iter_lines()
        assert any(line == "event: state" for line in lines)
        (watching.notes / "coffee.md").write_text("# Coffee\n\nGround fresh.\n", "utf-8")
        assert any("coffee.md" in line for line in lines)
        began = time.monotonic()
        assert watching.kb("watch", "--stop").returncode == 0
        for _ in lines:
            pass
    assert time.monotonic() - began < 60


def _wait_until(holds: Callable[[], bool], seconds: float = 200) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.3)
