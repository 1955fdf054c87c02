"""The check of MCP clients: whether what they start for kb is still there, and can speak their protocol."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Final

from kb.agents.clients import CLIENTS, SERVER, Machine
from kb.agents.install import is_found, state_of
from kb.doctor.finding import Plain, advice, failed, ok, warning, worst
from kb.doctor.service import broken_start
from kb.errors import ClientError
from kb.formats.registry import install_command

if TYPE_CHECKING:
    from pathlib import Path

    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

_KB: Final = re.compile(rb"\b%b\b" % SERVER.encode())


def clients(case: Case) -> Finding:
    """Whether each MCP client that starts kb names a program and a configuration that exist."""
    machine = Machine(sys.platform, case.home, case.environ)
    here = [client for client in CLIENTS if is_found(client, machine)]
    launches = {}
    found = []
    for client in here:
        try:
            state = state_of(client, machine)
        except ClientError as error:
            # One that does not start kb is none of kb's, but for being told.
            judged = failed if _mentions_kb(client.file(machine)) else warning
            found.append(judged("{reason}", advice(error.remedy), reason=error.message))
            continue
        launch = state.launch
        if launch is None and state.entry is not None and not any("url" in key.lower() for key in state.entry):
            found.append(
                failed(
                    "{client} has an entry for kb that starts nothing",
                    f"kb mcp install {client.name}",
                    client=Plain(client.title),
                )
            )
        if launch is not None:
            launches[client.name] = launch
            variables = [f"{name}={value}" for name, value in launch.environ.items()]
            if broken := broken_start([*launch.command, *variables]):
                what, path = broken
                found.append(
                    failed(
                        "{client} starts a {what} that does not exist: {path}",
                        f"kb mcp install {client.name}",
                        client=Plain(client.title), what=Plain(what), path=path,
                    )
                )  # fmt: skip
    names = Plain(", ".join(launches) or "none")
    missing = "" if importlib.util.find_spec("mcp") else "mcp"
    if launches and missing:
        found.append(failed("{clients} start kb, and the extra mcp is missing", install_command("mcp"), clients=names))
    started = ok("no MCP client was found")
    if here:
        started = ok("{count} of {here} MCP clients start kb", count=len(launches), here=len(here))
    return worst(found, started.with_details(("clients", names)))


def _mentions_kb(file: Path) -> bool:
    """Whether a file that cannot be parsed has an entry for kb, as far as can be told."""
    try:
        return bool(_KB.search(file.read_bytes()))
    except OSError:
        return False
