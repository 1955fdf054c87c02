"""``kb doctor`` on the command line: its text, JSON, exit codes, what ``--fix`` changes, and the report."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from faults import FAULTS, MARKER, record_of_a_dead_process, service_installed, store_open_to_others, unfinished_files

from kb.cli.commands import doctor as command
from kb.cli.main import run
from kb.cli.output.examination import remedy_lines
from kb.cli.output.terminal import OutputStyle
from kb.doctor.finding import Remedy
from kb.doctor.table import CHECKS
from kb.service.background import daemon_name

if TYPE_CHECKING:
    from pathlib import Path

    from examined import World

pytest_plugins = ["examined"]


@pytest.fixture
def doctor(world: World, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs kb doctor and gives back its exit code, standard output and standard error."""
    world.monkeypatch.setattr(command, "_encoder", lambda _settings: world.encoder)

    def run_doctor(*arguments: str) -> tuple[int, str, str]:
        code = run(["doctor", *arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run_doctor


def test_one_line_a_check_and_a_summary(doctor: Any) -> None:
    """Where all is well each check is one line, the summary is the last, and the exit code is 0."""
    code, out, err = doctor()
    lines = out.splitlines()

    assert (code, err) == (0, "")
    assert [line.split()[1] for line in lines[:-1]] == [check.name for check in CHECKS]
    assert {line.split()[0] for line in lines[:-1]} == {"ok"}
    assert re.fullmatch(rf"{len(CHECKS)} checks: {len(CHECKS)} ok; \d+\.\d s", lines[-1])


def test_failure_has_its_remedy_below_and_exit_code_1(doctor: Any, world: World) -> None:
    """What a failed check needs is skipped, and the command is whole on its line."""
    FAULTS["folder missing"].put(world)

    code, out, _ = doctor()

    assert code == 1
    assert f"failed   folders        {world.notes} does not exist\n         Mount it, create it (mkdir -p " in out
    assert "skipped  question       folders failed\n" in out


def test_warnings_alone_are_exit_code_0(doctor: Any, world: World) -> None:
    """A warning does not keep kb from working."""
    FAULTS["no kb on the path"].put(world)

    code, out, _ = doctor()

    assert code == 0
    assert "warning  program" in out
    assert "1 warning" in out.splitlines()[-1]


def test_verbose_shows_more_facts(doctor: Any) -> None:
    """-v has the details of each check, and how long it took."""
    _, out, _ = doctor("-v")

    assert re.search(r"^ +MB of weights: 90$", out, re.MULTILINE)
    assert len(re.findall(r"^ +seconds: \d", out, re.MULTILINE)) == len(CHECKS)


def test_json_has_every_check_and_its_command(doctor: Any, world: World) -> None:
    """The keys are a public interface."""
    FAULTS["vectors removed"].put(world)

    code, out, _ = doctor("--json")
    told = json.loads(out)

    assert code == 1
    assert told.keys() == {"version", "healthy", "counts", "checks", "fixed"}
    assert (told["healthy"], told["counts"]["failed"], told["fixed"]) == (False, 1, [])
    by_name = {one["name"]: one for one in told["checks"]}
    assert list(by_name) == [check.name for check in CHECKS]
    assert by_name["vectors"].keys() == {
        "name", "state", "message", "remedy", "command", "fixable", "details", "seconds",
    }  # fmt: skip
    assert (by_name["vectors"]["state"], by_name["vectors"]["command"]) == ("failed", "kb rebuild")
    assert by_name["store"]["remedy"] is by_name["store"]["command"] is None


def test_fix_makes_what_is_safe_says_so_and_checks_again(doctor: Any, world: World) -> None:
    """Modes, records, unfinished files and the service file are mended; notes and configuration are as before."""
    store_open_to_others(world)
    record_of_a_dead_process(world)
    unfinished_files(world)
    unit = service_installed(world)
    sound = unit.read_text("utf-8")
    unit.write_text(sound.replace(sys.executable, "/opt/removed/python"), "utf-8")
    before = contents(world)

    code, out, _ = doctor("--fix")

    assert code == 0
    done = [line for line in out.splitlines() if line.startswith("done: ")]
    assert len(done) == 4
    assert "done: take the rights of other users from the store\n" in out
    assert (
        "done: remove what a process that died left unfinished in the store: catalog.left.new, generation-0099" in out
    )
    assert f"{len(CHECKS)} checks: {len(CHECKS)} ok" in out.splitlines()[-1]
    assert unit.read_text("utf-8") == sound
    assert stat.S_IMODE((world.store / "catalog.sqlite3").stat().st_mode) == 0o600
    assert contents(world) == before


def test_fix_leaves_a_folder_alone_that_kb_did_not_fill(doctor: Any, world: World) -> None:
    """A store.path that names the notes, or a folder of other programs, takes nobody's rights from their files."""
    other = world.root / "other"
    other.mkdir()
    for folder in (world.notes, other):
        kept = folder / "kept.md"
        kept.write_text("text", "utf-8")
        folder.chmod(0o755)
        kept.chmod(0o644)
        world.configure(store__path=str(folder))

        assert doctor("--fix")[0] in (0, 1)

        assert stat.S_IMODE(folder.stat().st_mode) == 0o755, folder
        assert stat.S_IMODE(kept.stat().st_mode) == 0o644, folder


def contents(world: World) -> dict[Path, bytes]:
    """The notes and the configuration."""
    files = [world.config, *(path for path in world.notes.rglob("*") if path.is_file())]
    return {file: file.read_bytes() for file in files}


def test_nothing_is_changed_without_fix(doctor: Any, world: World) -> None:
    """An examination leaves every file and every mode as it was, but for what any question writes."""
    store_open_to_others(world)
    record_of_a_dead_process(world)
    unfinished_files(world)

    def state() -> dict[str, tuple[int, int]]:
        # A question writes its vector into the cache.
        files = (path for path in world.root.rglob("*") if not path.name.startswith("embeddings"))
        return {str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in files if path.is_file()}

    # The question takes the lock, whose record replaces the one of the dead process.
    FAULTS["vectors removed"].put(world)
    before = state()
    code, out, _ = doctor()

    assert code == 1
    assert "skipped  question" in out
    assert "kb doctor --fix fixes 3 of them" in out
    assert state() == before


def test_fix_says_that_nothing_is_safe_to_fix(doctor: Any, world: World) -> None:
    """What the user has to do is left to the user."""
    FAULTS["catalog overwritten"].put(world)

    code, out, _ = doctor("--fix")

    assert code == 1
    assert "nothing was found that is safe to fix without you\n" in out
    assert "Checked again" not in out


def test_report_has_not_a_word_of_the_notes(doctor: Any, world: World, tmp_path: Path) -> None:
    """A word in notes, names of files and folders, tags, configuration, user name and log is not in the report."""
    world.configure(note__folder=f"{MARKER} journal", folders__exclude=[f"{MARKER}*"], answer__model=f"{MARKER}-model")
    log = world.root / "home" / "state" / "kb" / "log" / f"watch-{daemon_name(os.path.realpath(world.store))}.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        "2026-11-29 10:00:00 loading all-MiniLM-L6-v2\n"
        f"2026-11-29 10:00:01 process 42 opened the store at /home/{MARKER}/store\n"
        f"2026-11-29 10:00:02 added notes {MARKER}/{MARKER}.md (3 passages, 1 reused, 0.02 s)\n"
        f"2026-11-29 10:00:03 {MARKER} said something else\n"
        f'  File "/home/{MARKER}/kb/{MARKER}.py", line 3, in {MARKER}\n'
        '  File "/usr/lib/python3/site-packages/kb/app.py", line 12, in index\n'
        "2026-11-29 10:00:04 stopped\n",
        "utf-8",
    )
    FAULTS["record of a dead process"].put(world)
    client = world.root / "home" / ".cursor" / "mcp.json"
    client.parent.mkdir()
    client.write_text(json.dumps({"mcpServers": {"kb": {"command": f"/{MARKER}/kb", "args": []}}}), "utf-8")
    file = tmp_path / "report.txt"

    _, out, _ = doctor("--report", str(file))
    report = file.read_text("utf-8")

    assert MARKER in out
    assert MARKER.lower() not in report.lower()
    assert str(world.root) not in report
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for part in ("[kb]", "[machine]", "[configuration]", "[checks]", "[index]", "[log of kb watch]"):
        assert part in report
    assert "note.folder = <text>, from the file" in report
    assert "folders.exclude = <1 entries>, from the file" in report
    assert "embed.offline = True, from the file" in report
    assert re.search(r"^failed  clients .* Cursor starts a program that does not exist: <path>$", report, re.MULTILINE)
    assert "2026-11-29 10:00:01 process 42 opened the store at <path>\n" in report
    assert "2026-11-29 10:00:02 added <file> (3 passages, 1 reused, 0.02 s)\n" in report
    assert "2026-11-29 10:00:03 <34 characters>\n" in report
    assert '  File "kb/app.py", line 12\n' in report
    assert "2026-11-29 10:00:04 stopped\n" in report


FAULTS_OF_REPORTS = (
    "configuration not TOML", "unknown key", "no configuration", "configuration not trusted", "folder missing",
    "store is a file", "catalog overwritten", "store of another configuration", "model directory absent",
    "client file invalid", "daemon with errors",
)  # fmt: skip


@pytest.mark.parametrize("name", FAULTS_OF_REPORTS)
def test_report_of_a_fault_has_no_names(name: str, doctor: Any, world: World) -> None:
    """Whatever is broken, the report is written, to standard output as well, and names nothing of the user's."""
    with world.config.open("a", encoding="utf-8") as stream:
        stream.write(f"\n# {MARKER}\n")
    FAULTS[name].put(world)
    if name == "unknown key":
        with world.config.open("a", encoding="utf-8") as stream:
            stream.write(f"{MARKER} = 1\n")

    _, out, err = doctor("--report", "-")

    assert out.startswith("[kb]\n")
    assert MARKER.lower() not in (out + err).lower()
    assert str(world.root) not in out


def test_report_that_cannot_be_written_is_an_error(doctor: Any) -> None:
    """The file is named with the reason."""
    code, _, err = doctor("--report", "/no/such/folder/report.txt")

    assert code == 2
    assert "/no/such/folder/report.txt cannot be written: no such file or directory" in err


def test_report_replaces_no_file(doctor: Any, world: World) -> None:
    """It may be a note."""
    note = next(world.notes.glob("*.md"))
    before = note.read_bytes()

    code, _, err = doctor("--report", str(note))

    assert code == 2
    assert "is there already" in err
    assert note.read_bytes() == before


def test_report_conflicts_with_json(doctor: Any) -> None:
    """Both would be for programs."""
    code, _, err = doctor("--report", "x", "--json")

    assert code == 2
    assert "--json" in err


def test_remedy_is_wrapped_and_its_command_is_not() -> None:
    """On eighty columns prose is wrapped, and a command can be copied from one line."""
    command_line = "chmod -R u+rwX '/home/somebody/a rather long folder name/store'"
    remedy = Remedy(
        command_line, "If the folder is meant to be yours alone and writable, ", ", or mount it for writing"
    )

    lines = remedy_lines(remedy, OutputStyle(laid_out=True, width=80)).splitlines()

    assert max(map(len, lines)) <= 80
    assert sum(command_line in line for line in lines) == 1
    assert all(line.startswith(" " * 9) for line in lines)
    assert remedy_lines(remedy, OutputStyle()) == f"{'':<9}{remedy}\n"
    assert remedy_lines(Remedy(), OutputStyle()) == ""


def test_checks_are_imported_without_heavy_libraries() -> None:
    """What nothing is indexed by needs neither torch nor ChromaDB to be examined."""
    code = (
        "import sys, kb.cli.commands.doctor, kb.doctor.table, kb.doctor.report\n"
        "print([name for name in ('torch', 'chromadb', 'onnxruntime', 'transformers', 'mcp') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]"
