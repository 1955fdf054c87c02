"""The command ``kb web``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from kb.cli.command import command
from kb.cli.options import refuse_conflicts
from kb.errors import KbError

if TYPE_CHECKING:
    from kb.api.client import DaemonClient
    from kb.cli.session import Session
    from kb.config import Settings

_START_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.1


@command(short_help="Open a page to find, read and write in the browser.", local=True)
@click.option("--print", "print_only", is_flag=True, help="Print the link instead of opening it.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="The port, if the page is not open yet.  [default: the same each time]",
)
@click.option("--stop", "stops", is_flag=True, help="Close the page and end its sessions; kb watch keeps running.")
@click.pass_obj
def web(session: Session, *, print_only: bool, port: int | None, stops: bool) -> int:
    """Open a page of the running kb watch in the browser, to find, read and write.

    Where no kb watch runs, one is started in the background. The link works once, within ten minutes, and lets this one
    browser in; only this machine can reach the page.
    """
    from kb.api.client import DaemonClient
    from kb.api.transport import ConnectionLost, NoDaemon

    refuse_conflicts({"--stop": stops, "--print": print_only})
    settings = session.settings_with_folders()
    client = DaemonClient(settings)
    try:
        if stops:
            return _stop(session, client)
        if not client.reachable():
            _start(session, settings, client)
        link = client.open_page(port or 0)
    except (NoDaemon, ConnectionLost) as error:
        raise KbError("kb watch stopped before it answered", "Run kb web again, which starts another one") from error
    finally:
        client.close()
    if print_only:
        session.write(f"{link}\n")
        return 0
    # The link works once: it is shown only where no browser opened it.
    if _opened(link):
        session.say("the page is open in your browser\n")
    else:
        session.say(f"{link}\n")
        session.notice("no browser was found here: open this link, which works once")
    return 0


def _stop(session: Session, client: DaemonClient) -> int:
    if client.reachable() and client.close_page():
        session.say("the page is closed\n")
        return 0
    session.notice("the page is not open")
    return 1


def _start(session: Session, settings: Settings, client: DaemonClient) -> None:
    """Start a daemon in the background, and wait until it answers.

    Raises:
        KbError: It ends before it answers, or does not answer in time.
    """
    from kb.cli.background_daemon import exited, started_daemon

    started = started_daemon(session, settings)
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if client.reachable():
            return
        if not started.running():
            raise exited(started)
        time.sleep(_POLL_SECONDS)
    raise KbError("kb watch does not answer yet; it may be fetching the model", f"See the log: {started.log}")


def _opened(link: str) -> bool:
    """Open a link in the user's browser; whether there is one with a window."""
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # A browser in the terminal would take it over.
    return type(browser) is not webbrowser.GenericBrowser and browser.open(link)
