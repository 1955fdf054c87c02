"""Fills the parts of README.md that are made from the program: help, configuration keys. ``make docs`` runs it."""

from __future__ import annotations

import re
from pathlib import Path

import click

from kb.cli.main import cli
from kb.config.schema import fields

ROOT = Path(__file__).parents[1]


def help_block() -> str:
    """``kb --help``, as it is printed on eighty columns."""
    with click.Context(cli, info_name="kb", terminal_width=80, max_content_width=80) as context:
        return f"```text\n{cli.get_help(context).strip()}\n```"


def config_block() -> str:
    """Every key with its default and the first sentence of its explanation."""
    rows = ["| key | default | what it is |", "|---|---|---|"]
    for field in fields():
        default = "(a list)" if isinstance(field.default, tuple) and field.default else f"`{_shown(field.default)}`"
        about = re.split(r"(?<=\.) ", field.about)[0].replace("|", "\\|")
        rows.append(f"| `{field.key}` | {default} | {about} |")
    return "\n".join(rows)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return "[]"
    return f'"{default}"' if isinstance(default, str) else str(default)


def filled(text: str) -> str:
    """The page with its generated parts up to date."""
    for name, block in (("help", help_block()), ("config", config_block())):
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda found, block=block: f"{found[1]}{block}\n{found[2]}",
            text,
            flags=re.DOTALL,
        )
    return text


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(filled(page.read_text("utf-8")), "utf-8")
