"""The command ``kb init``."""

from __future__ import annotations

import os
from itertools import permutations, product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kb.cli.command import command
from kb.cli.config_files import checked_folder, trust_written, write_config
from kb.cli.options import folder_names, refuse_conflicts
from kb.cli.output.terminal import one_line
from kb.errors import ConfigError, FolderError
from kb.system import shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.cli.session import Session
    from kb.config import Settings

_BUNDLED: Final = "all-MiniLM-L6-v2"


@command(short_help="Write a configuration for a folder.", local=True)
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", shell_complete=folder_names)
@click.option("--here", is_flag=True, help="Write a config.toml that applies in the current folder and below.")
@click.option(
    "--user", is_flag=True, help="Write the user configuration, which applies wherever there is no other. The default."
)
@click.option("--add", "adds", is_flag=True, help="Add each FOLDER to the existing configuration.")
@click.option("--force", is_flag=True, help="Replace an existing configuration; allow a whole home folder.")
@click.option("--model", metavar="NAME", help=f"The embedding model: a hub name, a directory, or {_BUNDLED}.")
@click.pass_obj
def init(
    session: Session,
    *,
    folders: tuple[str, ...],
    here: bool,
    user: bool,
    adds: bool,
    force: bool,
    model: str | None,
) -> int:
    """Write your user configuration for one FOLDER of notes or several (default: the current one).

    It applies wherever there is no other, so that kb works from any folder.

    With --here, write a config.toml in the current folder instead, which applies there and below.
    """
    from kb.config import Config, render_own, user_config_path, user_store_path

    _reject_conflicts("--here", here, {"--user": user, "--config": bool(session.config_file)})
    _reject_conflicts("--add", adds, {"--force": force, "--model": bool(model)})
    own = not here and (user or not session.config_file)
    target = Path(session.config_file or (user_config_path() if own else "config.toml")).absolute()
    folders = folders or (".",)
    if adds:
        return _add(session, target, folders)

    def again(*more: str, chosen: str | None = model) -> str:
        """This command with more options, or with another model."""
        words = ["kb", *(["--config", session.config_file] if session.config_file else []), "init", *more]
        words += [*(["--here"] if here else []), *(["--user"] if user and session.config_file else [])]
        words += [*(["--model", chosen] if chosen else []), *folders]
        return shell.join(words)

    real = _checked(folders, force=force)
    values: dict[str, object] = {"folders.paths": [one if own else _from(target.parent, one) for one in real]}
    if own:
        values["store.path"] = str(user_store_path())
    if model:
        values["embed.model"] = model
    if not force or not session.config_file:
        _refuse_to_replace(session, target, real, again("--add", chosen=None), again("--force"), force=force)
    write_config(target, render_own(values))
    session.say(f"Wrote {one_line(str(target))} for {one_line(', '.join(real))}\n")
    if not session.config_file:
        if here:
            trust_written(session, target)
        _warn_about_precedence(session, target, real)
    if session.client.stdout_tty and _show_forecast(session, target):
        session.say(_next(session))
        return 0
    default = Config().embed.model
    if (model or session.client.environ.get("KB_EMBED__MODEL") or default) == default:
        session.say(f"The first run downloads {default} (about 2.3 GB) unless it is already on this machine;\n")
        session.say(f"{one_line(again('--force', chosen=_BUNDLED))} avoids that.\n")
    session.say(_next(session))
    return 0


def _show_forecast(session: Session, target: Path) -> bool:
    """Say what the first run will do with the configuration just written; returns whether there was anything to say."""
    from kb.cli.forecast import show_forecast
    from kb.config import load
    from kb.forecast import of_new_store

    settings = load(str(target), session.client.environ, session.client.cwd or None)
    return show_forecast(settings, lambda: of_new_store(settings), lambda line: session.say(f"{one_line(line)}\n"))


def _reject_conflicts(option: str, is_given: bool, others: dict[str, bool]) -> None:
    """Check that an option is not given with any of some others, which may be given together.

    Raises:
        UsageError: It is.
    """
    for other, other_is_given in others.items():
        refuse_conflicts({option: is_given, other: other_is_given})


def _add(session: Session, target: Path, folders: Sequence[str]) -> int:
    """Add folders to a configuration without changing anything else in it.

    Raises:
        ConfigError: There is none, or it cannot be changed or trusted.
        FolderError: One does not exist, or would be indexed twice.
    """
    from kb.config import belongs_to_kb, user_config_path
    from kb.config.write import with_folder

    real = _checked(folders)
    if not target.is_file() or not belongs_to_kb(target):
        raise ConfigError(f"no configuration at {target}", f"Create one: kb init {shell.join(folders)}")
    own = target.resolve() == user_config_path().resolve()
    settings = _settings_of(session, target)
    new = _new_folders(settings, real)
    if there := [one for one in real if one not in new]:
        session.say(f"{one_line(str(target))} already has {one_line(', '.join(there))}\n")
    if not new:
        return 0
    text = target.read_bytes().decode("utf-8")
    for one in new:
        text = with_folder(text, one if own else _from(target.resolve().parent, one))
    write_config(target.resolve(), text)
    session.say(f"Added {one_line(', '.join(new))} to {one_line(str(target))}\n")
    if settings.found:
        trust_written(session, target)
    daemon = _reloading_daemon(session, target)
    if daemon is None:
        session.say(f"Next: {session.command('index')}\n")
    else:
        session.say(f"kb watch (process {daemon}) reads it within seconds; kb sync waits until that is done\n")
    return 0


def _settings_of(session: Session, target: Path) -> Settings:
    """Return what a configuration says by itself, without the environment.

    Raises:
        ConfigError: It is wrong, or may not hold: it is not made to hold by adding to it.
    """
    from kb.config import load, user_config_path

    found = not session.config_file and target.resolve() != user_config_path().resolve()
    environ = {name: value for name, value in session.client.environ.items() if not name.startswith("KB_")}
    return load(str(target), environ=environ, cwd=session.client.cwd or None, found=found)


def _reloading_daemon(session: Session, file: Path) -> int | None:
    """Return the process of the daemon that reloads this configuration when it is edited; None if there is none.

    Its store may be named by the environment or an option, as for any other command.
    """
    from kb.service.address import CommandLine, Undetermined, store_of
    from kb.service.client import RequestRefused, ask

    line = CommandLine(str(file), session.overrides, "init")
    try:
        daemon = ask(store_of(line, session.client.environ, session.client.cwd), "/local/settings")
    except (Undetermined, RequestRefused, OSError):
        return None
    # One that was started with folders keeps them.
    if daemon is None or daemon.get("folders_given") or not daemon.get("file"):
        return None
    same = os.path.realpath(daemon["file"]) == os.path.realpath(file)
    return int(daemon["pid"]) if same else None


def _checked(folders: Iterable[str], *, force: bool | None = None) -> list[str]:
    """Return the real paths of folders to index, each once; see ``checked_folder``.

    Raises:
        FolderError: One does not exist, is too large to be intended, or is part of another.
    """
    real = list(dict.fromkeys(checked_folder(one, force=force) for one in folders))
    for folder, other in permutations(real, 2):
        if Path(folder).is_relative_to(other):
            raise FolderError(f"{folder} is part of {other}", f"Name {other} alone")
    return real


def _new_folders(settings: Settings, folders: Iterable[str]) -> list[str]:
    """Return the folders that a configuration does not name yet.

    Raises:
        FolderError: One would be indexed twice: it contains a configured one or is in one.
    """
    known = settings.folder_paths()
    new = [one for one in folders if one not in known]
    for folder, other in product(new, known):
        if Path(folder).is_relative_to(other):
            raise FolderError(f"{folder} is already indexed as part of {other}", "Name a folder outside it")
        if Path(other).is_relative_to(folder):
            raise FolderError(
                f"{folder} contains {other}, which is already indexed", f"Edit {settings.file} to replace it"
            )
    return new


def _from(base: Path, folder: str) -> str:
    """A folder as written to the configuration: relative if it is below the file, so that both can be moved."""
    path, real_base = Path(folder), Path(os.path.realpath(base))
    return str(path.relative_to(real_base)) if path.is_relative_to(real_base) else folder


def _refuse_to_replace(
    session: Session, target: Path, folders: Sequence[str], add: str, replace: str, *, force: bool
) -> None:
    """Check that no file is overwritten: a configuration only with --force, another program's only if named.

    Raises:
        ConfigError: There is such a file.
        FolderError: There is a configuration, and a folder cannot be added to it.
    """
    from kb.config import belongs_to_kb

    if not os.path.lexists(target):
        return
    if not belongs_to_kb(target):
        raise ConfigError(
            f"{target} belongs to another program",
            "Make your own configuration with kb init FOLDER, or name another file: kb --config FILE init",
        )
    if force:
        return
    try:
        new = _new_folders(_settings_of(session, target), folders)
    except ConfigError:
        # What is wrong with it, --add tells.
        new = list(folders)
    replacing = f"to replace the file and lose its settings: {replace}"
    if not new:
        raise ConfigError(
            f"{target} already has {', '.join(folders)}", f"To index it: {session.command('index')}; {replacing}"
        )
    raise ConfigError(f"{target} already exists", f"To add {', '.join(new)}: {add}; {replacing}")


def _warn_about_precedence(session: Session, target: Path, folders: Sequence[str]) -> None:
    """Warn if another configuration than the written one is in effect here or in one of the folders."""
    from kb.config import find_file

    named = session.client.environ.get("KB_CONFIG")
    if named:
        session.notice(f"$KB_CONFIG names another configuration, {named}, which takes precedence")
        return
    found = find_file(session.client.environ, Path(session.client.cwd))
    if found is not None and found != target.resolve():
        session.notice(f"in this folder, {found} takes precedence")
        return
    for folder in folders:
        there = find_file(session.client.environ, Path(folder))
        if there is not None and there != target.resolve():
            session.notice(f"in {folder}, {there} takes precedence")
        elif there is None:
            session.notice(
                f"it applies in {target.parent} and below, not in {folder}; kb init writes one that applies everywhere"
            )


def _next(session: Session) -> str:
    """What to type next, with the configuration that was written."""
    return f'Next: {session.command("index")}, then {session.command()} "your question"\n'
