"""The table of clients that start MCP servers: where each keeps its configuration, and the shape of its entries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The name of kb's entry everywhere.
SERVER: Final = "kb"

Syntax = Literal["json", "jsonc", "toml"]
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Launch:
    """How a client starts kb.

    Attributes:
        command: The whole command, its program with an absolute path.
        environ: Environment variables that the client has to add to those it gives every server.
    """

    command: tuple[str, ...]
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the files of programs are on a machine.

    Attributes:
        platform: As ``sys.platform``: ``linux``, ``darwin`` or ``win32``.
        home: The home folder.
        environ: The environment, for folders that it names.
    """

    platform: str
    home: Path
    environ: Mapping[str, str]

    def config(self) -> Path:
        """The folder of configurations as the XDG directories have it."""
        given = self.environ.get("XDG_CONFIG_HOME", "")
        return Path(given) if given.startswith("/") else self.home / ".config"

    def application_data(self) -> Path:
        """The folder in which desktop programs keep their settings."""
        if self.platform == "win32":
            return Path(self.environ.get("APPDATA") or self.home / "AppData" / "Roaming")
        return self.home / "Library" / "Application Support" if self.platform == "darwin" else self.config()


@dataclass(frozen=True, slots=True)
class Client:
    """A program that starts MCP servers.

    Attributes:
        name: Its name on the command line.
        title: Its name.
        files: Where its configuration may be, the likeliest first; an existing one is taken before the others.
        sections: The keys that lead to its servers; with several, the first that its file has, else the last.
        syntax: ``json`` for JSON without comments, ``jsonc`` for JSON with them, ``toml``.
        entry: Makes an entry of a way to start kb.
        marks: Files or folders by which an installed client is known.
        program: Its own command line; empty where it cannot add servers.
        add: The arguments with which that adds kb.
        remove: The arguments with which that removes kb; None where it cannot.
        next: What to do for it to see a change.
    """

    name: str
    title: str
    files: Callable[[Machine], tuple[Path, ...]]
    sections: tuple[tuple[str, ...], ...]
    syntax: Syntax
    entry: Callable[[Launch], Entry]
    marks: Callable[[Machine], tuple[Path, ...]]
    next: str
    program: str = ""
    add: Callable[[Launch], list[str]] | None = None
    remove: tuple[str, ...] | None = None

    def file(self, machine: Machine) -> Path:
        """The file of its configuration, which need not exist."""
        files = self.files(machine)
        return next((file for file in files if file.exists()), files[0])

    def section(self, values: Mapping[str, Any] | None) -> tuple[str, ...]:
        """The keys that lead to its servers in a configuration."""
        for keys in self.sections[:-1]:
            inner: Any = values
            for key in keys:
                inner = inner.get(key) if isinstance(inner, dict) else None
            if isinstance(inner, dict) and all(isinstance(one, dict) for one in inner.values()):
                return keys
        return self.sections[-1]


def launch_of(entry: Mapping[str, Any]) -> Launch | None:
    """Return how an entry starts its server; None for one that is reached by an address, or starts nothing."""
    command, arguments = entry.get("command"), entry.get("args") or []
    environ = entry.get("environment" if isinstance(command, list) else "env") or {}
    if not isinstance(arguments, list) or not isinstance(environ, dict):
        return None
    words = command if isinstance(command, list) else [command, *arguments]
    if not words or not all(isinstance(word, str) and word for word in words):
        return None
    return Launch(tuple(words), {str(key): str(value) for key, value in environ.items()})


# --- The shapes of entries ----------------------------------------------------------------------------------------


def _plain(launch: Launch) -> Entry:
    entry: Entry = {"command": launch.command[0], "args": list(launch.command[1:])}
    return entry | ({"env": dict(launch.environ)} if launch.environ else {})


def _stdio(launch: Launch) -> Entry:
    return {"type": "stdio", **_plain(launch)}


def _opencode(launch: Launch) -> Entry:
    entry: Entry = {"type": "local", "command": list(launch.command)}
    return entry | ({"environment": dict(launch.environ)} if launch.environ else {})


# --- The clients' own command lines -------------------------------------------------------------------------------


def _pairs(option: str, environ: Mapping[str, str]) -> list[str]:
    return [word for key, value in environ.items() for word in (option, f"{key}={value}")]


def _claude_add(launch: Launch) -> list[str]:
    # -e takes any number of values, so that the name comes first.
    return ["mcp", "add", "--scope", "user", SERVER, *_pairs("-e", launch.environ), "--", *launch.command]


def _codex_add(launch: Launch) -> list[str]:
    return ["mcp", "add", SERVER, *_pairs("--env", launch.environ), "--", *launch.command]


def _code_add(launch: Launch) -> list[str]:
    import json

    return ["--add-mcp", json.dumps({"name": SERVER, **_stdio(launch)}, ensure_ascii=False)]


# --- Where the files are ------------------------------------------------------------------------------------------


def _claude_code(machine: Machine) -> tuple[Path, ...]:
    given = machine.environ.get("CLAUDE_CONFIG_DIR", "").strip()
    return ((Path(given) if given else machine.home) / ".claude.json",)


def _claude_desktop(machine: Machine) -> tuple[Path, ...]:
    file = Path("Claude") / "claude_desktop_config.json"
    usual = machine.application_data() / file
    if machine.platform != "win32":
        return (usual,)
    # Installed as a package, it reads a copy of that folder of its own.
    local = Path(machine.environ.get("LOCALAPPDATA") or machine.home / "AppData" / "Local")
    packages = sorted((local / "Packages").glob("Claude_*/LocalCache/Roaming"))
    return (*(folder / file for folder in packages), usual)


def _codex(machine: Machine) -> tuple[Path, ...]:
    given = machine.environ.get("CODEX_HOME", "").strip()
    return ((Path(given) if given else machine.home / ".codex") / "config.toml",)


def _vscode(machine: Machine) -> tuple[Path, ...]:
    return (machine.application_data() / "Code" / "User" / "mcp.json",)


def _zed(machine: Machine) -> tuple[Path, ...]:
    if machine.platform == "win32":
        return (machine.application_data() / "Zed" / "settings.json",)
    folder = machine.config() if machine.platform == "linux" else machine.home / ".config"
    return (folder / "zed" / "settings.json",)


def _windsurf(machine: Machine) -> tuple[Path, ...]:
    # Its successor, Devin Desktop, has a folder of its own.
    return (
        machine.home / ".codeium" / "windsurf" / "mcp_config.json",
        machine.config() / "devin" / "mcp_config.json",
    )


def _opencode_files(machine: Machine) -> tuple[Path, ...]:
    folder = machine.config() / "opencode"
    # Where both are there, the one with comments is read last and counts.
    jsonc = folder / "opencode.jsonc"
    return (jsonc, folder / "opencode.json") if jsonc.exists() else (folder / "opencode.json",)


def _lmstudio(machine: Machine) -> tuple[Path, ...]:
    folders = [machine.home / ".lmstudio", machine.home / ".cache" / "lm-studio"]
    pointer = machine.home / ".lmstudio-home-pointer"
    if pointer.is_file():
        folders.insert(0, Path(pointer.read_text("utf-8", "replace").strip() or folders[0]))
    found = [folder for folder in folders if folder.is_dir()]
    return tuple(folder / "mcp.json" for folder in found or folders[:1])


def _parents(files: Callable[[Machine], tuple[Path, ...]]) -> Callable[[Machine], tuple[Path, ...]]:
    """The folders of files, where only the client itself makes them."""
    return lambda machine: tuple(file.parent for file in files(machine))


_SERVERS: Final = (("mcpServers",),)
CLIENTS: Final[tuple[Client, ...]] = (
    Client(
        name="claude-code",
        title="Claude Code",
        files=_claude_code,
        sections=_SERVERS,
        syntax="json",
        entry=_stdio,
        marks=lambda machine: (*_claude_code(machine), machine.home / ".claude"),
        next="Start claude again, or run /mcp in it",
        program="claude",
        add=_claude_add,
        remove=("mcp", "remove", "--scope", "user", SERVER),
    ),
    Client(
        name="claude-desktop",
        title="Claude Desktop",
        files=_claude_desktop,
        sections=_SERVERS,
        syntax="json",
        entry=_plain,
        marks=_parents(_claude_desktop),
        next="Quit Claude Desktop and start it again",
    ),
    Client(
        name="codex",
        title="Codex",
        files=_codex,
        sections=(("mcp_servers",),),
        syntax="toml",
        entry=_plain,
        marks=_parents(_codex),
        next="Start codex again",
        program="codex",
        add=_codex_add,
        remove=("mcp", "remove", SERVER),
    ),
    Client(
        name="cursor",
        title="Cursor",
        files=lambda machine: (machine.home / ".cursor" / "mcp.json",),
        sections=_SERVERS,
        syntax="jsonc",
        entry=_stdio,
        marks=lambda machine: (machine.home / ".cursor",),
        next="Switch kb on in Cursor's settings, under MCP",
    ),
    Client(
        name="vscode",
        title="VS Code",
        files=_vscode,
        sections=(("servers",),),
        syntax="jsonc",
        entry=_stdio,
        marks=_parents(_vscode),
        next="Start kb with MCP: List Servers in the command palette",
        program="code",
        add=_code_add,
    ),
    Client(
        name="zed",
        title="Zed",
        files=_zed,
        sections=(("context_servers",),),
        syntax="jsonc",
        entry=_plain,
        marks=_parents(_zed),
        next="Zed starts kb at once; its agent settings show it",
    ),
    Client(
        name="windsurf",
        title="Windsurf",
        files=_windsurf,
        sections=_SERVERS,
        syntax="jsonc",
        entry=_plain,
        marks=_parents(_windsurf),
        next="Refresh the MCP servers in Windsurf's settings",
    ),
    Client(
        name="opencode",
        title="OpenCode",
        files=_opencode_files,
        sections=(("mcp", "servers"), ("mcp",)),
        syntax="jsonc",
        entry=_opencode,
        marks=_parents(_opencode_files),
        next="Start opencode again",
    ),
    Client(
        name="lmstudio",
        title="LM Studio",
        files=_lmstudio,
        sections=_SERVERS,
        syntax="jsonc",
        entry=_plain,
        marks=_parents(_lmstudio),
        next="LM Studio starts kb at once; its Program tab shows it",
    ),
)
BY_NAME: Final = {client.name: client for client in CLIENTS}
