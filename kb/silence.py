"""The switches that keep third-party libraries from sending anything by themselves, all in one place.

``import kb`` runs this before any of them can be imported, so it imports next to nothing. docs/privacy.md lists what
each library would send, and the test that shows that it does not.
"""

from __future__ import annotations

import os
import sys

# Nothing from typing or importlib.abc: every ``import kb`` runs this.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Final

ONNXRUNTIME: Final = "onnxruntime"
# The module in which huggingface_hub keeps what it read from the environment.
HUB: Final = "huggingface_hub.constants"
# The setting of every ChromaDB client that kb creates; neither the environment nor ./.env is read (kb.chroma_import).
CHROMADB_SETTINGS: Final[dict[str, Any]] = {
    "anonymized_telemetry": False,
    "chroma_otel_collection_endpoint": "",
    "chroma_otel_granularity": None,
}


class Switch:
    """Something that a library sends or fetches by itself, and the variable that disables it.

    Args:
        library: The module that reads the variable.
        what: What the library would do.
        variable: The name of the variable.
        value: The value that disables it.
        once: Whether the variable is read only once, while the library is imported.
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
        """Whether it is disabled in this process, now or, where the library is not loaded, once it is."""
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
# Libraries that are silenced, or will be once imported, and those that were loaded too early.
_SILENCED: Final[set[str]] = set()
_LATE: Final[set[str]] = set()


class AfterImport:
    """A meta path finder that calls a function once, right after a module is imported.

    Args:
        name: The full name of the module.
        then: Called with the module.
        before: Called right before the module is searched for.
    """

    def __init__(self, name: str, then: Callable[[ModuleType], None], before: Callable[[], None] | None = None) -> None:
        self.name = name
        self.then = then
        self.before = before

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the usual spec of the module, with the call added to its loader."""
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
    """The loader of a module, followed by a call."""

    def __init__(self, loader: Loader, hook: AfterImport) -> None:
        self._loader = loader
        self._hook = hook

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Restore the loader, through which the files of the module are found.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self._hook in sys.meta_path:
            sys.meta_path.remove(self._hook)
            self._hook.then(module)


def silence_libraries() -> None:
    """Disable, in this process and its children, whatever a library would send by itself. It may be called repeatedly.

    It overrides the environment, since kb's guarantees must not depend on the user's variables. Libraries imported
    later read the variables, and are also configured by their own API; those already loaded only by their API.
    """
    for library, silence in _APIS.items():
        if library in _SILENCED:
            continue
        _SILENCED.add(library)
        if library not in sys.modules:
            sys.meta_path.insert(0, AfterImport(library, silence, _set_variables))
            continue
        if any(switch.library == library and not _is_set(switch) for switch in SWITCHES):
            _LATE.add(library)
        silence(sys.modules[library])
    _set_variables()


def stay_offline() -> None:
    """Make Hugging Face's libraries refuse every request. They read the variable once, while being imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"


def _is_set(switch: Switch) -> bool:
    return os.environ.get(switch.variable) == switch.value


def _set_variables() -> None:
    for switch in SWITCHES:
        if not _is_set(switch):
            os.environ[switch.variable] = switch.value


def _silence_onnxruntime(module: ModuleType) -> None:
    module.disable_telemetry_events()


def _silence_hub(constants: ModuleType) -> None:
    for switch in SWITCHES:
        if switch.library == HUB:
            setattr(constants, switch.variable, True)


_APIS: Final[dict[str, Callable[[ModuleType], None]]] = {ONNXRUNTIME: _silence_onnxruntime, HUB: _silence_hub}
