"""Says what a first index run does on this machine: what it downloads, how much it embeds, and how long that takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.embedding.locate import BGE_M3, BUNDLED, locate
from kb.errors import DocumentError, KbError, ModelError
from kb.files.scan import Disk
from kb.formats.registry import REGISTRY
from kb.integrity import is_there
from kb.models import encoder_if_here
from kb.open_store import CACHE_FILE, CATALOG_FILE
from kb.reading import reader_of, rules_of, sandboxes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kb.config import Config, Settings
    from kb.embedding.encoder import Encoder
    from kb.embedding.speed import Shape
    from kb.ports import Files, TokenCounter
    from kb.records import FoundFile

# What kb fetches of a model, in bytes.
_DOWNLOADS: Final = {BGE_M3: 2_290_000_000}
HUB: Final = "huggingface.co"
# How long each step takes at most, in seconds.
_SAMPLE_SECONDS: Final = 1.5
_MEASURE_SECONDS: Final = 2.0
_ESTIMATE_SECONDS: Final = 0.5
# Less is embedded within a minute by the slowest model.
_FEW_BYTES: Final = 20_000
# So many files are read, spread over all.
_SAMPLE_FILES: Final = 60
# In bytes; a longer file says no more about the others.
_SAMPLE_BYTES: Final = 200_000
# Where nothing could be read: bytes of a token in plain text, and in files of other programs, which hold less text.
_TEXT_TOKEN: Final = 4.0
_OTHER_TOKEN: Final = 60.0
# Most passages end at a heading before they are as long as they may be.
_FILLED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a first index run does.

    Attributes:
        model: The model, as it is configured.
        download: The bytes that are downloaded first; 0 if the model is here, None if that is not known.
        files: The files in the folders.
        passages: About how many passages they hold.
        tokens: About how many tokens those have together.
        rates: Passages per second, by precision: ``float32``, ``int8``; empty if nothing is known about the model.
        configured: The precision that is configured, of these two.
        measured: Whether the rate of the configured precision was measured with the model, and not estimated by
            multiplications.
        gpu: Whether the model will run on a GPU, whose speed is not estimated.
    """

    model: str
    download: int | None
    files: int
    passages: int
    tokens: int
    rates: dict[str, float]
    configured: str
    measured: bool
    gpu: bool = False

    def seconds(self, precision: str) -> float | None:
        """How long embedding takes in a precision; None if that is not known."""
        rate = self.rates.get(precision)
        return self.passages / rate if rate else None


def _of_files(
    settings: Settings, disk: Disk, files: Sequence[FoundFile], encoder: Encoder | None, *, tries: bool
) -> Forecast:
    """The forecast for the files that a scan found."""
    config = settings.config
    sample = _sample(config, disk, files, encoder)
    tokens = sum(file.stat.size / sample.bytes_per_token(file.path) for file in files)
    rates, measured, gpu = _rates(settings, encoder, sample, tries=tries)
    return Forecast(
        model=config.embed.model,
        download=0 if encoder is not None else _DOWNLOADS.get(settings.model()),
        files=len(files),
        passages=max(1, round(tokens / sample.length)) if files else 0,
        tokens=round(tokens),
        rates={form: rate / sample.length for form, rate in rates.items()},
        configured="int8" if config.embed.precision == "int8" else "float32",
        measured=measured,
        gpu=gpu,
    )


def is_new(settings: Settings) -> bool:
    """Whether nothing was indexed yet, and no vectors were imported, of which a forecast would not know."""
    store = settings.store_path()
    return not is_there(store, CATALOG_FILE) and not is_there(store, CACHE_FILE)


def of_new_store(
    settings: Settings, encoder: Callable[[], Encoder | None] | None = None, *, tries: bool = True
) -> Forecast | None:
    """The forecast for a store that is new and that more than a few notes will fill; None for any other.

    The folders are scanned, some files read and the model tried, for a few seconds; nothing is downloaded or written. A
    model that torch would run is not loaded for this, since that alone takes longer: its speed is estimated. There is
    no forecast either where the model is not here and may not be downloaded: the run says what to do then.

    Args:
        settings: The configuration.
        encoder: Returns the model, None if it is not on this machine; by default it is looked for.
        tries: Whether to try the model, which loads it.

    Raises:
        ConfigError: A pattern of the configuration is invalid.
    """
    if not is_new(settings):
        return None
    disk = Disk(settings.folder_paths(), rules_of(settings.config), never=settings.own_files())
    files = disk.scan().files
    if sum(file.stat.size for file in files) < _FEW_BYTES:
        return None
    found = encoder_if_here(settings) if encoder is None else encoder()
    if found is None and settings.config.embed.offline:
        return None
    return _of_files(settings, disk, files, found, tries=tries)


@dataclass(frozen=True, slots=True)
class _Sample:
    """What some of the files hold.

    Attributes:
        texts: Embedded texts of their passages.
        tokens: The tokens of each text.
        bytes: The size of the files that were read.
        length: The tokens of a passage, on average.
    """

    texts: Sequence[str]
    tokens: Sequence[int]
    bytes: int
    length: float

    def bytes_per_token(self, path: str) -> float:
        """How many bytes of such a file make a token."""
        if not _is_text(path):
            return _OTHER_TOKEN
        return self.bytes / sum(self.tokens) if self.tokens and self.bytes else _TEXT_TOKEN


def _is_text(path: str) -> bool:
    """Whether a file is plain text, which this process reads."""
    found = REGISTRY.of(path)
    return found is not None and found.how == "text"


def _sample(config: Config, disk: Files, files: Sequence[FoundFile], encoder: Encoder | None) -> _Sample:
    """Read some files that are spread over all, for a limited time."""
    tokens = _counter(encoder)
    texts: list[str] = []
    lengths: list[int] = []
    read = 0
    small = [file for file in files if _is_text(file.path) and file.stat.size <= _SAMPLE_BYTES]
    if tokens is not None and small:
        sandboxes, until = sandboxes_of(config), time.monotonic() + _SAMPLE_SECONDS
        try:
            reader = reader_of(config, tokens, sandboxes, None)
            for file in small[:: -(-len(small) // _SAMPLE_FILES)]:
                if time.monotonic() > until:
                    break
                try:
                    _, passages = reader.read(disk.load(file))
                except DocumentError:
                    continue
                read += file.stat.size
                texts += [passage.embedded for passage in passages]
                lengths += [passage.tokens for passage in passages]
        finally:
            sandboxes.close()
    average = sum(lengths) / len(lengths) if lengths else config.chunk.max_tokens * _FILLED
    return _Sample(texts, lengths, read, max(1.0, average))


def _counter(encoder: Encoder | None) -> TokenCounter | None:
    """The tokenizer of the model, or that of the bundled one, which cuts texts into about as many tokens."""
    if encoder is not None:
        return encoder.tokens
    from kb.embedding.tokens import ModelTokens

    try:
        return ModelTokens(locate(BUNDLED, fetch=False).directory)
    except ModelError:
        return None


def _rates(
    settings: Settings, encoder: Encoder | None, sample: _Sample, *, tries: bool
) -> tuple[dict[str, float], bool, bool]:
    """Tokens per second by precision, whether the configured one was measured, and whether a GPU is used instead."""
    from kb.embedding.encoder import finds_gpu
    from kb.embedding.runtime import Wanted
    from kb.embedding.speed import estimated_rates, measured_rate, shape_of

    embed = settings.config.embed
    if finds_gpu(Wanted(embed.runtime, embed.device, embed.precision, embed.threads)):
        return {}, False, True
    directory: Path | None = None if encoder is None else encoder.located.directory
    shape: Shape | None = shape_of(settings.model(), directory)
    rates: dict[str, float] = {}
    if shape is not None:
        found = estimated_rates(shape, round(sample.length), _ESTIMATE_SECONDS, embed.threads)
        rates.update(found.items())
    configured = "int8" if embed.precision == "int8" else "float32"
    if not tries or encoder is None or not sample.texts or not _is_ready(encoder):
        return rates, False, False
    try:
        measured = measured_rate(encoder, sample.texts, sample.tokens, _MEASURE_SECONDS)
    except KbError:
        # The run itself says what is wrong with the model.
        return rates, False, False
    estimated = rates.get(configured)
    # The estimate for the other precision is as far off as that for this one.
    return (
        {form: rate * measured / estimated if estimated else rate for form, rate in rates.items()}
        | {configured: measured},
        True,
        False,
    )


def _is_ready(encoder: Encoder) -> bool:
    """Whether the model is loaded, or will be within a second."""
    try:
        return encoder.loaded or encoder.choice().export is not None
    except ModelError:
        return False
