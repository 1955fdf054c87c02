"""The command ``kb``: the owner of the store does what it is told to; where none runs, it is done here."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script ``kb``, and ``python -m kb``."""
    from kb.serve.client import forward

    args = sys.argv[1:]
    code = forward(args)
    if code is None:
        from kb.cli.main import run
        from kb.cli.session import Session

        # An owner may have begun to answer by the time this one finds the store taken.
        code = run(args, Session(ask_owner=lambda: forward(args)))
    sys.exit(code)


if __name__ == "__main__":
    main()
