"""Command lines for people to copy: for a POSIX shell, or for PowerShell, which Windows opens."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from kb.system import WINDOWS
from kb.system.paths import in_own_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Words that PowerShell takes as they are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./\\:+=%-]+")


def quote(word: str, *, windows: bool = WINDOWS) -> str:
    """One word as it is typed, in quotes where it needs them."""
    if not windows:
        return shlex.quote(word)
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "''") + "'"


def join(words: Iterable[str], *, windows: bool = WINDOWS) -> str:
    """A command line of these words."""
    quoted = [quote(word, windows=windows) for word in words]
    # PowerShell takes a quoted word at the beginning for a text to print.
    call = "& " if windows and quoted and quoted[0].startswith("'") else ""
    return call + " ".join(quoted)


def kb_command(words: Iterable[str], config_file: str | None, overrides: Mapping[str, str]) -> str:
    """A command line of kb with the options that were typed, so that it means the same configuration."""
    file = ["--config", config_file] if config_file else []
    values = [word for key, value in overrides.items() for word in ("-s", f"{key}={value}")]
    return join(["kb", *file, *values, *words])


def split(line: str, *, windows: bool = WINDOWS) -> list[str]:
    """The words of a command line, as of ``EDITOR``. Backslashes separate folders on Windows.

    Raises:
        ValueError: A quote is not closed.
    """
    if not windows:
        return shlex.split(line)
    words = shlex.split(line, posix=False)
    return [word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word for word in words]


def split_windows(line: str) -> list[str]:
    """The words of a command line as Windows programs read it: what ``subprocess.list2cmdline`` joins."""
    words: list[str] = []
    word: str | None = None
    slashes, quoted = 0, False
    for sign in f"{line} ":
        if sign == "\\":
            # What it means depends on what follows.
            slashes, word = slashes + 1, word or ""
            continue
        word = (word or "") + "\\" * (slashes // 2 if sign == '"' else slashes) if slashes else word
        if sign == '"' and slashes % 2 == 0:
            quoted, word = not quoted, word or ""
        elif sign.isspace() and not quoted:
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + sign
        slashes = 0
    return words


def then(first: str, second: str, *, windows: bool = WINDOWS) -> str:
    """One command after another, if that succeeds; the PowerShell of Windows itself only knows one after another."""
    return f"{first}; {second}" if windows else f"{first} && {second}"


def with_input(path: str, words: Sequence[str], *, windows: bool = WINDOWS) -> str:
    """A command that reads a text file as its standard input."""
    line = join(words, windows=windows)
    return f"Get-Content {quote(path, windows=True)} | {line}" if windows else f"{line} < {shlex.quote(path)}"


def remove(paths: Iterable[str], *, folders: bool = False, windows: bool = WINDOWS) -> str:
    """The command that removes files, or folders with all that is in them."""
    if not windows:
        return join(["rm", *(["-r"] if folders else []), *paths], windows=False)
    named = ", ".join(quote(in_own_form(path, windows=True), windows=True) for path in paths)
    return f"Remove-Item {'-Recurse ' if folders else ''}{named}"


def move(source: str, target: str, *, windows: bool = WINDOWS) -> str:
    """The command that gives a file or folder another name."""
    return join(["Move-Item" if windows else "mv", source, target], windows=windows)


def make_folder(path: str, *, windows: bool = WINDOWS) -> str:
    """The command that makes a folder, and those above it."""
    return join(["mkdir", path] if windows else ["mkdir", "-p", path], windows=windows)


def keep_others_out(path: str, *, folder: bool = True, windows: bool = WINDOWS) -> str:
    """The command that leaves a file, or a folder with all that is in it, to its owner alone."""
    if not windows:
        return join(["chmod", "700" if folder else "600", path], windows=False)
    rights = "(OI)(CI)F" if folder else "F"
    return f'icacls {quote(path, windows=True)} /inheritance:r /grant:r "${{env:USERNAME}}:{rights}"'


def let_in(path: str, *, windows: bool = WINDOWS) -> str:
    """The command that lets this user read and write a file, or a folder with all that is in it."""
    if not windows:
        return join(["chmod", "-R", "u+rwX", path], windows=False)
    return f'icacls {quote(path, windows=True)} /grant "${{env:USERNAME}}:(OI)(CI)F" /T'


def take(path: str, *, windows: bool = WINDOWS) -> str:
    """The command by which an administrator gives a file, or a folder with all that is in it, to this user."""
    return f"takeown /R /F {quote(path, windows=True)}" if windows else f'sudo chown -R "$(id -u)" {shlex.quote(path)}'


def let_into_folder(path: str, rights: str, *, windows: bool = WINDOWS) -> str:
    """The command that lets this user into a folder, with rights as of ``chmod``: ``u+rx`` or ``u+rwx``."""
    if not windows:
        return join(["chmod", rights, path], windows=False)
    return f'icacls {quote(path, windows=True)} /grant "${{env:USERNAME}}:{"M" if "w" in rights else "RX"}"'


def touch(path: str, *, windows: bool = WINDOWS) -> str:
    """The command that gives a file the time of now."""
    if not windows:
        return join(["touch", path], windows=False)
    return f"(Get-Item {quote(path, windows=True)}).LastWriteTime = Get-Date"


def touch_newer(folders: Sequence[str], *, windows: bool = WINDOWS) -> str:
    """The command that gives the time of now to all files in some folders that were modified in the future."""
    if not windows:
        return f"find {join(folders, windows=False)} -type f -newermt now -exec touch {{}} +"
    named = ", ".join(quote(one, windows=True) for one in folders)
    newer = f"Get-ChildItem -Recurse -File {named} | Where-Object LastWriteTime -gt (Get-Date)"
    return f"{newer} | ForEach-Object {{ $_.LastWriteTime = Get-Date }}"


def unmount(path: str, *, windows: bool = WINDOWS) -> str:
    """The command that unmounts a file system that does not answer."""
    return join(["net", "use", path[:2], "/delete"] if windows else ["umount", "-l", path], windows=windows)


def edit(path: str, *, windows: bool = WINDOWS) -> str:
    """The command that opens a text in an editor."""
    return f"notepad {quote(path, windows=True)}" if windows else f"${{EDITOR:-vi}} {shlex.quote(path)}"


def add_to_path(folder: str, *, windows: bool = WINDOWS) -> str:
    """The command that has programs found in a folder, until the terminal is closed."""
    if windows:
        quoted = folder.replace("'", "''")
        return f"$env:Path = '{quoted};' + $env:Path"
    return f'export PATH={shlex.quote(folder)}:"$PATH"'


def unset(variables: Iterable[str], *, windows: bool = WINDOWS) -> str:
    """The command that removes variables from the environment, until the terminal is closed."""
    if windows:
        return f"Remove-Item {', '.join(f'Env:{name}' for name in variables)}"
    return join(["unset", *variables], windows=False)


def resume_or_end(pid: int | str, *, windows: bool = WINDOWS) -> str:
    """What to do about a process that does not answer, as the end of a sentence."""
    end = f"end it with {end_process(pid, at_once=True, windows=windows)}"
    return end if windows else f"resume it with kill -CONT {pid} if it is suspended, or {end}"


def end_process(pid: int | str, *, at_once: bool = False, windows: bool = WINDOWS) -> str:
    """The command that ends a process, as an orderly request or ``at_once``.

    Windows has no such request for a process without a window.
    """
    if windows:
        return f"taskkill /F /PID {pid}"
    return f"kill -9 {pid}" if at_once else f"kill {pid}"
