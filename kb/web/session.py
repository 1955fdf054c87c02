"""Who may look: links that work once, and the sessions that they open."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LINK_SECONDS: Final = 600.0
_BYTES: Final = 32
_MOST_LINKS: Final = 32


class Sessions:
    """The links and sessions of one daemon; they are in memory alone, and end with it.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._links: dict[str, float] = {}
        self._cookies: set[str] = set()

    def new_link(self) -> str:
        """Return the secret of a new link, which opens one session within ten minutes."""
        secret = secrets.token_urlsafe(_BYTES)
        with self._lock:
            self._links[secret] = self._clock() + LINK_SECONDS
            while len(self._links) > _MOST_LINKS:
                del self._links[next(iter(self._links))]
        return secret

    def open(self, secret: str) -> str | None:
        """Open a session with the secret of a link, and return its cookie; None if the link was used or is too old."""
        with self._lock:
            ends = self._links.pop(secret, None)
            if ends is None or self._clock() > ends:
                return None
            cookie = secrets.token_urlsafe(_BYTES)
            self._cookies.add(cookie)
            return cookie

    def known(self, cookie: str) -> bool:
        """Whether a cookie is of an open session."""
        with self._lock:
            # A look-up by hash tells nothing useful of 256 random bits by the time it takes.
            return cookie in self._cookies

    def close(self) -> None:
        """End all sessions and links."""
        with self._lock:
            self._links.clear()
            self._cookies.clear()
