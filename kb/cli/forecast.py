"""Says before a first index run what it will do, within seconds, where somebody reads it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from kb.cli.output.forecast import forecast_lines
from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.config import Settings
    from kb.forecast import Forecast

# The longest that a command waits for a forecast.
SECONDS: Final = 8.0


def show_forecast(
    settings: Settings, make: Callable[[], Forecast | None], say: Callable[[str], None], *, watching: bool = False
) -> bool:
    """Say what a first run will do; returns whether there was anything to say in time.

    Args:
        settings: The configuration.
        make: Makes the forecast; None if there is nothing to forecast.
        say: Receives each sentence.
        watching: Whether a daemon begins the run.
    """
    made: list[Forecast | None] = []

    def run() -> None:
        try:
            made.append(make())
        except (KbError, OSError):
            # The run itself says what is wrong.
            made.append(None)

    # A folder on a slow drive keeps nobody waiting.
    thread = threading.Thread(target=run, name="kb-forecast", daemon=True)
    thread.start()
    thread.join(SECONDS)
    found = made[0] if made else None
    if found is None or not found.files:
        return False
    for line in forecast_lines(found, settings.shown_command(), watching=watching):
        say(line)
    return True
