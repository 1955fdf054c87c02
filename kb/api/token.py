"""The token that programs need over TCP: one file of the user alone, the same for all daemons."""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.location import trust_folder
from kb.system import shell
from kb.system.files import reading, replace_file
from kb.system.users import is_own, is_private_folder, rights_of_others

if TYPE_CHECKING:
    from collections.abc import Mapping

_BYTES: Final = 32
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LARGEST: Final = 200


class TokenFile:
    """The file with the token.

    Args:
        path: Where it is. Its folder belongs to the user alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[int, ...], str] = (), ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> TokenFile:
        """The file of this user, in the platform's state directory."""
        return cls(Path(trust_folder(environ)).parent / "http" / "token")

    def made(self) -> str:
        """Return the token, and make it where there is none.

        Raises:
            KbError: It cannot be made, or others can read it.
        """
        if not os.path.lexists(self.path):
            with suppress(FileExistsError):
                # Another process may make it at the same moment; the first one counts.
                self._write(replaces=False)
        return self.read()

    def renewed(self) -> str:
        """Replace the token, and return the new one; the former one is refused from then on.

        Raises:
            KbError: It cannot be written.
        """
        self._write(replaces=True)
        return self.read()

    def current(self) -> str:
        """Return the token, and read the file only where it was replaced since the last call.

        Raises:
            KbError: There is none, or others can read it.
        """
        stamp, token = self._known
        try:
            found = _stamp(self.path.lstat())
        except OSError:
            found = ()
        if not found or found != stamp:
            token = self.read()
            self._known = found, token
        return token

    def read(self) -> str:
        """Return the token.

        Raises:
            KbError: There is none, or others can read it.
        """
        self._require_private_folder()
        try:
            # Neither a link nor a named pipe is followed or waited for.
            descriptor = os.open(self.path, reading())
        except OSError as error:
            link = self.path.is_symlink()
            raise KbError(
                f"{self.path} is a link" if link else f"{self.path} cannot be read: {error.strerror}", _NEW
            ) from error
        with open(descriptor, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - a descriptor, no path
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or not is_own(about):
                raise KbError(f"{self.path} is not a file of yours", _NEW)
            if rights_of_others(about):
                mode = stat.S_IMODE(about.st_mode)
                raise KbError(f"others can read the token in {self.path} (mode {mode:o})", _NEW)
            token = file.read(_LARGEST).strip()
        if not _TOKEN.fullmatch(token):
            raise KbError(f"{self.path} holds no token of kb's", _NEW)
        return token

    def _write(self, *, replaces: bool) -> None:
        """Write a new token as a whole.

        Raises:
            FileExistsError: There is one, and it is not to be replaced.
            KbError: It cannot be written.
        """
        draft = self.path.with_name(f"token.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._require_private_folder()
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor, no path
                file.write(f"{secrets.token_urlsafe(_BYTES)}\n")
                file.flush()
                os.fsync(file.fileno())
            if replaces:
                replace_file(str(draft), str(self.path))
            else:
                os.link(draft, self.path)
        except FileExistsError:
            raise
        except OSError as error:
            raise KbError(
                f"{self.path} cannot be written: {error.strerror}", "Make its folder writable, and run kb token again"
            ) from error
        finally:
            draft.unlink(missing_ok=True)

    def _require_private_folder(self) -> None:
        folder = self.path.parent
        try:
            about = folder.lstat()
        except OSError as error:
            raise KbError("there is no token yet", "Make one: kb token") from error
        if not is_private_folder(str(folder)):
            remedy = f"Make it private: {shell.keep_others_out(str(folder))}; then make a new token: kb token --new"
            if not stat.S_ISDIR(about.st_mode) or not is_own(about):
                remedy = f"Move it away, and run kb token: {shell.move(str(folder), f'{folder}.old')}"
            raise KbError(f"{folder} is not a folder of yours alone", remedy)


_NEW: Final = "Make a new one: kb token --new"


def _stamp(about: os.stat_result) -> tuple[int, ...]:
    """Return what identifies a version of the file, and who may read it."""
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_mode
