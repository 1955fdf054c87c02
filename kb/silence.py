"""Tells third-party libraries to send nothing by themselves: the one place for all switches of that kind.

``import kb`` comes through here before it can import any of them, so it imports next to nothing. What each library
would send, and which test shows that it does not, is in docs/privacy.md.
"""

from __future__ import annotations

import os
import sys

# Not from typing, and no base classes from importlib.abc: every ``import kb`` comes through here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Final

ONNXRUNTIME: Final = "onnxruntime"
# Where huggingface_hub keeps what it read from the environment; everything else of it asks there.
HUB: Final = "huggingface_hub.constants"
# What every ChromaDB client of kb is made with; neither the environment nor ./.env is asked (kb.chroma_import).
CHROMADB_SETTINGS: Final[dict[str, Any]] = {
    "anonymized_telemetry": False,
    "chroma_otel_collection_endpoint": "",
    "chroma_otel_granularity": None,
}


class Switch:
    """One thing that a library does by itself, and the variable that stops it.

    Args:
        library: The module that reads the variable.
        what: What the library would do.
        variable: The name of the variable.
        value: Its value that stops the library.
        once: Whether the variable is read a single time, while the library is imported.
    """

    __slots__ = ("library", "once", "value", "variable", "what")

    def __init__(self, library: str, what: str, variable: str, value: str, *, once: bool = False) -> None:
        self.library = library
        self.what = what
        self.variable = variable
        self.value = value
        self.once = once

    def loaded(self) -> bool:
        """Whether the library is loaded in this process."""
        return self.library in sys.modules

    def off(self) -> bool:
        """Whether the library is silent in this process: now where it is loaded, else as soon as it will be."""
        if self.loaded() and self.library == HUB:
            return getattr(sys.modules[HUB], self.variable, False) is True
        if self.loaded() and self.once:
            return self.library not in _LATE
        return _is_set(self)


SWITCHES: Final = (
    Switch(ONNXRUNTIME, "usage events", "ORT_DISABLE_TELEMETRY", "1", once=True),
    Switch(HUB, "telemetry", "HF_HUB_DISABLE_TELEMETRY", "1", once=True),
    Switch(HUB, "update checks", "HF_HUB_DISABLE_UPDATE_CHECK", "1", once=True),
    Switch("hf_xet", "transfer reports", "HF_XET_TELEMETRY_ENABLED", "0"),
    Switch("transformers", "conversions on the hub", "DISABLE_SAFETENSORS_CONVERSION", "1"),
)
# The libraries that are told, or will be once they are imported, and those that had begun before they could be told.
_TOLD: Final[set[str]] = set()
_LATE: Final[set[str]] = set()


class AfterImport:
    """Calls a function once, right after the code of one module has run.

    Args:
        name: The module's full name.
        then: What to call with it.
        before: What to call right before the module is looked for.
    """

    def __init__(self, name: str, then: Callable[[ModuleType], None], before: Callable[[], None] | None = None) -> None:
        self.name = name
        self.then = then
        self.before = before

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The usual spec of the module, with the call added to its loader."""
        if fullname != self.name:
            return None
        if self.before is not None:
            self.before()
        for finder in sys.meta_path:
            spec = None if isinstance(finder, AfterImport) else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _CallingLoader(spec.loader, self)  # type: ignore[assignment]  # a loader in all but its base class
                return spec
        return None


class _CallingLoader:
    """A module's own loader, with a call at the end."""

    def __init__(self, loader: Loader, hook: AfterImport) -> None:
        self._loader = loader
        self._hook = hook

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module is as if nobody had looked: its files are found through its own loader.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self._hook in sys.meta_path:
            sys.meta_path.remove(self._hook)
            self._hook.then(module)


def silence_libraries() -> None:
    """Switch off, in this process and those it starts, whatever a library would send by itself. Repeating it is free.

    It goes over what the environment says: a promise of kb does not depend on a variable of the user. Libraries that
    are imported later find their variables set, and are told by their own API as well; of one that is here already
    only what its API can still stop is stopped.
    """
    for library, tell in _APIS.items():
        if library in _TOLD:
            continue
        _TOLD.add(library)
        if library not in sys.modules:
            sys.meta_path.insert(0, AfterImport(library, tell, _set_variables))
            continue
        if any(switch.library == library and not _is_set(switch) for switch in SWITCHES):
            _LATE.add(library)
        tell(sys.modules[library])
    _set_variables()


def stay_offline() -> None:
    """Have Hugging Face's libraries refuse every request. They read it once, while they are imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"


def _is_set(switch: Switch) -> bool:
    return os.environ.get(switch.variable) == switch.value


def _set_variables() -> None:
    for switch in SWITCHES:
        if not _is_set(switch):
            os.environ[switch.variable] = switch.value


def _tell_onnxruntime(module: ModuleType) -> None:
    module.disable_telemetry_events()


def _tell_hub(constants: ModuleType) -> None:
    for switch in SWITCHES:
        if switch.library == HUB:
            setattr(constants, switch.variable, True)


_APIS: Final[dict[str, Callable[[ModuleType], None]]] = {ONNXRUNTIME: _tell_onnxruntime, HUB: _tell_hub}
