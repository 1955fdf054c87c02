"""What operating systems do in different ways: one module for each kind of difference, and nothing of kb's own.

Calls that a platform lacks stand behind ``sys.platform``, so that the type checker proves each side for its platform.
All else asks ``WINDOWS``. Every module is of the standard library alone and imports little: the client of the daemon
and the launchers of the sandbox load them.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

WINDOWS: Final = sys.platform == "win32"
