"""The commands that come before an index: init, config, completion."""

from __future__ import annotations

import difflib
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kb.cli.options import Command, folder_names, json_option
from kb.cli.reports import settings_text
from kb.cli.terminal import one_line
from kb.cli.trusting import distrust_file, list_trusted, trust_file, trust_written, write_config
from kb.errors import ConfigError, FolderError

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.config import Settings

_BUNDLED: Final = "all-MiniLM-L6-v2"
SHELLS: Final = ("bash", "zsh", "fish")


@click.command(cls=Command, short_help="Write a configuration for a folder.")
@click.argument("folder", default=".", metavar="[FOLDER]", shell_complete=folder_names)
@click.option("--here", is_flag=True, help="Write a config.toml that applies in the current folder and below.")
@click.option(
    "--user", is_flag=True, help="Write the user configuration, which applies wherever there is no other. The default."
)
@click.option("--add", "adds", is_flag=True, help="Add FOLDER to the existing configuration.")
@click.option("--force", is_flag=True, help="Replace an existing configuration; allow a whole home folder.")
@click.option("--model", metavar="NAME", help=f"The embedding model: a hub name, a directory, or {_BUNDLED}.")
@click.pass_obj
def init(session: Session, *, folder: str, here: bool, user: bool, adds: bool, force: bool, model: str | None) -> int:
    """Write your user configuration for a FOLDER of notes (default: the current one), so that kb works from any folder.

    With --here, write a config.toml in the current folder instead, which applies there and below.
    """
    from kb.config import Config, render_own, user_config_path, user_store_path

    _exclude({"--here": here, "--user": user, "--config": bool(session.config_file)})
    _exclude({"--add": adds, "--force": force, "--model": bool(model)})
    own = not here and (user or not session.config_file)
    target = Path(session.config_file or (user_config_path() if own else "config.toml")).absolute()
    if adds:
        return _add(session, target, folder, checked_folder(folder))

    def again(*more: str, chosen: str | None = model) -> str:
        """This very command with one more option, and with a model."""
        words = ["kb", *(["--config", session.config_file] if session.config_file else []), "init", *more]
        words += [*(["--here"] if here else []), *(["--user"] if user and session.config_file else [])]
        words += [*(["--model", chosen] if chosen else []), folder]
        return shlex.join(words)

    real = checked_folder(folder, force=force)
    values: dict[str, object] = {"folders.paths": [real if own else _from(target.parent, real)]}
    if own:
        values["store.path"] = str(user_store_path())
    if model:
        values["embed.model"] = model
    if not force or not session.config_file:
        _refuse_to_replace(target, real, again("--add", chosen=None), again("--force"), force=force)
    write_config(target, render_own(values))
    session.write(f"Wrote {one_line(str(target))} for {one_line(real)}\n")
    if not session.config_file:
        if here:
            trust_written(session, target)
        _tell_what_goes_before(session, target, real)
    default = Config().embed.model
    if (model or session.asker.environ.get("KB_EMBED__MODEL") or default) == default:
        session.write(f"The first run fetches {default}, about 2.3 GB, unless it is on this machine already;\n")
        session.write(f"{one_line(again('--force', chosen=_BUNDLED))} does without.\n")
    session.write('Next: kb index, then kb "your question"\n')
    return 0


def _exclude(options: dict[str, bool]) -> None:
    """See that the first of some options is given without the others.

    Raises:
        UsageError: It is not.
    """
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1 and given[0] == next(iter(options)):
        raise click.UsageError(f"{given[0]} and {given[1]} exclude one another")


def _add(session: Session, target: Path, folder: str, real: str) -> int:
    """Add a folder to a configuration, and change nothing else in it.

    Raises:
        ConfigError: There is none, or it cannot be changed or trusted.
    """
    from kb.config import belongs_to_kb, load, user_config_path
    from kb.config.edit import with_folder

    if not target.is_file() or not belongs_to_kb(target):
        raise ConfigError(
            f"there is no configuration at {target} to add to", f"Make one: kb init {shlex.quote(folder)}"
        )
    own = target.resolve() == user_config_path().resolve()
    # One that may not hold is not made to hold by adding to it.
    found = not own and not session.config_file
    environ = {name: value for name, value in session.asker.environ.items() if not name.startswith("KB_")}
    settings = load(str(target), environ=environ, cwd=session.asker.cwd or None, found=found)
    if real in settings.folder_paths():
        session.write(f"{one_line(str(target))} has {one_line(real)} already\n")
        return 0
    _require_apart(settings, real)
    text = target.read_bytes().decode("utf-8")
    write_config(target.resolve(), with_folder(text, real if own else _from(target.resolve().parent, real)))
    session.write(f"Added {one_line(real)} to {one_line(str(target))}\n")
    if found:
        trust_written(session, target)
    session.write("Next: kb index\n")
    return 0


def _require_apart(settings: Settings, folder: str) -> None:
    """See that a folder is not read twice: neither it in another one nor another one in it.

    Raises:
        FolderError: It would be.
    """
    for other in settings.folder_paths():
        if Path(folder).is_relative_to(other):
            raise FolderError(f"{folder} is read already, as part of {other}", "Name a folder outside it")
        if Path(other).is_relative_to(folder):
            raise FolderError(f"{folder} holds {other}, which is read already", f"Edit {settings.file} to replace it")


def checked_folder(folder: str, *, force: bool | None = None) -> str:
    """The real path of the folder to index; ``force`` says whether any will do, where that can be asked for.

    Raises:
        FolderError: It is not there, or too much to be meant.
    """
    real = os.path.realpath(os.path.expanduser(folder))  # noqa: PTH111 - realpath takes names as they are
    if not os.path.isdir(real):  # noqa: PTH112 - the same
        missing = "is not a folder" if os.path.lexists(real) else "does not exist"
        raise FolderError(f"{folder} {missing}", "Name a folder of notes: kb init FOLDER")
    if not force and too_much(real, os.path.realpath(Path.home())):
        raise FolderError(
            f"{real} is more than a folder of notes",
            f"Name a folder in it{'' if force is None else ', or insist with --force'}",
        )
    return real


def too_much(folder: str, home: str) -> bool:
    """Whether a folder is the root, a home folder, or what home folders are in."""
    from kb.config.reach import more_than_notes

    return more_than_notes(folder, home)


def _from(base: Path, folder: str) -> str:
    """A folder as its configuration names it: relative where it is below, so that both can move together."""
    path, real_base = Path(folder), Path(os.path.realpath(base))
    return str(path.relative_to(real_base)) if path.is_relative_to(real_base) else folder


def _refuse_to_replace(target: Path, folder: str, add: str, replace: str, *, force: bool) -> None:
    """See that nobody's work is written over: a configuration only by force, another program's file only by its name.

    Raises:
        ConfigError: There is such a file.
    """
    from kb.config import belongs_to_kb

    if not os.path.lexists(target):
        return
    if not belongs_to_kb(target):
        raise ConfigError(
            f"{target} is the configuration of another program",
            "Make your own configuration with kb init FOLDER, or name another file: kb --config FILE init",
        )
    if not force:
        raise ConfigError(
            f"{target} exists already", f"Add {folder} to it: {add}; {replace} replaces it, and what it says is lost"
        )


def _tell_what_goes_before(session: Session, target: Path, folder: str) -> None:
    """Say which configuration is in effect here and in the folder, where that is another one than was written."""
    from kb.config import find_file

    named = session.asker.environ.get("KB_CONFIG")
    if named:
        session.notice(f"$KB_CONFIG names another configuration, {named}, which goes before this one")
        return
    found = find_file(None, session.asker.environ, Path(session.asker.cwd))
    if found is not None and found != target.resolve():
        session.notice(f"in this folder {found} goes before it")
        return
    there = find_file(None, session.asker.environ, Path(folder))
    if there is not None and there != target.resolve():
        session.notice(f"in {folder} {there} goes before it")
    elif there is None:
        session.notice(
            f"it holds in {target.parent} and below, and not in {folder}; kb init makes one that holds anywhere"
        )


@click.command("config", cls=Command, short_help="Show the configuration in effect.")
@click.argument("key", required=False, metavar="[KEY | FILE]")
@click.option(
    "--trust", "trusts", is_flag=True, help="Trust the config.toml found here, or FILE, with its present content."
)
@click.option("--trusted", "lists", is_flag=True, help="List the trusted files.")
@click.option("--distrust", "distrusts", is_flag=True, help="Stop trusting it.")
@json_option
@click.pass_obj
def show_config(session: Session, *, key: str | None, trusts: bool, lists: bool, distrusts: bool, as_json: bool) -> int:
    """Show the effective configuration and where each value came from, or only the value of KEY.

    A config.toml in the current folder or above applies at once if you own it and it uses nothing outside its own
    folder. Any other has to be trusted first, and again whenever it changes.
    """
    if trusts + lists + distrusts > 1:
        raise click.UsageError("--trust, --trusted and --distrust exclude one another")
    if trusts:
        return trust_file(session, key, as_json=as_json)
    if lists:
        return list_trusted(session, as_json=as_json)
    if distrusts:
        return distrust_file(session, key, as_json=as_json)
    settings = session.settings()
    rows = [row for row in settings.listing() if key is None or row.key == key or row.key.startswith(f"{key}.")]
    if not rows:
        raise _unknown(str(key), settings)
    if as_json:
        values = {row.key: {"value": row.value, "origin": row.origin} for row in rows}
        session.write_json({"file": str(settings.file) if settings.file else None, "values": values})
    elif key == rows[0].key:
        value = rows[0].value
        session.write(f"{one_line(value if isinstance(value, str) else toml_value(value))}\n")
    else:
        session.write(f"# {one_line(str(settings.file)) if settings.file else 'no configuration file; defaults'}\n")
        session.write(settings_text((row.key, toml_value(row.value), row.origin) for row in rows))
    return 0


def _unknown(key: str, settings: Settings) -> ConfigError:
    keys = [row.key for row in settings.listing()]
    near = difflib.get_close_matches(key, keys, n=1)
    return ConfigError(f"there is no key {key}", f"Did you mean {near[0]}?" if near else "kb config lists all keys")


def toml_value(value: object) -> str:
    """A value as config.toml would have it, on one line."""
    return json.dumps(value, ensure_ascii=False)


@click.command(cls=Command, short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a completion script for SHELL. To enable it: eval "$(kb completion bash)"."""
    from click.shell_completion import get_completion_class

    session: Session = context.obj
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    session.write(kind(context.find_root().command, {}, "kb", "_KB_COMPLETE").source() + "\n")
    return 0
