"""What ``kb status --privacy`` writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kb.cli.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.cli.session import Session
    from kb.privacy import PrivacyRow


def tell_privacy(session: Session, *, as_json: bool) -> int:
    """Tell what in this process could send something, and whether it is off."""
    from kb.privacy import privacy_rows

    rows = privacy_rows(session.settings())
    daemon = session.owner is not None
    if as_json:
        session.write_json(privacy_object(rows, process=os.getpid(), daemon=daemon))
    else:
        session.write(privacy_text(rows, process=os.getpid(), daemon=daemon))
    return 0


def privacy_text(rows: Sequence[PrivacyRow], *, process: int, daemon: bool) -> str:
    """Which process is told of, then a line a thing; what is not as promised begins with an exclamation mark."""
    wide = max(len(row.name) for row in rows)
    state = max(len(row.state) for row in rows)
    lines = [f"{'the daemon' if daemon else 'this command'}, process {process}:\n"]
    for row in rows:
        mark = " " if row.ok else "!"
        lines.append(f"{mark} {row.name:<{wide}}  {row.state:<{state}}  {one_line(row.detail)}\n")
    return "".join(lines)


def privacy_object(rows: Sequence[PrivacyRow], *, process: int, daemon: bool) -> dict[str, Any]:
    """The same for programs."""
    return {
        "process": process,
        "daemon": daemon,
        "rows": [{"name": row.name, "state": row.state, "ok": row.ok, "detail": row.detail} for row in rows],
    }
