"""What confines a process that parses documents on this system, for ``kb status``."""

from __future__ import annotations

from kb.records import Confinement
from kb.sandbox.confine import landlock_version, offered
from kb.sandbox.syscalls import MEASURES


def confinement() -> Confinement:
    """The measures that hold for every process that parses documents, and those this system does not offer.

    No process is started for it: one that has fewer measures in force than are offered here parses nothing
    (``kb.sandbox.pool``).
    """
    held = offered()
    return Confinement(landlock_version(), held, tuple(one for one in MEASURES if one not in held))
