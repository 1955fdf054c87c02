"""kb in the configuration of each client: what is written, what stays, and how it is taken out."""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from homes import LAUNCH, OTHER, machine, no_program, put, values_of
from plain_user import bound_by_rights

from kb.agents.clients import BY_NAME, CLIENTS, Client, Launch, launch_of
from kb.agents.install import install, is_found, remove, run_program, state_of
from kb.errors import ClientError

if TYPE_CHECKING:
    from pathlib import Path

every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


def entry_of(client: Client, text: str) -> dict[str, object]:
    """The entry of kb as the client reads it."""
    values = values_of(client, text)
    for key in (*client.section(values), "kb"):
        values = values[key]
    return values


def with_servers(client: Client) -> str:
    """A file of a client that has another server and other settings, with comments where it reads them."""
    if client.syntax == "toml":
        return '# mine\nmodel = "o3"\n\n[mcp_servers.other]\ncommand = "x" # there\n'
    section = client.sections[-1][-1]
    comment = "" if client.syntax == "json" else " // mine"
    end = "" if client.syntax == "json" else ","
    servers = f'\t"{section}": {{\n\t\t"other": {{"command": "x"}}{end}{comment}\n\t}}{end}\n'
    return f'{{\n\t"theme": "dark",{comment}\n{servers}}}\n'


SHAPES = {
    "claude-code": {"type": "stdio", "command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
    "claude-desktop": {"command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
    "codex": {"command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
    "cursor": {"type": "stdio", "command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
    "vscode": {"type": "stdio", "command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
    "zed": {"command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
    "windsurf": {"command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
    "opencode": {"type": "local", "command": list(LAUNCH.command)},
    "lmstudio": {"command": LAUNCH.command[0], "args": list(LAUNCH.command[1:])},
}
PLACES = {
    "claude-code": (".claude.json", ".claude.json", ".claude.json"),
    "claude-desktop": (
        ".config/Claude/claude_desktop_config.json",
        "Library/Application Support/Claude/claude_desktop_config.json",
        "AppData/Roaming/Claude/claude_desktop_config.json",
    ),
    "codex": (".codex/config.toml",) * 3,
    "cursor": (".cursor/mcp.json",) * 3,
    "vscode": (
        ".config/Code/User/mcp.json",
        "Library/Application Support/Code/User/mcp.json",
        "AppData/Roaming/Code/User/mcp.json",
    ),
    "zed": (".config/zed/settings.json", ".config/zed/settings.json", "AppData/Roaming/Zed/settings.json"),
    "windsurf": (".codeium/windsurf/mcp_config.json",) * 3,
    "opencode": (".config/opencode/opencode.json",) * 3,
    "lmstudio": (".lmstudio/mcp.json",) * 3,
}


@every_client
def test_each_client_has_its_file_and_its_shape(client: Client, tmp_path: Path) -> None:
    """On Linux, macOS and Windows; a file that kb makes is its user's alone, and goes when kb is removed."""
    for platform, place in zip(("linux", "darwin", "win32"), PLACES[client.name], strict=True):
        where = machine(tmp_path / platform, platform)
        change = install(client, where, LAUNCH, no_program)

        assert change.outcome == "added"
        assert change.file == tmp_path / platform / place
        assert entry_of(client, change.file.read_text("utf-8")) == SHAPES[client.name]
        assert stat.S_IMODE(change.file.stat().st_mode) == 0o600
        assert change.backup is None
        assert install(client, where, OTHER, no_program).backup is None
        assert remove(client, where, no_program).outcome == "removed"
        assert not change.file.exists()


@every_client
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_all_else_in_a_file_stays(client: Client, mark: str, newline: str, tmp_path: Path) -> None:
    """Comments, other servers and line ends; twice changes nothing, and removing gives the old bytes back."""
    where = machine(tmp_path)
    text = mark + with_servers(client).replace("\n", newline)
    file = put(client, where, text)
    file.chmod(0o640)

    added = install(client, where, LAUNCH, no_program)
    changed = file.read_bytes()
    again = install(client, where, LAUNCH, no_program)

    assert added.backup == file.with_name(f"{file.name}.kb-backup")
    assert added.backup.read_bytes() == text.encode("utf-8")
    assert (again.outcome, again.backup, file.read_bytes()) == ("unchanged", None, changed)
    assert entry_of(client, changed.decode("utf-8")) == SHAPES[client.name]
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(added.backup.stat().st_mode) == 0o640
    remaining = iter(changed.decode("utf-8"))
    assert all(character in remaining for character in text)

    assert remove(client, where, no_program).outcome == "removed"
    assert file.read_bytes() == text.encode("utf-8")
    assert not added.backup.exists()
    assert remove(client, where, no_program).outcome == "absent"


@every_client
def test_an_entry_with_another_command_is_changed(client: Client, tmp_path: Path) -> None:
    """What the user added to it stays; the copy is the file without kb."""
    where = machine(tmp_path)
    file = put(client, where, with_servers(client))
    install(client, where, LAUNCH, no_program)
    mine = ("\n", "\nenabled = true\n") if client.syntax == "toml" else ('"command":', '"mine": true, "command":')
    head, kb, tail = file.read_text("utf-8").rpartition("kb]" if client.syntax == "toml" else '"kb": {')
    file.write_text(head + kb + tail.replace(*mine, 1), "utf-8")

    change = install(client, where, OTHER, no_program)

    entry = entry_of(client, file.read_text("utf-8"))
    assert change.outcome == "updated"
    assert launch_of(entry) == OTHER
    assert entry["enabled" if client.syntax == "toml" else "mine"] is True
    assert change.backup is not None
    assert change.backup.read_text("utf-8") == with_servers(client)


@every_client
def test_an_entry_with_an_address_is_replaced(client: Client, tmp_path: Path) -> None:
    """No client takes an entry with an address and a command; the file as it was is kept, and the user is told."""
    here = machine(tmp_path)
    added = {**client.entry(LAUNCH), "url": "http://127.0.0.1:7420/mcp"}
    added.pop("command")
    if client.syntax == "toml":
        text = 'model = "o3"\n\n[mcp_servers.kb]\nurl = "http://127.0.0.1:7420/mcp"\n'
    else:
        values: dict[str, object] = {"kb": added}
        for key in reversed(client.sections[-1]):
            values = {key: values}
        text = json.dumps({"theme": "dark", **values})
    file = put(client, here, text)

    change = install(client, here, LAUNCH, no_program)

    assert change.outcome == "updated"
    assert "was replaced" in " ".join(change.notices)
    assert entry_of(client, file.read_text("utf-8")) == SHAPES[client.name]
    assert change.backup is not None
    assert change.backup.read_text("utf-8") == text


@every_client
def test_a_file_changed_after_the_installation_loses_only_kb(client: Client, tmp_path: Path) -> None:
    """The copy is then too old to be put back."""
    where = machine(tmp_path)
    file = put(client, where, with_servers(client))
    install(client, where, LAUNCH, no_program)
    file.write_text(file.read_text("utf-8").replace('"x"', '"y"'), "utf-8")

    remove(client, where, no_program)

    assert file.read_text("utf-8") == with_servers(client).replace('"x"', '"y"')


@every_client
@pytest.mark.parametrize("text", ['{"a": ', "[1]\n["])
def test_a_file_that_is_not_valid_is_refused_and_left_alone(client: Client, text: str, tmp_path: Path) -> None:
    """One sentence that names the file and why, and no copy."""
    where = machine(tmp_path)
    file = put(client, where, text)

    with pytest.raises(ClientError, match="cannot be changed, since") as raised:
        install(client, where, LAUNCH, no_program)

    assert str(file) in raised.value.message
    assert "--print" in raised.value.remedy
    assert file.read_text("utf-8") == text
    assert list(file.parent.iterdir()) == [file]


def test_a_comment_is_refused_where_the_client_reads_none(tmp_path: Path) -> None:
    """Claude Desktop would ignore the whole file in silence."""
    where = machine(tmp_path)
    put(BY_NAME["claude-desktop"], where, '{"mcpServers": {} // none\n}')

    with pytest.raises(ClientError, match="needs JSON without comments: line 1: a comment"):
        install(BY_NAME["claude-desktop"], where, LAUNCH, no_program)


def test_a_file_behind_a_link_is_changed_and_the_link_stays(tmp_path: Path) -> None:
    """As people keep their dotfiles."""
    where = machine(tmp_path)
    client = BY_NAME["zed"]
    file = client.file(where)
    file.parent.mkdir(parents=True)
    target = tmp_path / "dotfiles.json"
    target.write_text('{"theme": "dark"}', "utf-8")
    file.symlink_to(target)

    install(client, where, LAUNCH, no_program)

    assert file.is_symlink()
    assert launch_of(entry_of(client, target.read_text("utf-8"))) == LAUNCH


@bound_by_rights
def test_a_folder_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    """And the file is as it was."""
    where = machine(tmp_path)
    file = put(BY_NAME["cursor"], where, "{}")
    file.parent.chmod(0o500)

    with pytest.raises(ClientError, match="cannot be written: permission denied"):
        install(BY_NAME["cursor"], where, LAUNCH, no_program)

    file.parent.chmod(0o700)
    assert file.read_text("utf-8") == "{}"


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    """They could not be kept."""
    where = machine(tmp_path)
    put(BY_NAME["cursor"], where, "{}").write_bytes(b'{"a": "\xff"}')

    with pytest.raises(ClientError, match="cannot be read: it is not UTF-8"):
        install(BY_NAME["cursor"], where, LAUNCH, no_program)


def test_folders_that_the_environment_names_are_used(tmp_path: Path) -> None:
    """As the clients use them."""
    where = machine(
        tmp_path,
        CLAUDE_CONFIG_DIR=str(tmp_path / "a"),
        CODEX_HOME=str(tmp_path / "b"),
        XDG_CONFIG_HOME=str(tmp_path / "c"),
    )
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'd'}\n", "utf-8")
    (tmp_path / "d").mkdir()
    (tmp_path / "c" / "opencode").mkdir(parents=True)
    (tmp_path / "c" / "opencode" / "opencode.jsonc").touch()

    files = {name: BY_NAME[name].file(where).relative_to(tmp_path).as_posix() for name in BY_NAME}

    assert files["claude-code"] == "a/.claude.json"
    assert files["codex"] == "b/config.toml"
    assert files["vscode"] == "c/Code/User/mcp.json"
    assert files["lmstudio"] == "d/mcp.json"
    assert files["opencode"] == "c/opencode/opencode.jsonc"


def test_the_packaged_claude_desktop_on_windows_has_a_file_of_its_own(tmp_path: Path) -> None:
    """It reads no other one."""
    folder = tmp_path / "AppData" / "Local" / "Packages" / "Claude_x" / "LocalCache" / "Roaming"
    folder.mkdir(parents=True)

    assert BY_NAME["claude-desktop"].file(machine(tmp_path, "win32")).is_relative_to(folder)


def test_servers_of_opencode_2_are_in_an_object_of_their_own(tmp_path: Path) -> None:
    """Where its file has that; a server of the older form that is called servers is none."""
    client = BY_NAME["opencode"]
    where = machine(tmp_path)
    file = put(client, where, '{"mcp": {"servers": {"a": {"type": "local", "command": ["x"]}}}}')
    install(client, where, LAUNCH, no_program)

    assert list(json.loads(file.read_text("utf-8"))["mcp"]["servers"]) == ["a", "kb"]
    assert client.section({"mcp": {"servers": {"type": "local", "command": ["x"]}}}) == ("mcp",)


@pytest.mark.parametrize(
    "entry",
    [{"command": "kb", "args": "mcp"}, {"command": "kb", "env": ["A=b"]}, {"command": ["kb"], "environment": "A"}],
)
def test_an_entry_that_starts_nothing(entry: dict[str, object]) -> None:
    """What a client could not start is no way to start kb, and replaced; null stands for what is left out."""
    assert launch_of(entry) is None
    assert launch_of({"command": "kb", "args": None, "env": None}) == Launch(("kb",), {})


def test_a_client_is_found_by_its_folder_or_its_command(tmp_path: Path) -> None:
    """A home folder alone is no sign of Claude Code."""
    assert not any(is_found(client, machine(tmp_path)) for client in CLIENTS)
    (tmp_path / ".cursor").mkdir()
    own_program(tmp_path / "bin", "codex", "")
    found = [client.name for client in CLIENTS if is_found(client, machine(tmp_path, PATH=str(tmp_path / "bin")))]

    assert found == ["codex", "cursor"]


def own_program(folder: Path, name: str, code: str) -> None:
    """A client's own command, in Python."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!{sys.executable} -S\nimport json, os, sys\nargs = sys.argv[1:]\n{code}", "utf-8")
    file.chmod(0o755)


CLAUDE = """
file = os.path.join(os.path.dirname(os.path.dirname(__file__)), ".claude.json")
values = json.load(open(file)) if os.path.exists(file) else {}
servers = values.setdefault("mcpServers", {})
if args[:4] == ["mcp", "add", "--scope", "user"]:
    dashes = args.index("--")
    environ = dict(pair.split("=", 1) for pair in args[5:dashes] if pair != "-e")
    servers[args[4]] = {"type": "stdio", "command": args[dashes + 1], "args": args[dashes + 2 :], "env": environ}
elif args[:4] == ["mcp", "remove", "--scope", "user"]:
    del servers[args[4]]
json.dump(values, open(file, "w"))
"""


@pytest.mark.parametrize("launch", [LAUNCH, OTHER])
def test_the_clients_own_command_is_used_where_it_is(launch: Launch, tmp_path: Path) -> None:
    """It adds and removes, and what it did is read from the file."""
    own_program(tmp_path / "bin", "claude", CLAUDE)
    where = machine(tmp_path, PATH=str(tmp_path / "bin"))
    client = BY_NAME["claude-code"]

    added = install(client, where, launch, run_program)

    assert "claude mcp add --scope user kb" in added.by
    assert state_of(client, where).launch == launch
    assert install(client, where, launch, run_program).outcome == "unchanged"
    removed = remove(client, where, run_program)
    assert removed.by.endswith("claude mcp remove --scope user kb")
    assert state_of(client, where).entry is None


@pytest.mark.parametrize("changed", [False, True])
def test_the_clients_own_command_leaves_no_copy_that_nobody_needs(tmp_path: Path, changed: bool) -> None:
    """Where the file says what it said before kb, the copy goes; otherwise it stays and is named."""
    own_program(tmp_path / "bin", "claude", CLAUDE)
    where = machine(tmp_path, PATH=str(tmp_path / "bin"))
    client = BY_NAME["claude-code"]
    file = put(client, where, '{\n  "theme": "dark"\n}\n')
    saved = install(client, where, LAUNCH, run_program).backup
    assert saved is not None
    if changed:
        file.write_text(file.read_text("utf-8").replace("dark", "light"), "utf-8")

    notices = remove(client, where, run_program).notices

    assert saved.exists() == changed
    assert notices == ((f"{saved} has the file as it was before kb was added",) if changed else ())


def test_a_command_of_a_client_that_fails_is_reported_and_the_file_changed(tmp_path: Path) -> None:
    """With the last line of what it wrote."""
    own_program(tmp_path / "bin", "codex", "sys.exit('not logged in')")
    where = machine(tmp_path, PATH=str(tmp_path / "bin"))

    change = install(BY_NAME["codex"], where, LAUNCH, run_program)

    assert (change.outcome, change.by) == ("added", "")
    assert "codex mcp did not do it (not logged in)" in change.notices[0]
    assert state_of(BY_NAME["codex"], where).launch == LAUNCH


def test_a_file_that_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Another program may write it between reading and writing."""
    own_program(tmp_path / "bin", "codex", "")
    where = machine(tmp_path, PATH=str(tmp_path / "bin"))
    client = BY_NAME["codex"]
    put(client, where, "a = 1\n")
    from kb.agents import install as module

    state = state_of(client, where)
    client.file(where).write_text("a = 2\n", "utf-8")

    with pytest.raises(ClientError, match="was changed by another program meanwhile"):
        module._write(state, "a = 3\n")
    assert client.file(where).read_text("utf-8") == "a = 2\n"
