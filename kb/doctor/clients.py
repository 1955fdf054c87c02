"""The check of MCP clients: whether what they start for kb is still there, and can speak their protocol."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from kb.agents.clients import CLIENTS, Machine
from kb.agents.install import is_found, state_of
from kb.doctor.finding import Plain, advice, failed, ok, warning, worst
from kb.doctor.service import broken_start
from kb.errors import ClientError
from kb.formats.registry import install_command

if TYPE_CHECKING:
    from kb.doctor.case import Case
    from kb.doctor.finding import Finding


def clients(case: Case) -> Finding:
    """Whether each MCP client that starts kb names a program and a configuration that exist."""
    machine = Machine(sys.platform, case.home, case.environ)
    here = [client for client in CLIENTS if is_found(client, machine)]
    launches = {}
    found = []
    for client in here:
        try:
            launch = state_of(client, machine).launch
        except ClientError as error:
            found.append(warning("{reason}", advice(error.remedy), reason=error.message))
            continue
        if launch is not None:
            launches[client.name] = launch
            if broken := broken_start(launch.command):
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
