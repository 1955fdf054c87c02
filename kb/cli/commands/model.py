"""The commands about embedding models: kb model list, fetch, verify, export, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kb.cli.command import Command, Group
from kb.cli.config_files import trust_written, write_config
from kb.cli.options import json_option
from kb.cli.output.reports import size
from kb.cli.output.terminal import one_line
from kb.errors import WAYS_TO_CONFIGURE, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kb.cli.session import Session
    from kb.models import Models, ModelState


@click.group(cls=Group, local=True, short_help="List, download, verify and export embedding models.")
def model() -> None:
    """Manage the embedding models on this machine. NAME defaults to the configured model."""


def _models(session: Session) -> Models:
    from kb.models import Models

    return Models(session.settings())


@model.command("list", cls=Command, short_help="List the models and how they run here.")
@json_option
@click.pass_obj
def list_models(session: Session, as_json: bool) -> int:
    """List the configured model and those that kb knows by name: location, size, and how each runs here."""
    states = _models(session).listing()
    if as_json:
        session.write_json({"models": [_object(state) for state in states]})
    else:
        session.write("\n".join(_text(state) for state in states))
    return 0


@model.command(cls=Command, short_help="Download a model before it is needed.")
@click.argument("name", required=False)
@click.pass_obj
def fetch(session: Session, name: str | None) -> int:
    """Download a model from the hub: only the files needed, at a pinned revision, each verified.

    An interrupted download resumes where it stopped. Pickled weights are converted to safetensors.
    """
    session.write(_text(_models(session).fetch(name)))
    return 0


@model.command(cls=Command, short_help="Switch the configuration to a model.")
@click.argument("name")
@click.pass_obj
def use(session: Session, name: str) -> int:
    """Set the model in the configuration file in use, and nothing else; then run kb index --full."""
    settings = session.settings()
    directory = session.place(name)
    named = str(directory.resolve()) if "/" in name and directory.is_dir() else name
    _models(session).require_here(named)
    values = {"embed.model": named}
    if settings.config.embed.revision and not settings.typed("embed.revision"):
        values["embed.revision"] = ""
    file = _set_values(session, values)
    if settings.typed("embed.model"):
        session.notice(f"{settings.origins['embed.model']} names {settings.config.embed.model}, which takes precedence")
    session.say(f"{one_line(str(file))} names {one_line(named)} now\nNext: kb index --full\n")
    return 0


@model.command(cls=Command, short_help="Verify a model's files and vectors.")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def verify(session: Session, name: str | None, as_json: bool) -> int:
    """Load a model and verify its tokenizer, vectors, published cosines and file checksums.

    The exit code is 1 if anything differs.
    """
    checks = _models(session).verify(name)
    if as_json:
        session.write_json({"checks": [{"what": one.what, "told": one.told, "good": one.good} for one in checks]})
    else:
        for one in checks:
            session.write(f"{ {True: 'ok', False: 'NO', None: '--'}[one.good]:<3} {one.what}: {one_line(one.told)}\n")
    return 1 if any(one.good is False for one in checks) else 0


@model.command(cls=Command, short_help="Export a model to ONNX, which starts and runs faster.")
@click.argument("name", required=False)
@click.option("--int8", is_flag=True, help="Also export an int8 model: faster on most CPUs, slightly less accurate.")
@click.option("--use", "uses", is_flag=True, help="With --int8: also set embed.precision in the configuration to int8.")
@click.pass_obj
def export(session: Session, name: str | None, int8: bool, uses: bool) -> int:
    """Export a model to ONNX, and compare the result with the original before it is used.

    On a CPU it runs about twice as fast as with torch, and a search without kb watch need not load torch.
    """
    from kb.models import measured_text

    if uses and not int8:
        raise click.UsageError("--use requires --int8")
    models = _models(session)
    exports = models.export(name, int8=int8, say=session.notice)
    for made in exports:
        session.write(
            f"{made.form}: {size(made.size())}, {measured_text(made.measured)}\n  {one_line(str(made.path))}\n"
        )
    if any(made.form == "int8" for made in exports):
        session.write(f"int8 embeds {models.int8_speed(name):.1f} times as fast as float32 on this machine\n")
    if uses:
        file = _set_values(session, {"embed.precision": "int8"})
        session.say(f"{one_line(str(file))} has embed.precision = int8 now\nNext: kb index --full\n")
    return 0


def _set_values(session: Session, values: Mapping[str, str]) -> Path:
    """Set values in the configuration file in use, and nothing else; returns the file.

    Raises:
        ConfigError: There is none, or it cannot be written.
    """
    from kb.config.write import with_value

    settings = session.settings()
    if settings.file is None:
        raise ConfigError(f"no configuration file to set {next(iter(values))} in", WAYS_TO_CONFIGURE)
    text = settings.file.read_bytes().decode("utf-8")
    for key, value in values.items():
        text = with_value(text, key, value)
    write_config(settings.file, text)
    if settings.found:
        trust_written(session, settings.file)
    return settings.file


@model.command(cls=Command, short_help="Remove kb's own files of a model.")
@click.argument("name")
@click.pass_obj
def remove(session: Session, name: str) -> int:
    """Remove a model's ONNX exports and kb's own copy of it. Copies installed by packages or other programs stay."""
    for folder in _models(session).remove(name):
        session.say(f"removed {one_line(str(folder))}\n")
    return 0


def _text(state: ModelState) -> str:
    from kb.models import measured_text

    lines = [f"{one_line(state.name)}{'  (configured)' if state.used else ''}"]
    if state.directory:
        lines.append(f"  {size(state.size)} in {one_line(state.directory)}")
    lines.append(f"  runs: {one_line(state.runs)}")
    lines += [f"  ONNX {form.form}: {size(form.size())}, {measured_text(form.measured)}" for form in state.forms]
    return "".join(f"{line}\n" for line in lines)


def _object(state: ModelState) -> dict[str, Any]:
    return {
        "name": state.name,
        "configured": state.used,
        "directory": state.directory or None,
        "size": state.size,
        "runs": state.runs,
        "forms": [
            {"form": form.form, "path": str(form.path), "size": form.size(), "measured": dict(form.measured)}
            for form in state.forms
        ],
    }
