"""A daemon that is stopped during its start: at most one sentence, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starting_owner import STEPS
from watched import Watched

from kb.interrupts import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
# Whichever signal it is takes the same way, so the quick tests have one for each step.
FEW = [
    ("load", signal.SIGTERM),
    ("open", signal.SIGINT),
    ("probe", signal.SIGTERM),
    ("listen", signal.SIGINT),
    ("index", signal.SIGTERM),
]
ALL = [(step, number) for step in STEPS for number in CODES if (step, number) not in FEW]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path for the socket."""
    with tempfile.TemporaryDirectory(prefix="kb-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def stopped(runtime: Path, tmp_path: Path, step: str, number: signal.Signals) -> None:
    """Send a signal at a step, and check what is left."""
    folder, store = tmp_path / "notes", tmp_path / "store"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\ntext\n")
    if step in {"open", "probe"}:
        with Watched([folder], store, polling=False):
            pass
    if step == "probe":
        (store / "unclean").touch()
    before = (store / "unclean").exists()
    command = [sys.executable, str(HERE / "starting_owner.py"), step, str(folder), str(store)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "here\n", child.stderr.read()
        child.send_signal(number)
        code = child.wait(120)
        said = [line.split(" ", 1)[1] for line in child.stderr.read().splitlines()]

    started = step == "index"
    assert code == (0 if started else CODES[number]), said
    assert said[-1] == ("stopped" if started else "stopped during startup")
    assert not any("Traceback" in line for line in said)
    # What needed examining before still does; nothing else is left in doubt.
    assert (store / "unclean").exists() == before
    assert not (store / "owner.json").exists()
    assert [path for path in runtime.rglob("*") if not path.is_dir()] == []
    with Watched([folder], store, polling=False) as one:
        one.settle()


@pytest.mark.parametrize(("step", "number"), [FEW[0], *(pytest.param(*one, marks=pytest.mark.slow) for one in FEW[1:])])
def test_a_signal_during_the_start(runtime: Path, tmp_path: Path, step: str, number: signal.Signals) -> None:
    """The next daemon finds a store that was closed properly."""
    stopped(runtime, tmp_path, step, number)


@pytest.mark.faults
@pytest.mark.parametrize(("step", "number"), ALL)
def test_the_other_signal_during_the_start(runtime: Path, tmp_path: Path, step: str, number: signal.Signals) -> None:
    """At each step, with either signal."""
    stopped(runtime, tmp_path, step, number)


def test_an_uninterruptible_step_finishes_first() -> None:
    """The signal takes effect afterwards, once."""
    done: list[bool] = []

    def step() -> None:
        with undisturbed():
            # Not os.kill, whose signal may reach another thread, and this one only after the test.
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        step()

    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_python_imports_is_no_traceback() -> None:
    """Before the command line begins."""
    program = (
        "import os, signal, sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'kb.cli.main': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "sys.argv[1:] = ['list']\n"
        "from kb.__main__ import main\n"
        "main()\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
