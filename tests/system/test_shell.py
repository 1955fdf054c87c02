"""Command lines for people to copy: both shells read back what was meant."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.system import shell

WORDS = st.lists(st.text("ab \"'\\$%`&é", max_size=8), max_size=5)


@given(WORDS)
def test_a_posix_shell_reads_the_words(words: list[str]) -> None:
    """As ``shlex`` does."""
    assert shlex.split(shell.join(words, windows=False)) == words


@given(WORDS)
def test_a_windows_program_reads_the_words(words: list[str]) -> None:
    """As ``subprocess`` joins them for it."""
    assert shell.split_windows(subprocess.list2cmdline(words)) == words


def test_powershell_takes_single_quotes_as_they_are() -> None:
    """A quote in them is doubled, and a program in quotes is called."""
    assert shell.quote(r"C:\notes\a.md", windows=True) == r"C:\notes\a.md"
    assert shell.quote("it's $5", windows=True) == "'it''s $5'"
    assert shell.join([r"C:\My Files\kb.exe", "a b"], windows=True) == r"& 'C:\My Files\kb.exe' 'a b'"


def test_an_editor_on_windows_keeps_its_backslashes() -> None:
    """Its path may be in quotes."""
    assert shell.split(r'"C:\Program Files\Vim\gvim.exe" --nofork', windows=True) == [
        r"C:\Program Files\Vim\gvim.exe",
        "--nofork",
    ]
    assert shell.split("'/opt/my editor' -w", windows=False) == ["/opt/my editor", "-w"]
    with pytest.raises(ValueError, match="quotation"):
        shell.split('"C:\\a', windows=True)


def test_each_remedy_has_its_command_on_either_system() -> None:
    """PowerShell's, where a POSIX shell has none to offer."""
    both = {
        (shell.remove(["/a b"], windows=windows), shell.remove(["/c"], folders=True, windows=windows),
         shell.move("/a", "/b", windows=windows), shell.make_folder("/a", windows=windows),
         shell.touch("/a", windows=windows), shell.end_process(7, at_once=True, windows=windows),
         shell.then("x", "y", windows=windows), shell.add_to_path("/my bin", windows=windows),
         shell.edit("/a", windows=windows), shell.resume_or_end(7, windows=windows),
         shell.unset(["A", "B"], windows=windows), shell.take("/a b", windows=windows),
         shell.touch_newer(["/a b", "/c"], windows=windows))
        for windows in (False, True)
    }  # fmt: skip

    assert both == {
        ("rm '/a b'", "rm -r /c", "mv /a /b", "mkdir -p /a", "touch /a", "kill -9 7", "x && y",
         "export PATH='/my bin':\"$PATH\"", "${EDITOR:-vi} /a",
         "resume it with kill -CONT 7 if it is suspended, or end it with kill -9 7",
         "unset A B", "sudo chown -R \"$(id -u)\" '/a b'", "find '/a b' /c -type f -newermt now -exec touch {} +"),
        (r"Remove-Item '\a b'", r"Remove-Item -Recurse \c", "Move-Item /a /b", "mkdir /a",
         "(Get-Item /a).LastWriteTime = Get-Date", "taskkill /F /PID 7", "x; y",
         "$env:Path = '/my bin;' + $env:Path", "notepad /a", "end it with taskkill /F /PID 7",
         "Remove-Item Env:A, Env:B", "takeown /R /F '/a b'",
         ("Get-ChildItem -Recurse -File '/a b', /c | Where-Object LastWriteTime -gt (Get-Date)"
         " | ForEach-Object { $_.LastWriteTime = Get-Date }")),
    }  # fmt: skip
    assert "icacls 'C:/my a' /inheritance:r" in shell.keep_others_out("C:/my a", windows=True)
    assert "(OI)(CI)F" in shell.let_in("C:/a", windows=True)
    assert shell.let_into_folder("C:/a", "u+rx", windows=True).endswith(':RX"')
    assert shell.with_input("/my a", ["kb", "note", "-"], windows=False) == "kb note - < '/my a'"
    assert shell.with_input("C:/a", ["kb", "note", "-"], windows=True) == "Get-Content C:/a | kb note -"
    assert shell.unmount("Z:/a", windows=True) == "net use Z: /delete"


def test_a_command_of_kb_has_the_options_that_were_typed() -> None:
    """Copied into a shell, it means the same configuration."""
    assert shell.kb_command(["index", "--full"], None, {}) == "kb index --full"
    typed = shell.kb_command(["index"], "/my notes/kb.toml", {"embed.model": "a b"})
    assert typed.replace('"', "'") == "kb --config '/my notes/kb.toml' -s 'embed.model=a b' index"
