"""What ``kb config --trust``, ``--trusted`` and ``--distrust`` do, and what writes a configuration does."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb.cli.terminal import one_line
from kb.errors import ConfigError, FolderError

if TYPE_CHECKING:
    from kb.cli.session import Session
    from kb.config.find import Place
    from kb.config.trust import Trusted


def trust_file(session: Session, named: str | None, *, as_json: bool) -> int:
    """Trust a configuration that is found by looking around, as it is now, and tell what it asks for."""
    from kb.config import load
    from kb.config.trust import require_mine, trust

    place = _place(session, named, missing="There is nothing to trust")
    if not place.around:
        session.write(f"{one_line(str(place.file))} needs no trust: it is your own, or named by you\n")
        return 0
    require_mine(place)
    # What is in the environment and on this command line is not part of the file.
    made = trust(load(str(place.file), environ={}, cwd=session.asker.cwd or None), place, session.asker.environ)
    if as_json:
        session.write_json(_object(made))
    else:
        asks = "".join(f"  {one_line(str(one))}\n" for one in made.reaches)
        session.write(f"Trusted {one_line(made.file)} as it is now\n{asks}")
    return 0


def list_trusted(session: Session, *, as_json: bool) -> int:
    """Tell which configurations are trusted, and what they ask for."""
    from kb.config.trust import all_trusted

    found = all_trusted(session.asker.environ)
    if as_json:
        session.write_json({"trusted": [_object(one) for one in found]})
        return 0
    for one in found:
        state = {"trusted": "", "changed": "  changed since: not trusted", "gone": "  gone"}[one.state()]
        session.write(f"{one_line(one.file)}  {_day(one)}{state}\n")
        session.write("".join(f"  {one_line(str(reach))}\n" for reach in one.reaches))
    if not found:
        session.notice("no configuration is trusted")
    return 0


def distrust_file(session: Session, named: str | None, *, as_json: bool) -> int:
    """Withdraw the trust in a configuration; exit code 1 where there was none."""
    from kb.config.trust import distrust

    # The file may be gone by now.
    path = _named(session, named).resolve() if named else _place(session, None, missing="Nothing is trusted here").file
    done = distrust(path, session.asker.environ)
    if as_json:
        session.write_json({"file": str(path), "distrusted": done})
    elif done:
        session.write(f"{one_line(str(path))} is no longer trusted\n")
    else:
        session.notice(f"{path} was not trusted")
    return 0 if done else 1


def trust_written(session: Session, target: Path) -> None:
    """Trust a configuration that kb has just written for the user, where it would not hold without."""
    from kb.config import load
    from kb.config.find import Place
    from kb.config.reach import reaches
    from kb.config.trust import changeable, trust

    place = Place(target.resolve(), target, around=True)
    settings = load(str(place.file), environ={}, cwd=session.asker.cwd or None)
    if reaches(settings, place) or changeable(place):
        trust(settings, place, session.asker.environ)


def write_config(target: Path, text: str) -> None:
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


def _place(session: Session, named: str | None, *, missing: str) -> Place:
    """The file that was named, or the one in effect here.

    Raises:
        ConfigError: There is none.
    """
    from kb.config import look_for, user_config_path, why_none
    from kb.config.find import Place

    if named is None:
        found = look_for(session.config_file, session.asker.environ, Path(session.asker.cwd), found=session.found)
        if found is None:
            raise ConfigError(f"{missing}: {why_none(session.asker.cwd)}", "Name it: kb config --trust FILE")
        return found
    file = _named(session, named)
    if not file.is_file():
        raise ConfigError(f"{file} is not a file", "Name a config.toml: kb config --trust FILE")
    return Place(file.resolve(), file, around=file.resolve() != user_config_path().resolve())


def _named(session: Session, named: str) -> Path:
    """The file that a word means: a folder means the config.toml in it."""
    from kb.config.find import FILE_NAME

    path = Path(session.asker.cwd) / Path(named).expanduser()
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
