"""The entry point of ``kb``: the daemon of the store runs the command; without one, it runs in this process."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script ``kb``, and ``python -m kb``."""
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
    """Run a command line, in the owner of the store or here; its exit code."""
    from kb.service.client import forward

    code = forward(args)
    if code is None:
        from kb.cli.main import run
        from kb.cli.session import Session

        # An owner may have begun to answer by the time this one finds the store taken.
        code = run(args, Session(ask_daemon=lambda: forward(args)))
    return code


if __name__ == "__main__":
    main()
