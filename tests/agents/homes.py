"""Home folders with the configurations of clients, for the tests of installing kb into them."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from kb.agents.clients import Client, Launch, Machine

if TYPE_CHECKING:
    from pathlib import Path

LAUNCH = Launch(("/opt/kb/bin/kb", "--config", "/home/a b/config.toml", "mcp"), {})
OTHER = Launch(("/opt/kb/bin/kb", "--config", "/home/a b/config.toml", "mcp", "--write"), {"KB_MODELS": "/models"})


def machine(home: Path, platform: str = "linux", **environ: str) -> Machine:
    """A machine whose PATH has no program."""
    return Machine(platform, home, {"PATH": "", **environ})


def no_program(_command: object) -> str:
    """A client's own command, where there is none."""
    raise AssertionError("no program is here")


def put(client: Client, where: Machine, text: str) -> Path:
    """A client's file with a text, byte for byte."""
    file = client.file(where)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode("utf-8"))
    return file


def values_of(client: Client, text: str) -> dict[str, Any]:
    """What a client reads in its file: by the standard library, after comments and trailing commas are taken out."""
    text = text.removeprefix("\ufeff")
    values: dict[str, Any] = tomllib.loads(text) if client.syntax == "toml" else json.loads(plain(text))
    return values


def plain(text: str) -> str:
    """JSON without comments and trailing commas, character by character: another way than that of kb."""
    kept: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            kept.append(text[at : end + 1])
            at = end + 1
        elif text.startswith("//", at):
            at = min((found for found in (text.find(end, at) for end in "\r\n") if found >= 0), default=len(text))
        elif text.startswith("/*", at):
            at = text.index("*/", at) + 2
        elif text[at].isspace():
            at += 1
        else:
            if text[at] in "]}" and kept and kept[-1] == ",":
                kept.pop()
            kept.append(text[at])
            at += 1
    return "".join(kept)
