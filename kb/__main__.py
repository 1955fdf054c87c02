"""The entry point of ``kb``: the daemon of the store runs the command; without one, it runs in this process."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script ``kb``, and ``python -m kb``."""
    if sys.stdout is None or sys.stderr is None:
        from kb.system.terminals import open_missing_streams

        open_missing_streams()
    try:
        code = _code(sys.argv[1:])
    except KeyboardInterrupt:
        # It came while something was imported; what runs commands has its own end for it.
        code = 130
    if "signal" in sys.modules:
        import signal

        # All is done. From here on Ctrl-C ends the process without a word, where Python would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _code(args: list[str]) -> int:
    """Run a command line, in the daemon or here, and return its exit code."""
    from kb.service.client import CommandInput, forward

    given = CommandInput()
    code = forward(args, given)
    if code is None:
        from kb.cli.main import run
        from kb.cli.session import ClientContext, Session

        # A daemon may have begun to answer by the time this process finds the store taken.
        client = ClientContext.of_this_process(given)
        code = run(args, Session(client=client, ask_daemon=lambda: forward(args, given)))
    if code:
        given.keep(args)
    return code


if __name__ == "__main__":
    main()
