"""The command ``kb config``: the configuration in effect, and which files are trusted."""

from __future__ import annotations

import difflib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb.cli.command import command
from kb.cli.options import json_option, refuse_conflicts
from kb.cli.output.reports import settings_text
from kb.cli.output.terminal import one_line
from kb.errors import ConfigError

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.config import Settings
    from kb.config.find import ConfigFile
    from kb.config.trust import Trusted


@command(short_help="Show the configuration in effect.", local=True)
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
    refuse_conflicts({"--trust": trusts, "--trusted": lists, "--distrust": distrusts})
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
    return ConfigError(f"no key {key}", f"Did you mean {near[0]}?" if near else "kb config lists all keys")


def toml_value(value: object) -> str:
    """A value as config.toml would have it, on one line."""
    return json.dumps(value, ensure_ascii=False)


def trust_file(session: Session, named: str | None, *, as_json: bool) -> int:
    """Trust a configuration file that kb finds by itself, with its present content, and show what it reaches."""
    from kb.config import load
    from kb.config.trust import require_owned, trust

    place = _place(session, named, missing="There is nothing to trust")
    if not place.around:
        session.say(f"{one_line(str(place.file))} needs no trust: it is your own or was named explicitly\n")
        return 0
    require_owned(place)
    # What is in the environment and on this command line is not part of the file.
    made = trust(load(str(place.file), environ={}, cwd=session.client.cwd or None), place, session.client.environ)
    if as_json:
        session.write_json(_object(made))
    else:
        asks = "".join(f"  {one_line(str(one))}\n" for one in made.reaches)
        session.say(f"Trusted {one_line(made.file)} as it is now\n{asks}")
    return 0


def list_trusted(session: Session, *, as_json: bool) -> int:
    """List the trusted configuration files, and what they reach."""
    from kb.config.trust import all_trusted

    found = all_trusted(session.client.environ)
    if as_json:
        session.write_json({"trusted": [_object(one) for one in found]})
        return 0
    for one in found:
        state = {"trusted": "", "changed": "  changed since: not trusted", "gone": "  gone"}[one.state()]
        session.say(f"{one_line(one.file)}  {_day(one)}{state}\n")
        session.say("".join(f"  {one_line(str(reach))}\n" for reach in one.reaches))
    if not found:
        session.notice("no configuration is trusted")
    return 0


def distrust_file(session: Session, named: str | None, *, as_json: bool) -> int:
    """Stop trusting a configuration file; the exit code is 1 if it was not trusted."""
    from kb.config.trust import distrust

    # The file may be gone by now.
    path = _named(session, named).resolve() if named else _place(session, None, missing="Nothing is trusted here").file
    done = distrust(path, session.client.environ)
    if as_json:
        session.write_json({"file": str(path), "distrusted": done})
    elif done:
        session.say(f"{one_line(str(path))} is no longer trusted\n")
    else:
        session.notice(f"{path} was not trusted")
    return 0 if done else 1


def _place(session: Session, named: str | None, *, missing: str) -> ConfigFile:
    """The configuration file that was named, else the one in effect here.

    Raises:
        ConfigError: There is none.
    """
    from kb.config import look_for, user_config_path, why_none
    from kb.config.find import ConfigFile

    if named is None:
        found = look_for(session.config_file, session.client.environ, Path(session.client.cwd), found=session.found)
        if found is None:
            raise ConfigError(f"{missing}: {why_none(session.client.cwd)}", "Name it: kb config --trust FILE")
        return found
    file = _named(session, named)
    if not file.is_file():
        raise ConfigError(f"{file} is not a file", "Name a config.toml: kb config --trust FILE")
    return ConfigFile(file.resolve(), file, around=file.resolve() != user_config_path().resolve())


def _named(session: Session, named: str) -> Path:
    """The configuration file that an argument names; a folder means the config.toml in it."""
    from kb.location import FILE_NAME

    path = session.place(named)
    return path / FILE_NAME if path.is_dir() else path


def _day(one: Trusted) -> str:
    return f"{datetime.fromtimestamp(one.since, UTC).astimezone():%Y-%m-%d}"


def _object(one: Trusted) -> dict[str, Any]:
    asks = [{"key": reach.key, "value": reach.value, "place": reach.place} for reach in one.reaches]
    return {
        "file": one.file,
        "sha256": one.sha256,
        "since": datetime.fromtimestamp(one.since, UTC).isoformat(timespec="seconds"),
        "state": one.state(),
        "reaches": asks,
    }
