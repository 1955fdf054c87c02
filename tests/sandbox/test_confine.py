"""What a parsing process cannot do, tried from inside, as root and as a user."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from escaping_extractors import ATTEMPTS

from kb.errors import DocumentBusy, DocumentError
from kb.sandbox import confine, seccomp, syscalls
from kb.sandbox import pool as sandbox_module
from kb.sandbox.confine import offered
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ESCAPING = "escaping_extractors"
HOSTILE = "hostile_extractors"
SCANNED = "kb.formats.scanned"
LIMITS = Limits(seconds=20.0, memory=400_000_000, text=1_000_000)
REFUSED = {f"refused: {os.strerror(number)}" for number in (1, 13, 38)}  # EPERM, EACCES, ENOSYS
linux = pytest.mark.skipif("system calls" not in offered(), reason="this system filters no system calls")


class Inside(NamedTuple):
    """A sandbox, and what it could harm."""

    sandbox: Sandbox
    folder: Path
    bystander: int
    secret: ctypes.Array[ctypes.c_char]

    def attempt(self, name: str) -> list[str]:
        """Make an attempt from the first and from another thread, and report the results."""
        told = f"{name}\n{self.folder}\n{os.getpid()}\n{self.bystander}\n{ctypes.addressof(self.secret)}"
        return self.sandbox.extract(ESCAPING, "x.any", told.encode()).text.splitlines()


@pytest.fixture(scope="module", params=["as it is", "as a user"])
def inside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """A parsing process that tries to escape, and a folder that anybody may write to."""
    patch = pytest.MonkeyPatch()
    path = [str(HERE)]
    if request.param == "as a user":
        if os.geteuid() != 0:
            pytest.skip("the tests run as a user already")
        path.append(str(HERE / "as_user"))
        patch.setenv("LANG", "as-user")
    patch.setenv("PYTHONPATH", os.pathsep.join(path))
    folder = tmp_path_factory.mktemp("notes")
    (folder / "note.txt").write_text("mine", "utf-8")
    (folder / "program").write_bytes(b"\x7fELF")
    (folder / "empty").mkdir()
    for one in (folder, *folder.iterdir(), *folder.parents):
        if one.owner() == folder.owner() and str(one).startswith(("/tmp/", "/dev/shm/")):  # noqa: S108 - where pytest makes it
            one.chmod(0o777)
    bystander = subprocess.Popen(["sleep", "600"])  # noqa: S607 - wherever it is
    made = Sandbox(LIMITS, [ESCAPING])
    yield Inside(made, folder, bystander.pid, ctypes.create_string_buffer(b"secret of the parent"))
    made.close()
    alive = bystander.poll() is None
    bystander.kill()
    bystander.wait()
    patch.undo()
    assert alive
    assert sorted(one.name for one in folder.iterdir()) == ["empty", "note.txt", "program"]
    assert (folder / "note.txt").read_text("utf-8") == "mine"


@linux
@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_outside_can_be_reached(inside: Inside, name: str) -> None:
    """No thread can reach a file, process, socket, namespace or device."""
    went = inside.attempt(name)

    assert len(went) == 2
    assert set(went) <= REFUSED


@linux
def test_confinement_as_other_user(inside: Inside, request: pytest.FixtureRequest) -> None:
    """The process has another user's id, which does not let it harm processes of root either."""
    inside.attempt("fork")
    status = Path(f"/proc/{inside.sandbox.process}/status").read_text("ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert fields["Uid"].split()[1] == ("65534" if "as a user" in request.node.name else str(os.geteuid()))
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


@linux
def test_threads_can_still_be_started(inside: Inside) -> None:
    """Libraries start threads at any time."""
    assert inside.attempt("a thread") == [" ".join(["ran"] * 20)]


@linux
def test_threads_of_libraries_are_confined(inside: Inside) -> None:
    """Every thread has the filter, including earlier ones."""
    inside.attempt("fork")
    tasks = list(Path(f"/proc/{inside.sandbox.process}/task").iterdir())

    assert tasks
    assert all("Seccomp:\t2" in (task / "status").read_text("ascii") for task in tasks)


@linux
def test_threads_of_document_parsers_are_confined() -> None:
    """The threads that xberg starts while it is loaded have the filter too."""
    pytest.importorskip("xberg")
    made = Sandbox(LIMITS, ["kb.formats.office"])
    try:
        made.extract("kb.formats.office", "x.rtf", rb"{\rtf1 words}")
        tasks = list(Path(f"/proc/{made.process}/task").iterdir())
        assert len(tasks) > 1
        assert all("Seccomp:\t2" in (task / "status").read_text("ascii") for task in tasks)
    finally:
        made.close()


# --- what is in force is told, and nothing is parsed without it ----------------------------------------------------


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox whose parser does what the bytes say."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made = Sandbox(LIMITS, [HOSTILE])
    yield made
    made.close()


def test_partly_confined_process_reads_nothing(hostile: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the kernel offers more than the process reports, the document is read another time."""
    monkeypatch.setattr(sandbox_module, "offered", lambda: (*offered(), "one more"))

    with pytest.raises(DocumentBusy, match=r"not confined as it should be \(one more\)"):
        hostile.extract(HOSTILE, "x.any", b"fine")


@linux
def test_failed_measure_stops_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the kernel offers Landlock but refuses it, nothing is parsed, and the reason says so."""
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, sys\n"
        "sys.path.insert(0, sys.path[1])\n"
        "import kb.sandbox.confine as confine\n"
        "def refused(*_):\n"
        "    raise OSError(errno.E2BIG, 'too many rules')\n"
        "confine.restrict = refused\n",
        "utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{HERE}")
    made = Sandbox(LIMITS, [HOSTILE])
    try:
        with pytest.raises(DocumentBusy, match=r"cannot be confined \(.*too many rules\)"):
            made.extract(HOSTILE, "x.any", b"fine")
    finally:
        made.close()


def test_missing_module_is_not_blamed_on_file() -> None:
    """A process that does not start is reported as such, and the file is read once it does."""
    made = Sandbox(LIMITS, ["no_such_module"])
    try:
        with pytest.raises(DocumentBusy, match="does not start"):
            made.extract("no_such_module", "x.any", b"fine")
    finally:
        made.close()


def test_measures_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Linux's calls, the available limits are in force, and the others reported as missing."""
    confine.offered.cache_clear()
    monkeypatch.setattr(confine, "machine", lambda: None)
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        assert confine.offered() == ("cpu", "file size", "open files", "core dumps")
        assert confine.landlock_version() == 0
        assert confine.before_loading() == []
    finally:
        confine.offered.cache_clear()


def test_numbers_of_other_machines_are_unknown() -> None:
    """There is a filter for the two known architectures, and each call has a unique number."""
    for machine in syscalls.MACHINES.values():
        assert len(set(machine.numbers.values())) == len(machine.numbers)
        assert len(seccomp.filter_program(machine, reads_files=False)) % 8 == 0


# --- ended from outside -------------------------------------------------------------------------------------------


def test_killed_process_is_restarted(hostile: Sandbox) -> None:
    """The out-of-memory killer may choose a process during any file, so the file is read again."""
    hostile.extract(HOSTILE, "x.any", b"one")
    assert hostile.process is not None
    os.kill(hostile.process, signal.SIGKILL)

    assert hostile.extract(HOSTILE, "x.any", b"two").text == "two\n"


def test_process_killed_at_each_start_is_reported(hostile: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file waits for the next run, and its reason does not call it too large."""
    ask = sandbox_module._Worker.ask

    def killed(worker: sandbox_module._Worker, *arguments: object) -> object:
        os.kill(worker.process, signal.SIGKILL)
        return ask(worker, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sandbox_module._Worker, "ask", killed)
    with pytest.raises(DocumentBusy, match="was ended from outside") as caught:
        hostile.extract(HOSTILE, "x.any", b"one")
    assert "MB" not in caught.value.message


@pytest.mark.parametrize(
    ("what", "reason"),
    [("memory", "needs more than"), ("abort", "makes its parser give up"), ("crash", "Segmentation fault")],
)
def test_crash_caused_by_file_is_blamed_on_it(hostile: Sandbox, what: str, reason: str) -> None:
    """Crashes and memory over the limit are permanent failures of the file."""
    with pytest.raises(DocumentError, match=reason) as caught:
        hostile.extract(HOSTILE, "x.any", what.encode())
    assert not isinstance(caught.value, DocumentBusy)


# --- Tesseract ----------------------------------------------------------------------------------------------------


class FalseTesseract(NamedTuple):
    """A program that is used as Tesseract, and a sandbox that starts it."""

    program: Path
    sandbox: Sandbox

    def write(self, script: str) -> None:
        """Let the program be a script for Bash."""
        # A new file, as another name of the old one may still be running.
        self.program.unlink(missing_ok=True)
        self.program.write_text(f"#!{shutil.which('bash')}\n{script}\n", "utf-8")
        self.program.chmod(0o755)

    def said(self) -> str:
        """The text that it recognises in an image."""
        return self.sandbox.extract(SCANNED, "x.png", b"an image").text


@pytest.fixture(scope="module")
def false_tesseract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FalseTesseract]:
    """A sandbox whose Tesseract may be any script; a test writes its own."""
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    program = tmp_path_factory.mktemp("bin") / "tesseract"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        sandbox = Sandbox(Limits(seconds=20.0, ocr="eng", ocr_seconds=20.0), [SCANNED])
        yield FalseTesseract(program, sandbox)
        sandbox.close()


@linux
@pytest.mark.skipif("files" not in offered(), reason="this kernel has no Landlock")
@pytest.mark.parametrize(
    "line",
    [
        "read -r line < NOTE",
        "echo harm > NOTE",
        "echo harm > FOLDER/new.txt",
        "read -r line < /etc/passwd",
        "cd FOLDER && [[ $(echo *) == *note* ]]",
        "/bin/true",
        "(:)",
        'kill -0 "$PPID"',
        "exec 3<>/dev/tcp/127.0.0.1/9",
    ],
)
def test_tesseract_reaches_only_its_files(false_tesseract: FalseTesseract, tmp_path: Path, line: str) -> None:
    """A Tesseract controlled by an image reads and writes no note, and starts no program."""
    note = tmp_path / "note.txt"
    note.write_text("mine", "utf-8")
    line = line.replace("NOTE", str(note)).replace("FOLDER", str(tmp_path))
    # A subshell is a process, and a redirection that fails ends no more than its group.
    false_tesseract.write(f"{{ {line}; }} 2>/dev/null && echo done\necho went on")
    try:
        said = false_tesseract.said()
    except DocumentError as error:
        said = error.message

    # Bash itself ends, with nothing to say, where it cannot start a process.
    assert said in {"went on\n", "cannot be read by Tesseract ()"}
    assert note.read_text("utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [note]


@linux
def test_tesseract_writes_only_its_folder(false_tesseract: FalseTesseract) -> None:
    """It has a folder for temporary files, which is deleted afterwards."""
    false_tesseract.write('echo kept > "$TMPDIR/one" && read -r got < "$TMPDIR/one" && echo "$got $TMPDIR"')

    said = false_tesseract.said().split()

    assert said[0] == "kept"
    assert not Path(said[1]).exists()


def test_hanging_tesseract_is_killed(false_tesseract: FalseTesseract) -> None:
    """The time limit for recognition also applies to the program."""
    false_tesseract.write("while :; do :; done")
    made = Sandbox(Limits(seconds=20.0, ocr="eng", ocr_seconds=0.2), [SCANNED])
    try:
        with pytest.raises(DocumentError, match="takes longer"):
            made.extract(SCANNED, "x.png", b"an image")
    finally:
        made.close()


def test_a_tesseract_that_cannot_be_started_is_tried_again(
    false_tesseract: FalseTesseract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is not to blame."""
    false_tesseract.write("echo words")
    false_tesseract.said()
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    with pytest.raises(DocumentBusy, match=r"^is not read: Tesseract cannot be started: no such file"):
        false_tesseract.said()
