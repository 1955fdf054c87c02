"""Which program opens a hit: the editor at its line, a PDF viewer at its page, a document's own program."""

from __future__ import annotations

import sys

import pytest

from kb.cli.commands.open import NoViewer, launch_of
from kb.cli.last_results import Location
from kb.errors import KbError

TEXT = Location("/notes/-db.md", "5-6", "markdown", 5)
PDF = Location("/notes/x.pdf", "p. 3", "pdf", 40, 3)
WORD = Location("/notes/x.docx", "4-9", "word", 4)
DISPLAY = {"DISPLAY": ":0"}


@pytest.mark.parametrize(
    ("editor", "command", "here"),
    [
        ("nano", ("nano", "+5", "/notes/-db.md"), True),
        ("/usr/bin/nvim -p", ("/usr/bin/nvim", "-p", "+5", "/notes/-db.md"), True),
        ("code", ("code", "-g", "/notes/-db.md:5"), False),
        ("code --wait", ("code", "--wait", "-g", "/notes/-db.md:5"), True),
        ("hx", ("hx", "/notes/-db.md:5"), True),
        ("gedit", ("gedit", "/notes/-db.md"), True),
    ],
)
def test_text_opens_in_the_editor_at_its_line(editor: str, command: tuple[str, ...], *, here: bool) -> None:
    """Each editor is told the line in its own way."""
    launch = launch_of(TEXT, {"EDITOR": editor}, lambda _: None)

    assert (launch.command, launch.here) == (command, here)


def test_the_visual_editor_comes_first_and_one_is_found_without_both() -> None:
    """VISUAL is asked before EDITOR, and what is installed after both."""
    assert launch_of(TEXT, {"VISUAL": "vim", "EDITOR": "nano"}, lambda _: None).command[0] == "vim"
    assert launch_of(TEXT, {}, {"nano": "/bin/nano"}.get).command[0] == "nano"
    with pytest.raises(KbError, match="no editor"):
        launch_of(TEXT, {}, lambda _: None)
    with pytest.raises(KbError, match="cannot parse the editor command"):
        launch_of(TEXT, {"EDITOR": "nano '"}, lambda _: None)


@pytest.mark.parametrize(
    ("programs", "default", "command"),
    [
        ("evince okular", "", ("evince", "--page-index=2", "/notes/x.pdf")),
        ("evince okular xdg-open", "okularApplication_pdf.desktop", ("okular", "-p", "3", "/notes/x.pdf")),
        ("zathura", "", ("zathura", "-P", "3", "/notes/x.pdf")),
        ("evince xdg-open", "firefox.desktop", ("xdg-open", "/notes/x.pdf")),
        ("open", "", ("open", "/notes/x.pdf")),
    ],
)
def test_a_pdf_opens_at_its_page(programs: str, default: str, command: tuple[str, ...]) -> None:
    """The desktop's own viewer is kept; where it takes no page, the file alone is opened."""
    launch = launch_of(PDF, DISPLAY | {"EDITOR": "vim"}, {name: name for name in programs.split()}.get, default)

    assert (launch.command, launch.here) == (command, False)


def test_documents_open_in_their_program_and_text_never_does() -> None:
    """A script is text: it goes to the editor, not to a program that might run it."""
    everything = {name: name for name in ("xdg-open", "nano")}.get

    assert launch_of(WORD, DISPLAY, everything).command == ("xdg-open", "/notes/x.docx")
    assert launch_of(Location("/notes/x.sh", "1-2", "code"), {}, everything).command == ("nano", "+1", "/notes/x.sh")
    with pytest.raises(KbError, match=r"no program found to open x\.docx"):
        launch_of(WORD, DISPLAY, lambda _: None)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="a display is named in the environment on Linux")
def test_documents_need_a_display() -> None:
    """xdg-open would end without a word; a PDF viewer too. Windows programs of WSL need none here."""
    everything = {name: name for name in ("xdg-open", "evince")}.get

    for document in (WORD, PDF):
        with pytest.raises(NoViewer, match="there is no display"):
            launch_of(document, {"DISPLAY": ""}, everything)
    assert launch_of(WORD, {"WAYLAND_DISPLAY": "wayland-0"}, everything).command[0] == "xdg-open"
    windows = {name: name for name in ("xdg-open", "wslview")}.get
    assert launch_of(WORD, {}, windows).command == ("wslview", "/notes/x.docx")


@pytest.mark.parametrize(
    ("editor", "display", "terminal"),
    [
        ("vim", True, True),
        ("/usr/bin/nano -w", False, True),
        ("hx", True, True),
        ("gvim", True, False),
        ("code --wait", True, False),
        ("emacs -nw", True, True),
        ("emacs", True, False),
        pytest.param(
            "emacs",
            False,
            True,
            marks=pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="a display is always there"),
        ),
    ],
)
def test_editors_that_draw_in_the_terminal(editor: str, *, display: bool, terminal: bool) -> None:
    """They are not started where there is none; Emacs is one of them only without a display, or if told so."""
    environ = (DISPLAY if display else {}) | {"EDITOR": editor}

    assert launch_of(TEXT, environ, lambda _: None).terminal is terminal
