"""Says before a first index run what it will do, within seconds, where somebody reads it."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.forecast import HUB
from kb.records.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.config import Settings
    from kb.forecast import Forecast

# The longest that a command waits for a forecast.
SECONDS: Final = 8.0
_MEGABYTE: Final = 1_000_000
_MINUTE: Final = 60
_HOUR: Final = 3600
# A shorter run needs no advice, and int8 none that saves less than this factor.
_LONG: Final = 120.0
_FASTER: Final = 1.2
_MANY: Final = 10.0


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


def forecast_lines(found: Forecast, kb: str, *, watching: bool = False) -> Iterator[str]:
    """The sentences of a forecast, without line ends.

    Args:
        found: The forecast.
        kb: The command line of kb with the options that select the configuration.
        watching: Whether a daemon begins the run; it has to be stopped before the precision is changed.
    """
    yield f"{count(found.files, 'file')}, about {count(found.passages, 'passage')} to embed with {found.model}"
    if found.download is None:
        yield f"first it downloads the model from {HUB}, once"
    elif found.download:
        yield f"first it downloads about {found.download // _MEGABYTE:,} MB from {HUB}, once"
    yield _speed(found)
    yield "you can search meanwhile: all files are found by their words at once, by meaning as they are embedded"
    seconds = found.seconds(found.configured)
    if seconds is None or seconds < _LONG:
        return
    if found.configured != "int8" and found.rates.get("int8", 0.0) > _FASTER * found.rates[found.configured]:
        install = "" if find_spec("onnx") else "pip install 'localkb[export]' && "
        first, last = (f"{kb} watch --stop && ", f" && {kb} index --full") if watching else ("", "")
        yield f"quicker: {first}{install}{kb} model export --int8 --use{last}"
    yield f"or on a machine with a GPU: kb index && kb export --vectors FILE there, then {kb} import FILE here"


def _speed(found: Forecast) -> str:
    """How fast this machine embeds, and how long that takes."""
    if found.gpu:
        return "it runs on the GPU; the run shows how long it takes"
    if not found.rates:
        return "how long that takes is not known before the model is here; the run shows it"
    how = "measured" if found.measured else "estimated, if nothing else runs"
    other = "int8" if found.configured == "float32" else "float32"
    times = {
        form: about(found.passages / found.rates[form]) for form in (found.configured, other) if form in found.rates
    }
    told = ", ".join(f"{time} in {form}" for form, time in times.items())
    return f"about {_rate(found.rates[found.configured])} on this machine ({how}): {told}"


def _rate(rate: float) -> str:
    """A number of passages per second in words, with as many digits as an estimate deserves."""
    if rate < 1:
        return f"{max(1, round(rate * _MINUTE))} passages a minute"
    return f"{rate:.{0 if rate >= _MANY else 1}f} passages a second"


def about(seconds: float) -> str:
    """A duration in words, with as many digits as an estimate deserves: ``20 s``, ``7 min``, ``3.5 h``."""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds)):.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
