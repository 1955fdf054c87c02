"""The command line end to end: real files, the bundled model, ChromaDB, and the names that others rely on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from seed_example import SEED, SEED_QUESTION

from kb.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

    from kb.embedding.spec import Located

KB = [sys.executable, "-m", "kb"]


class Here:
    """Runs kb in a folder of its own, in this process."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """The exit code, standard output and standard error."""
        code = run(arguments)
        captured = self._capture.readouterr()
        return code, captured.out, captured.err

    def json(self, *arguments: str) -> dict[str, object]:
        """What a command with ``--json`` prints: exactly one object."""
        _, out, _ = self(*arguments, "--json")
        value = json.loads(out)
        assert isinstance(value, dict)
        return value


@pytest.fixture
def kb(
    tmp_path: Path,
    notes: Path,
    onnx_minilm: Located,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Here:
    """A folder with a config.toml made by kb init, and the four notes, not yet indexed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KB_EMBED__MODEL", onnx_minilm.name)
    monkeypatch.setenv("KB_STORE__WAIT_SECONDS", "0")
    here = Here(capfd)
    code, _, err = here("init", "--here", str(notes))
    assert code == 0, err
    return here


def test_from_nothing_to_an_answer(kb: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """init, index and search give the promised names, and the ChromaDB note first, in torch as it comes."""
    monkeypatch.delenv("KB_MODELS", raising=False)
    index = kb.json("index")
    answer = kb.json("search", SEED_QUESTION)

    assert (tmp_path / "config.toml").exists()
    assert (tmp_path / ".kb").is_dir()
    assert index["files"] == {
        "added": 4,
        "changed": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 0,
        "reread": 0,
        "failed": 0,
        "unread": 0,
        "held": 0,
        "waiting": 0,
    }
    assert index["passages"] == {"embedded": 4, "reused": 0, "removed": 0, "total": 4}
    assert index["failures"] == []
    assert isinstance(index["seconds"], float)
    assert set(answer) == {"question", "read_as", "mode", "weak", "elsewhere", "index", "hits"}
    assert set(answer["index"]) == {"as_of", "pending", "watching", "files", "words_only", "without_server"}  # type: ignore[call-overload]  # an object, as the test says
    hits = answer["hits"]
    assert isinstance(hits, list)
    assert set(hits[0]) == {
        "rank", "path", "lines", "page", "place", "heading", "title", "score", "l2", "text", "id", "changed",
        "alike", "embedded_in", "cosine_rank", "bm25", "bm25_rank", "fused", "best", "best_by",
    }  # fmt: skip
    assert hits[0]["path"] == str(tmp_path / "notes" / "chromadb.md")
    assert hits[0]["lines"] == [1, 1]
    assert hits[0]["text"] == SEED["chromadb.md"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4]


def test_kbs_own_files_are_no_notes(kb: Here, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both lie in the folder of notes."""
    monkeypatch.chdir(notes)
    assert kb("init", "--here")[0] == 0

    assert kb.json("index")["files"]["added"] == 4  # type: ignore[index]  # an object, as the first test shows
    assert kb("list")[1].split() == sorted(SEED)
    assert sorted(path.name for path in notes.iterdir()) == sorted([".kb", "config.toml", *SEED])


def test_pipe_format_and_exit_codes(kb: Here) -> None:
    """A pipe gets path:line:text without escapes; no hit is exit code 1, a mistake 2."""
    kb("index")

    code, out, err = kb(SEED_QUESTION)
    none = kb("search", "--tag", "nothing", SEED_QUESTION)
    wrong = kb("search", "--limit", "none", SEED_QUESTION)

    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"notes/chromadb.md:1:{SEED['chromadb.md']}"
    assert "\x1b" not in out
    assert none[0] == 1
    assert wrong[0] == 2


def test_a_path_from_the_current_folder_chooses_files(kb: Here) -> None:
    """As ``--path`` and inside a question, to take and to leave out; the watched folder lies below the current one."""
    kb("index")

    for path in ("notes", "notes/", "notes/*", "./notes/*.md", "notes/chromadb.md"):
        for asked in (("--path", path, SEED_QUESTION), (f"{SEED_QUESTION} path:{path}",)):
            assert kb("search", "-l", *asked)[1].splitlines()[0] == "notes/chromadb.md", asked
        for asked in (("--path", f"!{path}", SEED_QUESTION), (f"{SEED_QUESTION} -path:{path}",)):
            assert "notes/chromadb.md" not in kb("search", "-l", "--weak", *asked)[1], asked


def test_nothing_changed_then_one_change(kb: Here, tmp_path: Path) -> None:
    """The second run finds nothing; after an edit only the edited file counts."""
    kb("index")
    unchanged = kb.json("index")
    (tmp_path / "notes" / "python.md").write_text("Snakes are reptiles.\n")

    changed = kb.json("index")

    assert unchanged["files"]["unchanged"] == 4  # type: ignore[index]  # an object, as the first test shows
    assert unchanged["passages"]["embedded"] == 0  # type: ignore[index]
    assert changed["files"]["changed"] == 1  # type: ignore[index]
    assert changed["passages"]["embedded"] == 1  # type: ignore[index]


def test_ask_similar_show_list_status_check_rebuild(kb: Here, tmp_path: Path) -> None:
    """The other commands work on the same store."""
    (tmp_path / "notes" / "bad.md").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    _, _, told = kb("index")

    assert "bad.md" in told
    assert SEED["chromadb.md"] in kb("ask", SEED_QUESTION)[1]
    assert "chromadb.md" not in kb("similar", "notes/chromadb.md")[1]
    assert SEED["python.md"] in kb("show", "notes/python.md:1")[1]
    assert kb("list")[1].split() == [f"notes/{name}" for name in sorted(SEED)]
    assert kb.json("status")["files"] == 4
    assert "bad.md" in kb("status", "--problems")[1]
    assert kb("check")[0] == 0
    assert kb("rebuild")[0] == 0
    assert kb(SEED_QUESTION)[0] == 0


def test_check_repairs(kb: Here, tmp_path: Path) -> None:
    """The check says what differs with exit code 1, and --repair mends it."""
    kb("index")
    (tmp_path / "notes" / "python.md").write_text("Snakes are reptiles.\n")

    found = kb("check")
    mended = kb("check", "--repair")

    assert found[0] == 1
    assert "python.md" in found[1]
    assert mended[0] == 0
    assert kb("check")[0] == 0


def test_a_note_is_found_at_once(kb: Here, tmp_path: Path) -> None:
    """A note becomes a new file in the folder, and the next question finds it."""
    code, out, _ = kb("note", "--tag", "home", "The spare key is with Ana.")
    found = kb.json("search", "who has the spare key", "--tag", "home")["hits"]

    written = list((tmp_path / "notes").glob("*spare-key*.md"))
    assert code == 0
    assert len(written) == 1
    assert written[0].name in out
    assert [hit["path"] for hit in found] == [str(written[0])]  # type: ignore[attr-defined]  # a list, as shown above


def test_another_model_names_the_remedy(kb: Here, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of another model is refused with the command that re-embeds, which then works."""
    kb("index")
    monkeypatch.setenv("KB_EMBED__MODEL", str(tiny))

    code, _, err = kb(SEED_QUESTION)

    assert code == 2
    assert "kb index --full" in err
    assert kb("index", "--full")[0] == 0
    assert kb(SEED_QUESTION)[0] == 0


def test_five_mistakes_in_the_configuration(kb: Here, tmp_path: Path) -> None:
    """All mistakes are told at once, with file and line, and nothing else is printed."""
    config = tmp_path / "config.toml"
    config.write_text('[embed]\nmodle = "x"\ndevice = "tpu"\n[chunk]\nmax_tokens = 1\n[stor]\n[search]\nlimit = 0\n')

    code, out, err = kb("index")

    assert (code, out) == (2, "")
    for line in (2, 3, 5, 6, 8):
        assert f"config.toml:{line}: " in err


def test_no_configuration_names_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where nothing is configured, the error names kb init."""
    monkeypatch.chdir(tmp_path)

    code, _, err = Here(capfd)("search", "anything")

    assert code == 2
    assert "kb init" in err


@pytest.mark.slow
@pytest.mark.usefixtures("kb")
def test_hostile_env_file_is_not_read(tmp_path: Path) -> None:
    """A .env in the current folder neither breaks kb nor runs anything."""
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\n")
    (tmp_path / ".env").write_text(
        "CHROMA_SERVER_HTTP_PORT=abc\nCHROMA_PRODUCT_TELEMETRY_IMPL=evil.X\nMIGRATIONS=none\n"
    )

    done = subprocess.run([*KB, "index", "--json"], check=False, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"]["added"] == 4
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("kb")
@pytest.mark.slow
def test_progress_is_shown_on_a_terminal_only() -> None:
    """On a terminal a bar is drawn on standard error; standard output holds the result alone."""
    controller, terminal = pty.openpty()
    with subprocess.Popen([*KB, "index", "--json"], stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        drawn = b""
        while True:
            try:
                part = os.read(controller, 4096)
            except OSError:
                break
            if not part:
                break
            drawn += part
        out = process.stdout.read() if process.stdout else b""
    os.close(controller)

    assert process.returncode == 0
    assert b"\x1b[" in drawn
    assert json.loads(out)["passages"]["embedded"] == 4


@pytest.mark.slow
def test_interrupt_stops_in_order_and_the_next_run_goes_on(kb: Here, tmp_path: Path) -> None:
    """Ctrl-C ends a run with exit code 130; nothing is torn and the next run finishes the work."""
    for number in range(500):
        (tmp_path / "notes" / f"n{number}.md").write_text(f"# Note {number}\n\n" + f"It is about topic {number}. " * 40)
    with subprocess.Popen([*KB, "index"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 90
        while not (tmp_path / ".kb" / "embeddings.sqlite3-wal").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=90)
    for path in (tmp_path / "notes").glob("n*.md"):
        if int(path.stem[1:]) >= 40:
            path.unlink()

    report = kb.json("index")

    assert process.returncode == 130
    assert report["files"]["added"] + report["files"]["unchanged"] == 44  # type: ignore[index]
    assert kb("check")[0] == 0


def test_unreadable_folder_names_and_strange_files(kb: Here, tmp_path: Path) -> None:
    """Names with newlines, escapes, emoji and bytes that are no text are indexed and printed harmlessly."""
    folder = os.fsencode(tmp_path / "notes")
    for name in (b"new\nline.md", b"\x1b[31mred.md", "emoji 🦊.md".encode(), b"latin-\xe9.md", "e\u0301.md".encode()):
        with open(os.path.join(folder, name), "wb") as file:  # noqa: PTH118, PTH123  # bytes, on purpose
            file.write(b"The fox is quick and " + name.replace(b"\n", b" ") + b".\n")

    code, _, err = kb("index")
    _, out, _ = kb("quick fox", "-n", "9", "--weak")

    assert code == 0, err
    assert "\x1b" not in out
    assert len(out.splitlines()) == 9
    assert kb("check")[0] == 0
    assert len(kb.json("search", "quick fox", "-n", "9", "--weak")["hits"]) == 9  # type: ignore[arg-type]
