"""The command kb as a whole: bare questions, global options, and the one place where errors end."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import ShellComplete
from made_up import answer, settings

from kb import __version__
from kb.cli import commands
from kb.cli.main import cli
from kb.errors import WAYS_TO_CONFIGURE, NotIndexed, StoreBusy

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

pytest_plugins = ["command_line"]


def asked(command: CommandLine) -> list[object]:
    """The questions that were asked."""
    return [arguments["request"].question for name, arguments in command.kb.asked if name in {"search", "ask"}]


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["How do I do it?"], "How do I do it?"),
        (["how", "do", "I", "-n", "3"], "how do I"),
        (["--", "index", "what"], "index what"),
        (["--offline", "--", "--help"], "--help"),
        (["search", "index"], "index"),
        (["search", "--", "-x"], "-x"),
        (["search", "a", "--", "b"], "a b"),
        (["-s", "search.limit=3", "what"], "what"),
        (["--json", "q"], "q"),
        (["-n", "3", "q"], "q"),
        (["-ln3", "q", "r"], "q r"),
        (["q", "--offline", "r", "--store", "/s"], "q r"),
        (["--mode", "hybrid", "search", "q", "-n", "2"], "q"),
        (["--rerank", "q", "r"], "q r"),
        (["q", "--rerank"], "q"),
        (["-", "--json"], ""),
        (["--rerank", "off", "q"], "q"),
        (["q", "--tag", "status", "--", "--json"], "q --json"),
        (["-n", "3", "--", "status"], "status"),
        (["-xzvf what does it do"], "-xzvf what does it do"),
        (["--store what is it"], "--store what is it"),
    ],
)
def test_a_bare_question_is_a_search(command: CommandLine, words: list[str], question: str) -> None:
    """Words that are no command are asked, after ``--`` any words, wherever options stand."""
    assert command(*words)[0] == 0 if question else 2
    assert asked(command) == [question] if question else [[]]


def test_a_command_by_its_name_is_no_question(command: CommandLine) -> None:
    """The first word decides."""
    assert command("status")[0] == 0
    assert asked(command) == []


def test_a_slip_in_a_command_is_searched_with_a_hint(command: CommandLine) -> None:
    """A word near a command's name is a question all the same, but told."""
    assert command("statsu")[2] == "kb: no command 'statsu', so this is a search; did you mean kb status?\n"
    assert command("how", "do", "I", "export")[2] == "", "how is near show by chance"
    assert asked(command) == ["statsu", "how do I export"]


def test_global_options_reach_the_configuration(command: CommandLine) -> None:
    """The file and all overrides are handed on as they were given."""
    command(
        "--config", "c.toml", "-s", "embed.device=cpu", "-s", "store.path=/a", "--store", "/b", "--offline", "status"
    )

    assert command.loaded == [("c.toml", {"embed.device": "cpu", "store.path": "/b", "embed.offline": "true"})]


@pytest.mark.parametrize("pair", ["device=cpu", "embed.device", ""])
def test_an_override_is_a_key_and_a_value(command: CommandLine, pair: str) -> None:
    """Anything else is refused with an example."""
    assert command("-s", pair, "status")[0] == 2


def test_without_folders_kb_init_is_named(command: CommandLine) -> None:
    """The first mistake of every new user has one clear answer, and opens nothing."""
    command.settings = settings(file=None)
    assert command("x")[::2] == (
        2,
        f"kb: no configuration was found\n    {WAYS_TO_CONFIGURE}\n",
    )

    command.settings = settings()
    assert command("index")[2].startswith("kb: /notes/config.toml names no folder\n    kb init")
    assert command.kb.asked == []


@pytest.mark.parametrize("words", [["watch"], ["watch", "--once"], ["web"], ["bench"], ["mcp", "inspect"]])
def test_a_configuration_without_folders_is_named(command: CommandLine, words: list[str]) -> None:
    """Commands that open no store themselves name it too, before anything is started."""
    command.settings = settings()

    assert command(*words)[::2] == (2, f"kb: /notes/config.toml names no folder\n    {WAYS_TO_CONFIGURE}\n")


def test_an_error_is_a_sentence_and_a_remedy(command: CommandLine) -> None:
    """Nothing on standard output, no traceback, nothing that acts on a terminal."""
    command.kb.error = StoreBusy("another\x1b process has the store", "Wait for it")

    assert command("x") == (2, "", "kb: another\u241b process has the store\n    Wait for it\n")
    assert command.kb.closed


def test_debug_shows_where_an_error_came_from(command: CommandLine) -> None:
    """The traceback is for who asks for it."""
    command.kb.error = NotIndexed("a.md is not in the index")

    err = command("--debug", "x")[2]
    assert err.startswith("Traceback ")
    assert err.endswith("kb: a.md is not in the index\n")


def test_an_unexpected_error_is_told_as_a_bug(command: CommandLine) -> None:
    """It is one sentence too, and says how to see more."""
    command.kb.error = ValueError("boom")

    code, _, err = command("x")
    assert code == 2
    assert err.startswith("kb: ValueError: boom\n    This is a bug in kb.")


def test_an_error_of_the_system_is_no_bug(command: CommandLine) -> None:
    """A full disk is told as what it is, in words, with the file where there is one."""
    command.kb.error = OSError(28, "No space left on device", "/notes/.kb")
    assert command("x") == (2, "", "kb: /notes/.kb: no space left on device\n")

    command.kb.error = OSError(28, "No space left on device")
    assert command("x") == (2, "", "kb: no space left on device\n")


def test_an_interrupt_is_130_and_quiet(command: CommandLine) -> None:
    """Whoever pressed Ctrl-C knows why it ended."""
    command.kb.given = answer()
    command.kb.error = KeyboardInterrupt()  # type: ignore[assignment]  # no Exception, and raised all the same

    code, out, err = command("x")
    assert (code, out, err.strip()) == (130, "", "")


def test_a_mistake_on_the_command_line_is_harmless_too(command: CommandLine) -> None:
    """A shell's * makes arguments of file names, and those are quoted in the message."""
    code, _, err = command("status", "\x1b]0;x\x07")

    assert code == 2
    assert "\u241b]0;x\u2407" in err
    assert "\x1b" not in err


def test_warnings_go_to_standard_error(command: CommandLine) -> None:
    """What the knowledge base has to say never mixes with the answer."""
    command("x")
    command.warn("odd\x07")

    assert command.capture.readouterr() == ("", "kb: odd\u2407\n")


def test_the_version_is_told(command: CommandLine) -> None:
    """One line, as every tool does."""
    assert command("--version") == (0, f"kb {__version__}\n", "")


@pytest.mark.parametrize("name", [None, *commands.names()])
def test_every_command_explains_itself(command: CommandLine, name: str | None) -> None:
    """Each has a help page with a first sentence, and none needs a configuration for it."""
    code, out, _ = command(*([name] if name else []), "--help")

    assert code == 0
    assert out.startswith("Usage: kb ")
    assert command.loaded == []


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (["help"], "Usage: kb [OPTIONS] COMMAND"),
        (["help", "open"], "Usage: kb open"),
        (["--help", "open"], "Usage: kb open"),
    ],
)
def test_help_is_found_where_it_is_looked_for(command: CommandLine, words: list[str], begins: str) -> None:
    """By its word too; a question about help is one."""
    assert command(*words)[1].startswith(begins)
    assert asked(command) == []
    command("help", "with", "taxes")
    command("--", "help")
    assert asked(command) == ["help with taxes", "help"]


def python(code: str, folder: Path) -> subprocess.Popen[bytes]:
    """Some Python in a process of its own, with what can be imported here, in a folder that is its home too."""
    found = os.pathsep.join(os.path.abspath(path) for path in sys.path)  # noqa: PTH100 - entries of sys.path are str
    environ = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": found}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environ
    )


def fake_kb(args: list[str], fake: str) -> str:
    """The code that runs kb over a fake knowledge base."""
    return (
        "import sys; from made_up import *; from kb.cli.main import run; from kb.cli.session import Session\n"
        f"session = Session(lambda s, warn: {fake}, lambda session, overrides: settings('/notes'))\n"
        f"sys.exit(run({args}, session))"
    )


@pytest.mark.parametrize("args", [["--help"], ["search", "--help"], ["config"], ["x"]])
def test_nothing_heavy_is_loaded_to_begin_with(args: list[str], tmp_path: Path) -> None:
    """Help, the configuration and a clear refusal come without the libraries that take seconds to load."""
    heavy = {"numpy", "rich", "torch", "chromadb", "sentence_transformers", "transformers", "watchdog", "kb.app"}
    code = f"import sys; from kb.cli.main import run; run({args})\n"
    code += f"print(sorted(set(sys.modules) & {heavy}), file=sys.stderr)"

    _, err = python(code, tmp_path).communicate()

    assert err.decode().splitlines()[-1] == "[]"


def test_a_name_that_cannot_be_decoded_goes_out_as_its_bytes(tmp_path: Path) -> None:
    """``xargs -0`` finds the very file, and JSON keeps what the name is made of."""
    fake = "FakeKnowledge(answer(hit(path='caf' + chr(0xdce9) + '.md')))"

    assert python(fake_kb(["x", "-0"], fake), tmp_path).communicate() == (b"/notes/caf\xe9.md\0", b"")
    out, _ = python(fake_kb(["x", "--json"], fake), tmp_path).communicate()
    assert json.loads(out)["hits"][0]["path"] == "/notes/caf\udce9.md"


def test_a_reader_who_has_enough_is_no_error(tmp_path: Path) -> None:
    """``kb list | head -1`` ends quietly."""
    writer = python(fake_kb(["list"], "FakeKnowledge(files=[known_file(str(n)) for n in range(10000)])"), tmp_path)
    assert writer.stdout is not None
    assert writer.stderr is not None

    writer.stdout.readline()
    writer.stdout.close()

    assert writer.stderr.read() == b""
    assert writer.wait() == 0
    writer.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110 - a device
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("args", ["completion bash", "config search.limit"])
def test_output_that_cannot_be_written_is_named(tmp_path: Path, args: str, unbuffered: str) -> None:
    """Whether it fails with the text or, where Python keeps that in a buffer, at the end."""
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONUNBUFFERED": unbuffered}
    line = ["/bin/sh", "-c", f'exec "$0" -P -m kb {args} > /dev/full', sys.executable]

    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, env=environ)

    assert done.stderr == "kb: standard output cannot be written: no space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--config", "c.toml", "--json", "--store", "/b", "status"],
        ["status", "--config", "c.toml", "--json", "--store", "/b"],
        ["--json", "status", "--store=/b", "--config=c.toml"],
    ],
)
def test_options_are_taken_wherever_they_stand(command: CommandLine, words: list[str]) -> None:
    """Those of kb itself behind the command, and those of the command before it."""
    code, out, _ = command(*words)

    assert (code, json.loads(out)["files"]) == (0, 3)
    assert command.loaded == [("c.toml", {"store.path": "/b"})]


def test_a_value_is_no_option(command: CommandLine) -> None:
    """What follows an option with a value is that, whatever it looks like."""
    command("note", "--title", "--store", "text", "--store", "/b")

    assert command.kb.asked == [("note", {"text": "text", "title": "--store", "tags": ()})]
    assert command.loaded[0][1] == {"store.path": "/b"}


@pytest.mark.parametrize(
    ("words", "question", "odd"),
    [
        (["what", "does", "tar", "-xzvf", "do"], "what does tar -xzvf do", "-xzvf"),
        (["search", "docker", "-nginx"], "docker -nginx", "-nginx"),
        (["ask", "docker", "-q"], "docker -q", "-q"),
        (["at", "-20", "degrees", "-n", "3"], "at -20 degrees", "-20"),
    ],
)
def test_a_word_with_a_minus_that_is_no_option_is_a_word(
    command: CommandLine, words: list[str], question: str, odd: str
) -> None:
    """As it is in quotes; and it is told."""
    code, _, err = command(*words)

    assert (code, asked(command)) == (0, [question])
    assert f"kb: no option {odd}: taken as a word of the question\n" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-windows", "docker"], "    Put -- before a question that begins with a minus: kb -- -windows docker\n"),
        (["--stroe", "x", "q"], "kb: search has no option --stroe; did you mean --store?\n"),
        (["list", "--stroe", "x"], "kb: list has no option --stroe; did you mean --store?\n"),
        (["git", "rebase", "--onto", "main"], "    Put the words in quotes: kb 'git rebase --onto main'\n"),
        (["ask", "git", "rebase", "--onto", "x"], " in quotes: kb ask 'git rebase --onto x'\n"),
        (["a", "question", "-json"], "kb: search has no option -json; did you mean --json?\n"),
        (["q", "--store"], "kb: --store needs a value\n    kb --help and kb search --help list the options\n"),
        (["list", "--sort"], "kb: --sort needs a value\n    kb --help and kb list --help list the options\n"),
        (["ask", "why", "-n"], "kb: -n needs a value\n    kb --help and kb ask --help list the options\n"),
        (["show", "-list.md"], "    Put -- before a name that begins with a minus: kb show -- -list.md\n"),
        (["links", "-list", "--json"], "begins with a minus: kb links --json -- -list\n"),
        (["show", "-x"], "kb: show has no option -x\n    kb show --help lists the options\n"),
        (["ask"], 'kb: ask needs a question\n    Write it after the command: kb ask "what you want to know"\n'),
        (["show"], "kb: show needs FILE[:LINE]\n    See kb show --help\n"),
        (["show", "a.md", "b.md"], "kb: unexpected argument: b.md\n    See kb show --help\n"),
        (["--json", "-n", "3"], "kb: no question and no command\n    To search: kb --json -n 3 'your question'. "),
        (["q", "--json", "-l"], "kb: --json conflicts with -l\n"),
    ],
)
def test_a_mistake_in_the_options_is_a_sentence_and_a_remedy(command: CommandLine, words: list[str], told: str) -> None:
    """And no page of usage."""
    code, out, err = command(*words)

    assert (code, out, told in err) == (2, "", True), err
    assert "Usage" not in err
    assert err.startswith("kb: ")
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("line", "search"),
    [
        ("open the garage connection", "kb search 'open the garage connection'"),
        ("check the boiler", "kb search 'check the boiler'"),
        ("list all recipes -n 3", "kb search 'list all recipes' -n 3"),
        ("--offline show me the recipe", "kb --offline search 'show me the recipe'"),
        ("status of the roof repair", "kb search 'status of the roof repair'"),
        ("links between a and b", "kb search 'links between a and b'"),
        ("index funds", "kb search 'index funds'"),
        ("model railway", "kb search 'model railway'"),
        ("model list trains", "kb search 'model list trains'"),
        ("rebuild engine", "kb search 'rebuild engine'"),
        ("sync calendars", "kb search 'sync calendars'"),
        ("tags on luggage", "kb search 'tags on luggage'"),
        ("completion rates", "kb search 'completion rates'"),
        ("bench press", "kb search 'bench press'"),
        ("init the project", "kb search 'init the project'"),
        ("config management", "kb search 'config management'"),
        ("watch batteries", "kb search 'watch batteries'"),
        ("similar to this recipe", "kb search 'similar to this recipe'"),
        ("eval options trading", "kb search 'eval options trading'"),
    ],
)
def test_a_question_that_begins_with_a_command_is_answered_with_the_search(
    command: CommandLine, line: str, search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the words cannot be that command's; the command that is named then finds an answer."""
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*line.split())

    assert (code, out) == (2, "")
    assert err.endswith(f"o search for these words: {search}\n"), err
    assert len(err.splitlines()) == 2
    assert command(*shlex.split(search)[1:])[0] == 0
    assert asked(command) == [line.removeprefix("--offline ").removesuffix(" -n 3")]


@pytest.mark.parametrize(
    "line",
    ["show a.md b.md", "open 99 100", "watch ~/nowhere", "watch ./nowhere", "list --long recipes", "ask the doctor"],
)
def test_what_names_files_or_is_a_command_gets_no_such_hint(
    command: CommandLine, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in a path is no question."""
    monkeypatch.chdir(tmp_path)

    assert "to search for these words" not in command(*line.split())[2].lower()


@pytest.mark.parametrize(
    ("typed", "kind"),
    [("show ", "file"), ("similar ", "file"), ("--config ", "file"), ("init ", "dir"), ("watch ", "dir")],
)
def test_names_of_files_are_completed(typed: str, kind: str) -> None:
    """By the shell, which knows them."""
    complete = ShellComplete(cli, {}, "kb", "_KB_COMPLETE")

    assert [one.type for one in complete.get_completions(typed.split(), "no")] == [kind]
