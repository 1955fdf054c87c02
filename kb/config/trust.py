"""Whether a configuration that was found by looking around may hold, and the memory of those that the user trusts.

A ``config.toml`` comes along with any folder that is copied, unpacked or cloned. One that nobody named holds without a
question only where it belongs to the user, nobody else can change it, and everything it asks for is inside its own
folder. What else it asks for has to be trusted: by the file's path and content, and for the places it reaches, so that
neither an edit nor a symbolic link that leads elsewhere now is covered.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import stat
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kb import location
from kb.config.find import is_mine, read_config
from kb.config.reach import Reach, reaches
from kb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.config.find import Place
    from kb.config.settings import Settings

_ANYBODY: Final = stat.S_IWOTH
_GROUP: Final = stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class Trusted:
    """A configuration that the user trusts.

    Attributes:
        file: Its path, with links resolved.
        sha256: The digest of its content.
        since: When it was trusted, in seconds since 1970.
        reaches: What it asks for outside its own folder.
    """

    file: str
    sha256: str
    since: float
    reaches: tuple[Reach, ...]

    def state(self) -> str:
        """Whether the file is still the one that was trusted: ``trusted``, ``changed`` or ``gone``."""
        try:
            data = read_config(Path(self.file))
        except ConfigError:
            return "changed" if os.path.lexists(self.file) else "gone"
        return "trusted" if _digest(data) == self.sha256 else "changed"


def require_mine(place: Place) -> None:
    """See that a file which was found belongs to the user.

    Raises:
        ConfigError: It does not: its owner may change it at any time, so it is not even asked about.
    """
    if not is_mine(place.at):
        raise ConfigError(
            f"{place.at} belongs to another user, and is not obeyed for standing there",
            f"Read it; kb --config {shlex.quote(str(place.at))} ... uses it all the same",
        )


def require_trust(settings: Settings, place: Place, data: bytes, environ: Mapping[str, str]) -> None:
    """See that a configuration which was found stays inside its own folder, or is trusted.

    Args:
        settings: What it says, with everything that was put over it.
        place: Where it was found.
        data: The content of the file that was read.
        environ: The environment, for where the memory is.

    Raises:
        ConfigError: It asks for more; the message names each key with its value and its place.
    """
    wanted = reaches(settings, place)
    loose = changeable(place)
    if not wanted and not loose:
        return
    known = _remembered(trust_folder(environ) / _name(place.file, data))
    if known is not None and set(wanted) <= set(known.reaches):
        return
    reasons = " and ".join([*(["asks for more than its own folder"] if wanted else []), *([loose] if loose else [])])
    told = "\n  ".join([f"{place.at} was found here and {reasons}", *map(str, wanted)])
    raise ConfigError(told, f"If that is meant, trust it: kb config --trust {shlex.quote(str(place.file))}")


def changeable(place: Place) -> str:
    """How others can change what was found: the file, or what stands in its folder; empty where they cannot."""
    if not hasattr(os, "getuid"):
        return ""
    for path in (place.file, place.file.parent, place.at.parent):
        about = path.stat()
        if about.st_uid not in {0, os.getuid()}:
            return f"is in {path}, which belongs to another user"
        if about.st_mode & _ANYBODY or (about.st_mode & _GROUP and not _group_of_one(about.st_gid)):
            return f"can be changed by others ({path} has mode {stat.S_IMODE(about.st_mode):o})"
    return ""


def _group_of_one(number: int) -> bool:
    """Whether a group is the user's own, as many systems give each user one: then its right to write is theirs."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return number == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


# The memory: one file a configuration, called by the digest of its path and content.


def trust_folder(environ: Mapping[str, str]) -> Path:
    """Where it is remembered what the user trusts, in the platform's place for state."""
    return Path(location.trust_folder(environ))


def trust(settings: Settings, place: Place, environ: Mapping[str, str]) -> Trusted:
    """Remember that a configuration is trusted as it is now, in place of what was remembered of it before.

    Args:
        settings: What the file says, with nothing put over it.
        place: Where it stands.
        environ: The environment, for where the memory is.

    Raises:
        ConfigError: It belongs to another user, or it cannot be remembered.
    """
    require_mine(place)
    data = read_config(place.file)
    made = Trusted(str(place.file), _digest(data), time.time(), reaches(settings, place))
    folder = trust_folder(environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        distrust(place.file, environ)
        draft = folder / f"{_name(place.file, data)}.new"
        draft.write_text(json.dumps(asdict(made), indent=2), "utf-8")
        draft.replace(folder / _name(place.file, data))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", "Make that folder writable") from error
    return made


def all_trusted(environ: Mapping[str, str]) -> list[Trusted]:
    """Every configuration that is trusted, by path."""
    files = sorted(trust_folder(environ).glob("*.json"))
    return sorted(filter(None, map(_remembered, files)), key=lambda one: one.file)


def distrust(file: Path, environ: Mapping[str, str]) -> bool:
    """Forget that a configuration was trusted; says whether it was."""
    found = False
    for record in trust_folder(environ).glob("*.json"):
        known = _remembered(record)
        if known is not None and known.file == str(file):
            record.unlink(missing_ok=True)
            found = True
    return found


def _name(file: Path, data: bytes) -> str:
    """What a file of this path and content is remembered by."""
    return location.trust_record(str(file), data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _remembered(record: Path) -> Trusted | None:
    """What stands in a record; None where there is none, or none that can be read."""
    try:
        told: dict[str, Any] = json.loads(record.read_bytes())
        made = tuple(Reach(str(one["key"]), str(one["value"]), str(one["place"])) for one in told["reaches"])
        return Trusted(str(told["file"]), str(told["sha256"]), float(told["since"]), made)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
