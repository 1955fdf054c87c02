"""What programs and agents get from kb: Python, HTTP and MCP, each beside what it would cost without kb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import programs_agent, programs_fuzz, programs_http, programs_mcp, programs_python
from benchmarks.child import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.table import Row

NAME: Final = "programs"
PARTS: Final[dict[str, Callable[[Bench], list[Row]]]] = {
    module.NAME: module.rows for module in (programs_python, programs_http, programs_mcp, programs_agent, programs_fuzz)
}


def rows(work: Bench) -> list[Row]:
    """All parts, one after another."""
    found: list[Row] = []
    for name, part in PARTS.items():
        progress(f"{name} ...")
        found += part(work)
    return found
