"""Which program opens a file at a place. A function of values: what is installed and wished for is handed in."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.formats.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kb.cli.recall import Spot

# How PDF viewers are told a page, by the name of their program; the first ones are the defaults of desktops.
_PAGE: Final[dict[str, tuple[str, ...]]] = {
    "evince": ("--page-index={page}", "{path}"),
    "papers": ("--page-index={page}", "{path}"),
    "atril": ("--page-index={page}", "{path}"),
    "xreader": ("--page-index={page}", "{path}"),
    "okular": ("-p", "{page}", "{path}"),
    "zathura": ("-P", "{page}", "{path}"),
    "sioyek": ("--page", "{page}", "{path}"),
    "qpdfview": ("{path}#{page}",),
    "mupdf": ("{path}", "{page}"),
    "xpdf": ("{path}", "{page}"),
}
# How editors are told a line.
_PLUS: Final = frozenset(
    {"vi", "vim", "nvim", "gvim", "view", "nano", "emacs", "emacsclient", "micro", "kak", "joe", "ne", "jed"}
)
_GOTO: Final = frozenset({"code", "code-insiders", "codium", "vscodium", "cursor", "windsurf"})
_COLON: Final = frozenset({"hx", "helix", "subl", "zed", "zeditor", "lapce"})
_OPENERS: Final = ("xdg-open", "open", "wslview")


@dataclass(frozen=True, slots=True)
class Launch:
    """A command, and whether it takes over the terminal."""

    command: tuple[str, ...]
    here: bool


def launch_of(
    spot: Spot, environ: Mapping[str, str], installed: Callable[[str], str | None], default_pdf: str = ""
) -> Launch:
    """How to open a place.

    Text goes to the user's editor at its line, and never to a program that might run it. Documents go to their viewer.

    Args:
        spot: What to open.
        environ: Where ``VISUAL`` and ``EDITOR`` are looked up.
        installed: The path of a program by its name, or None.
        default_pdf: What the desktop calls its PDF viewer.

    Raises:
        KbError: Nothing that can open it is installed.
    """
    if spot.kind not in REGISTRY.extracted:
        return _editor(spot, environ, installed)
    if spot.kind == "pdf" and spot.page:
        known = [name for name in _PAGE if installed(name)]
        wished = [name for name in known if name in default_pdf.lower()]
        if viewer := next(iter(wished or ([] if default_pdf else known)), ""):
            # Evince and its kin count pages from 0 where they do not go by the label that is printed on them.
            page = spot.page - 1 if "index" in _PAGE[viewer][0] else spot.page
            return Launch((viewer, *(part.format(page=page, path=spot.path) for part in _PAGE[viewer])), here=False)
    opener = next((name for name in _OPENERS if installed(name)), "")
    if not opener:
        raise KbError(f"no program found to open {PurePosixPath(spot.path).name}", "Install xdg-utils")
    return Launch((opener, spot.path), here=False)


def _editor(spot: Spot, environ: Mapping[str, str], installed: Callable[[str], str | None]) -> Launch:
    wished = environ.get("VISUAL") or environ.get("EDITOR") or ""
    try:
        command = shlex.split(wished)
    except ValueError as error:
        raise KbError(
            f"cannot parse the editor command: {wished}", "Set $VISUAL or $EDITOR to a command such as nano"
        ) from error
    if not command:
        command = next(([name] for name in ("code", "codium", "nano", "vim", "vi") if installed(name)), [])
    if not command:
        raise KbError("no editor found", "Set $EDITOR to a command such as nano")
    name = PurePosixPath(command[0]).name
    if name in _GOTO:
        return Launch((*command, "-g", f"{spot.path}:{spot.line}"), here="--wait" in command)
    if name in _PLUS:
        return Launch((*command, f"+{spot.line}", spot.path), here=True)
    return Launch((*command, f"{spot.path}:{spot.line}" if name in _COLON else spot.path), here=True)
