"""The commands that come before an index: init, config, completion."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kb.cli.options import Command, folder_names, json_option
from kb.cli.reports import settings_text
from kb.cli.terminal import one_line
from kb.errors import ConfigError, FolderError

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.config import Settings

_BUNDLED: Final = "all-MiniLM-L6-v2"
SHELLS: Final = ("bash", "zsh", "fish")


@click.command(cls=Command, short_help="Write a config.toml for a folder.")
@click.argument("folder", default=".", metavar="[FOLDER]", shell_complete=folder_names)
@click.option("--user", is_flag=True, help="Write your own configuration, which holds wherever there is no other.")
@click.option("--force", is_flag=True, help="Replace a configuration; take a whole home folder.")
@click.option("--model", metavar="NAME", help=f"The embedding model: a hub name, a directory, or {_BUNDLED}.")
@click.pass_obj
def init(session: Session, folder: str, user: bool, force: bool, model: str | None) -> int:
    """Write a config.toml for a FOLDER of notes (the current one) and say what comes next."""
    from kb.config import Config, render_own, user_config_path, user_store_path

    def again(chosen: str | None = model) -> str:
        """This very command with ``--force``, and with a model."""
        words = ["kb", *(["--config", session.config_file] if session.config_file else []), "init", "--force"]
        words += [*(["--user"] if user else []), *(["--model", chosen] if chosen else []), folder]
        return shlex.join(words)

    real = checked_folder(folder, force=force)
    target = Path(session.config_file or (user_config_path() if user else "config.toml")).absolute()
    values: dict[str, object] = {"folders.paths": [real if user else _from(target.parent, real)]}
    if user:
        values["store.path"] = str(user_store_path())
    if model:
        values["embed.model"] = model
    if not force or not session.config_file:
        _refuse_to_replace(target, again(), force=force)
    _write(target, render_own(values))
    session.write(f"Wrote {one_line(str(target))} for {one_line(real)}\n")
    if not session.config_file:
        _tell_what_goes_before(session, target)
    default = Config().embed.model
    if (model or session.asker.environ.get("KB_EMBED__MODEL") or default) == default:
        session.write(f"The first run fetches {default}, about 2.3 GB, unless it is on this machine already;\n")
        session.write(f"{one_line(again(_BUNDLED))} does without.\n")
    session.write('Next: kb index, then kb "your question"\n')
    return 0


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
    return folder == "/" or f"{home}/".startswith(f"{folder}/")


def _from(base: Path, folder: str) -> str:
    """A folder as its configuration names it: relative where it is below, so that both can move together."""
    path, real_base = Path(folder), Path(os.path.realpath(base))
    return str(path.relative_to(real_base)) if path.is_relative_to(real_base) else folder


def _refuse_to_replace(target: Path, again: str, *, force: bool) -> None:
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
            "Write your own with kb init --user, or name a file of another name: kb --config FILE init",
        )
    if not force:
        raise ConfigError(f"{target} exists already", f"Edit it, or replace it with {again}")


def _tell_what_goes_before(session: Session, target: Path) -> None:
    """Say which configuration is in effect here, where that is another one than was written."""
    from kb.config import find_file

    named = session.asker.environ.get("KB_CONFIG")
    if named:
        session.notice(f"$KB_CONFIG names another configuration, {named}, which goes before this one")
        return
    found = find_file(None, session.asker.environ, Path(session.asker.cwd))
    if found is not None and found != target.resolve():
        session.notice(f"in this folder {found} goes before it")


def _write(target: Path, text: str) -> None:
    """Write a configuration whole or not at all."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise FolderError("the folder's name is not UTF-8, which a TOML file must be", "Rename the folder") from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".config-", delete=False) as new:
            new.write(data)
        Path(new.name).replace(target)
        target.chmod(0o644)
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written: {error.strerror}", "Choose another place: --config FILE"
        ) from error


@click.command("config", cls=Command, short_help="Show the configuration in effect.")
@click.argument("key", required=False)
@json_option
@click.pass_obj
def show_config(session: Session, key: str | None, as_json: bool) -> int:
    """Show the effective configuration and where each value came from; of one KEY only the value."""
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


@click.command(cls=Command, short_help="Print the completion for a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print what makes a SHELL complete kb's commands and options: eval "$(kb completion bash)"."""
    from click.shell_completion import get_completion_class

    session: Session = context.obj
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    session.write(kind(context.find_root().command, {}, "kb", "_KB_COMPLETE").source() + "\n")
    return 0
