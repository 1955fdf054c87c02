"""What the page needs of a knowledge base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kb.ports import Knowledge

if TYPE_CHECKING:
    from kb.overview import Overview


class Viewed(Knowledge, Protocol):
    """A knowledge base that can also be looked at as a whole."""

    @property
    def overview(self) -> Overview:
        """What the views over all files need."""
