"""The models on this machine, and the operations of ``kb model``."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.embedding.encoder import Encoder
from kb.embedding.fetch import BUNDLED_INSTALL, ModelAbsent, fetch, find_fetched, incomplete_files
from kb.embedding.locate import BGE_M3, BUNDLED, is_hub_name, locate, pinned
from kb.embedding.onnx_files import export_folder, models_folder, read_exports
from kb.embedding.references import SENTENCES
from kb.embedding.rerankers import Rerankers
from kb.embedding.spec import Located
from kb.embedding.verify import Check, measured_text, verify
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.config import Settings
    from kb.embedding.bge_m3 import BgeM3EmbeddingFunction
    from kb.embedding.onnx_files import Export, Form

__all__ = ["Check", "ModelState", "Models", "measured_text"]

# How long the speed of each form is measured.
_SPEED_SECONDS: Final = 1.0


def explained(error: ModelAbsent, settings: Settings) -> ModelError:
    """Return an error that says why the configured model is not here, with the model that can be used at once."""
    origins, embed = settings.origins, settings.config.embed
    model = f"{error.name} (revision {error.revision})" if embed.revision else error.name
    model += f" (embed.model: {origins['embed.model']})" if "embed.model" in origins else ", the default model,"
    why = (
        f"fetching is off (embed.offline: {origins.get('embed.offline', 'its default')})"
        if embed.offline
        else error.why
    )
    return ModelError(
        f"{model} is not on this machine, and {why}", f"Run {_switch(settings)} for a model that needs no network"
    )


def _switch(settings: Settings) -> str:
    """Return the command line that switches to the bundled model, wherever the current one is configured."""
    try:
        locate(BUNDLED)
        first = ""
    except ModelError:
        first = f"{sys.executable} -m {BUNDLED_INSTALL} && "
    kb, origin = settings.shown_command(), settings.origins.get("embed.model", "")
    if settings.file is not None and not settings.typed("embed.model"):
        return f"{first}{kb} model use {BUNDLED} && {kb} index --full"
    if origin.startswith("$") or not origin:
        return f"{first}export KB_EMBED__MODEL={BUNDLED} && {kb} index --full"
    return f"{first}{kb} -s embed.model={BUNDLED} index --full"


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model and its files on this machine.

    Attributes:
        name: Its name in the configuration.
        used: Whether it is the configured one.
        directory: The directory of its files; empty where it is not on this machine.
        size: The size of its files in bytes, including its ONNX forms.
        runs: How it runs here, or why it does not.
        forms: Its ONNX forms.
    """

    name: str
    used: bool
    directory: str
    size: int
    runs: str
    forms: tuple[Export, ...] = ()


class Models:
    """The models that kb knows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def listing(self) -> list[ModelState]:
        """Return the configured model, then the two that kb knows by name."""
        used = self._settings.model()
        return [self._state(name, used=name == used) for name in dict.fromkeys((used, BGE_M3, BUNDLED))]

    def require_here(self, name: str) -> None:
        """Check that a model can be used without fetching anything.

        Raises:
            ModelError: It cannot.
        """
        try:
            locate(name, offline=self._settings.config.embed.offline, fetch=False)
        except ModelAbsent as error:
            raise ModelError(error.message, f"kb model list shows what is here; kb model fetch {name}") from error

    def fetch(self, name: str | None) -> ModelState:
        """Fetch a model, by default the configured one, into kb's own folder, unless it is there already.

        Raises:
            ModelError: It cannot be fetched, or does not match the hub's checksums.
        """
        wanted, used = self._settings.config.embed, self._settings.model()
        asked = name or used
        if is_hub_name(asked):
            revision = pinned(asked, wanted.revision if asked == used else "")
            own = find_fetched(asked, revision)
            if own is None or incomplete_files(own[0]):
                if wanted.offline:
                    origin = self._settings.origins.get("embed.offline", "its default")
                    raise ModelError(
                        f"{asked} is to be fetched, and embed.offline is true ({origin})",
                        f"{self._settings.command()} -s embed.offline=false model fetch {asked}",
                    )
                try:
                    fetch(asked, revision)
                except ModelAbsent as error:
                    raise ModelError(
                        f"{asked} {error.why}",
                        f"Run kb model fetch {asked} where there is a network, and copy the folder that it names into "
                        f"{models_folder() / 'hub'}",
                    ) from error
        return self._state(asked, used=asked == used)

    def export(self, name: str | None, *, int8: bool, say: Callable[[str], None]) -> list[Export]:
        """Export a model, by default the configured one, to ONNX; also in int8 where requested or configured.

        Raises:
            ModelError: The export failed, or differs too much from the original.
        """
        from kb.embedding.onnx_export import export

        located = self._located(name)
        tokens = Encoder(located).tokens
        return export(located, tokens, int8=int8 or self._settings.config.embed.precision == "int8", say=say)

    def int8_speed(self, name: str | None) -> float:
        """How many times as fast a model embeds in int8 as in float32 on this machine, both in ONNX Runtime.

        Raises:
            ModelError: One of the forms is missing or cannot be loaded.
        """
        from kb.embedding.speed import measured_rate

        located = self._located(name, fetch=False)

        def rate(precision: Form) -> float:
            encoder = Encoder(located, runtime="onnx", precision=precision)
            return measured_rate(encoder, SENTENCES, encoder.tokens.count(SENTENCES), _SPEED_SECONDS)

        return rate("int8") / rate("float32")

    def verify(self, name: str | None) -> list[Check]:
        """Verify a model, by default the configured one.

        Raises:
            ModelError: It is not on this machine.
        """
        located = self._located(name, fetch=False)
        return verify(encoder_of(self._settings, located), located, export_folder(located))

    def remove(self, name: str) -> list[Path]:
        """Remove kb's files of a model: its ONNX forms and its own copy. Packages and other caches stay.

        Returns:
            The folders that were removed.

        Raises:
            ModelError: kb has no files of it.
        """
        own = self._kept(name)
        try:
            located = self._located(name, fetch=False)
        except ModelError:
            if own is None:
                raise
            # A damaged copy is not a model, but has files to remove.
            located = own
        folders = (export_folder(located), *self._own_copy(located), *(self._own_copy(own) if own else ()))
        mine = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
        if not mine:
            raise ModelError(f"kb keeps nothing of {name} in {models_folder()}", "kb model list shows what is here")
        for folder in mine:
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise ModelError(f"{folder} cannot be removed ({error})", "Check its permissions") from error
        return mine

    def _kept(self, name: str) -> Located | None:
        """Return kb's own copy of a model from the hub, complete or not."""
        wanted = self._settings.config.embed
        revision = pinned(name, wanted.revision if name == self._settings.model() else "")
        own = find_fetched(name, revision) if is_hub_name(name) else None
        return Located(own[0], name, own[1]) if own else None

    def _own_copy(self, located: Located) -> list[Path]:
        inside = located.directory.resolve().is_relative_to(models_folder().resolve())
        return [located.directory] if inside else []

    def _state(self, name: str, *, used: bool) -> ModelState:
        try:
            located = self._located(name, fetch=False)
            runs = encoder_of(self._settings, located).runs()
        except ModelError as error:
            return ModelState(name, used, "", 0, error.message)
        folder = export_folder(located)
        size = sum(_size(one) for one in {located.directory, folder})
        return ModelState(name, used, str(located.directory), size, runs, tuple(read_exports(folder)))

    def _located(self, name: str | None, *, fetch: bool = True) -> Located:
        wanted = self._settings.config.embed
        used = self._settings.model()
        revision = wanted.revision if name in {None, used} else ""
        return locate(name or used, revision, offline=wanted.offline, fetch=fetch)


def encoder_of(settings: Settings, located: Located | None = None) -> Encoder:
    """Return the encoder for the configured model and runtime, without loading it.

    Args:
        settings: The configuration.
        located: Where the model is; None to locate the configured one, and fetch it if necessary.

    Raises:
        ModelError: It is not on this machine and cannot be fetched.
    """
    wanted = settings.config.embed
    try:
        found = located or locate(settings.model(), wanted.revision, offline=wanted.offline)
    except ModelAbsent as error:
        raise explained(error, settings) from error
    return Encoder(
        found,
        runtime=wanted.runtime,
        device=wanted.device,
        precision=wanted.precision,
        batch_tokens=wanted.batch_tokens,
        threads=wanted.threads,
    )


def encoder_if_here(settings: Settings) -> Encoder | None:
    """Return the encoder for the configured model, not loaded or fetched; None if the model is not on this machine."""
    wanted = settings.config.embed
    try:
        located = locate(settings.model(), wanted.revision, fetch=False)
    except ModelError:
        return None
    return encoder_of(settings, located)


def embedding_function_of(settings: Settings) -> BgeM3EmbeddingFunction:
    """Return ChromaDB's embedding function for the configured model, for other programs that open the collection."""
    from kb.embedding.bge_m3 import BgeM3EmbeddingFunction

    wanted = settings.config.embed
    # The model, not the device: another machine that opens the collection chooses its own.
    return BgeM3EmbeddingFunction(
        model=settings.model(),
        revision=wanted.revision,
        # Only this option changes the vectors.
        precision="int8" if wanted.precision == "int8" else "auto",
        offline=wanted.offline,
    )


def rerankers_of(settings: Settings, encoder: Callable[[], Encoder]) -> Rerankers:
    """Return the configured rerankers, without locating their models.

    Args:
        settings: The configuration.
        encoder: Returns the embedding model, whose heads two of them use.
    """
    wanted, embed = settings.config.search, settings.config.embed
    directory = settings.resolve(wanted.rerank_model)
    return Rerankers(
        encoder,
        directory if Path(directory).is_dir() else wanted.rerank_model,
        wanted.rerank_revision,
        embed.offline,
        embed.device,
        embed.precision,
    )


def runtime_of(settings: Settings, encoder: Encoder | None = None) -> str:
    """Return how the configured model runs, or would run, without fetching or loading anything."""
    try:
        if encoder is None:
            encoder = encoder_of(settings, locate(settings.model(), settings.config.embed.revision, fetch=False))
        return encoder.runs()
    except ModelAbsent:
        return "none: the model is not on this machine (kb model fetch)"
    except ModelError as error:
        return f"none: {error}"


def _size(folder: Path) -> int:
    """Return the size of the files in a folder in bytes, following links."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
