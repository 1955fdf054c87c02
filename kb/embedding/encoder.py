"""The embedding model: chooses the runtime, loads the weights on first use, and embeds texts in batches."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import platform
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.embedding.onnx_files import INT8, Export, Form, find_export, read_failure
from kb.embedding.onnx_runtime import cores, load_onnx, unsuitable
from kb.embedding.references import golden_of
from kb.embedding.runtime import OutOfMemory, Wanted, out_of_memory
from kb.embedding.spec import fingerprint, makers_onnx, only_onnx, present
from kb.embedding.tokens import ModelTokens
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.embedding.runtime import Device, LoadedModel, Precision, Runtime
    from kb.embedding.spec import Located
    from kb.embedding.torch_runtime import TorchModel

# Choice of the runtime: the configured one, or the fastest that is installed. Imports no heavy library.

EXPORT: Final = "Run kb model export"
# Device files of the NVIDIA driver on Linux and on WSL.
_NVIDIA: Final = ("/dev/nvidiactl", "/dev/dxg")
_HALF: Final = ("float16", "bfloat16")
_NO_FORM: Final = "there is no ONNX form: kb model export makes one"
_UNVERIFIED: Final = "its published ONNX files are not verified: kb model export makes a form that is"


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to run a model.

    Attributes:
        export: The ONNX form to load; None to run the model in torch.
        form: The precision of the ONNX form, or the configured precision for torch.
        why: The reason for this choice, for ``kb status``.
    """

    export: Export | None
    form: str
    why: str

    @property
    def runtime(self) -> str:
        """The library that runs the model."""
        return "torch" if self.export is None else "onnx"

    def __str__(self) -> str:
        return f"{self.runtime} ({self.why})"


def choose(located: Located, tokens: ModelTokens, wanted: Wanted, *, question: bool = False) -> Choice:
    """Choose how to run a model.

    Args:
        located: The model.
        tokens: Its token counter.
        wanted: The configured runtime, device and precision.
        question: Choose for a single question, where starting torch takes longer than a GPU saves.

    Raises:
        ModelError: The configured combination is not available.
    """
    if wanted.runtime == "torch" and wanted.precision == "int8":
        raise ModelError("embed.precision is int8, and torch does not run it", "Set embed.runtime to auto or onnx")
    against = _onnx_obstacle(tokens, wanted)
    needed = wanted.runtime == "onnx" or wanted.precision == "int8"
    if against and needed:
        raise ModelError(f"{located.name} cannot be run by ONNX Runtime: {against}", "Set embed.runtime to torch")
    if not against and (needed or wanted.runtime == "auto"):
        form: Form = "int8" if wanted.precision == "int8" else "float32"
        export = _form(located, form, wanted.models)
        if export is None and needed:
            unverified = ", and its published ONNX files are not verified"
            raise ModelError(
                f"there is no ONNX form of {located.name} in {form}{unverified if _unverified(located) else ''}",
                f"{EXPORT}{' --int8' if form == 'int8' else ''}",
            )
        if export is not None and (needed or question or not finds_gpu(wanted)):
            return Choice(export, form, f"its ONNX form in {form}, {'as configured' if needed else 'the fastest here'}")
        against = "there is a GPU" if export else _without_form(located, wanted.models)
    return Choice(None, wanted.precision, "as configured" if wanted.runtime == "torch" else against)


def numbers(located: Located, wanted: Wanted) -> str:
    """The number format and weights of a model as part of its fingerprint, as far as they change vectors."""
    if wanted.precision == "int8":
        return f"int8/{INT8}"
    return "onnx" if _unverified(located) and only_onnx(located.directory) else "float"


def load(located: Located, tokens: ModelTokens, wanted: Wanted, choice: Choice) -> LoadedModel:
    """Load a model in the chosen way.

    Raises:
        ModelError: It cannot be loaded, or fails verification.
    """
    if choice.export is not None:
        return load_onnx(located, tokens, choice.export, wanted.threads)
    from kb.embedding.torch_runtime import load_model

    # Of a damaged tokenizer, this names the file; transformers says only that it knows no such model.
    tokens.count([""])
    return load_model(located, tokens, device=wanted.device, precision=wanted.precision, threads=wanted.threads)


def _onnx_obstacle(tokens: ModelTokens, wanted: Wanted) -> str:
    """Why ONNX Runtime cannot run the configured model; empty if it can."""
    if wanted.device in {"cuda", "mps"}:
        return f"embed.device is {wanted.device}, and kb runs ONNX forms on the CPU"
    if wanted.precision in _HALF:
        return f"embed.precision is {wanted.precision}, and ONNX forms are in float32 and int8"
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed"
    return unsuitable(tokens)


def _form(located: Located, form: Form, models: Path | None) -> Export | None:
    """The ONNX form to run: one that was compared with the weights, or else verified files of the publisher.

    Those are verified if reference cosines were published for the model, or if it has no other weights.
    """
    unverified = _unverified(located)
    alone = unverified and only_onnx(located.directory)
    if not alone and (found := find_export(located, form, models)):
        return found
    files = makers_onnx(located.directory)
    if form != "float32" or not files or not all(map(present, files)) or (unverified and not alone):
        return None
    graph = files[0]
    return Export(graph.parent, graph.name, form, {file.name: file.stat().st_size for file in files}, {}, ())


def _without_form(located: Located, models: Path | None) -> str:
    """Why a model has no ONNX form to run."""
    if _unverified(located):
        return _UNVERIFIED
    failure = read_failure(located, models)
    return f"its export to ONNX failed: {failure}; kb model export tries again" if failure else _NO_FORM


def _unverified(located: Located) -> bool:
    """Whether a model comes with ONNX files but has no published reference cosines."""
    return golden_of(located) is None and bool(makers_onnx(located.directory))


def finds_gpu(wanted: Wanted) -> bool:
    """Whether torch would find a GPU; does not import torch."""
    if wanted.device == "cpu":
        return False
    try:
        build = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return not build.endswith("+cpu") and any(Path(device).exists() for device in _NVIDIA)


logger = logging.getLogger(__name__)

# The default: a size that suits the device.
BATCH_TOKENS: Final = 0
# The target duration of a batch while searches may wait, and its least number of tokens.
TURN_SECONDS: Final = 0.06
TURN_TOKENS: Final = 256


def batches(tokens: Sequence[int], budget: int) -> list[list[int]]:
    """Group texts by length, longest first, to keep padding small; returns positions.

    A group, padded to its longest text, has at most ``budget`` tokens. A longer text is a group of its own.
    """
    groups: list[list[int]] = []
    width = 0
    for position in sorted(range(len(tokens)), key=lambda position: (-tokens[position], position)):
        if groups and width * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(position)
        else:
            groups.append([position])
            width = tokens[position]
    return groups


class Encoder:
    """Turns texts into unit vectors. The weights are loaded on first use.

    May be used from several threads. In torch a question waits for the current batch only; in ONNX Runtime it does not
    wait.

    Args:
        located: The model.
        runtime: The library that runs the model; ``auto`` for the fastest that is available.
        device: The device to run on.
        precision: The number format to compute in.
        batch_tokens: The tokens of a batch, including padding; 0 for a size that suits the device.
        threads: CPU threads; 0 for the number of cores.
        models: The directory of ONNX forms; None for the user's data directory.
    """

    def __init__(
        self,
        located: Located,
        *,
        runtime: Runtime = "auto",
        device: Device = "auto",
        precision: Precision = "auto",
        batch_tokens: int = BATCH_TOKENS,
        threads: int = 0,
        models: Path | None = None,
    ) -> None:
        self.located = located
        self.tokens = ModelTokens(located.directory)
        self._wanted = Wanted(runtime, device, precision, threads, models)
        self._batch_tokens = self._configured_batch = batch_tokens
        self._loaded: LoadedModel | None = None
        self._for_questions: LoadedModel | None = None
        self._torch: TorchModel | None = None
        self._give_way: Callable[[], None] | None = None
        self._turn_tokens = 0
        self._next = threading.Lock()
        self._busy = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Everything that affects vectors, as one line; does not load the weights."""
        return fingerprint(self.located, self.tokens.spec, numbers(self.located, self._wanted))

    @property
    def dimension(self) -> int:
        """The length of a vector; does not load the weights."""
        return self.tokens.spec.dimension

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._loaded is not None

    def runs(self) -> str:
        """The runtime that is or would be used, and why. Loads nothing.

        Raises:
            ModelError: The configured combination is not available.
        """
        return self._loaded.where if self._loaded else str(self.choice())

    @property
    def models(self) -> Path | None:
        """The directory of ONNX forms; None for the user's data directory."""
        return self._wanted.models

    @property
    def at_once(self) -> int:
        """How many texts ONNX Runtime embeds at once, each on one core."""
        return self._wanted.threads or cores()

    def lacks_form(self) -> bool:
        """Whether an ONNX form would run faster and could be made: on a CPU, with nothing configured against it."""
        wanted = self._wanted
        if wanted.runtime != "auto" or wanted.precision not in {"auto", "float32"} or finds_gpu(wanted):
            return False
        return not _onnx_obstacle(self.tokens, wanted) and self.choice().export is None

    def choice(self) -> Choice:
        """How the model is run on this machine; does not load the weights.

        Raises:
            ModelError: The configured combination is not available.
        """
        return choose(self.located, self.tokens, self._wanted)

    def load(self) -> str:
        """Load the weights now; returns runtime, device and precision."""
        with self._model_for_batch() as model:
            return model.where

    def switch(self) -> bool:
        """Run the loaded model by its ONNX form from the next batch on, if there is one by now; vectors stay the same.

        The form is loaded and verified beside the model in torch, which answers meanwhile.

        Returns:
            Whether the model was switched. One that is not loaded is loaded in the fastest way anyhow.

        Raises:
            ModelError: The form cannot be loaded, or fails verification. The model stays as it was.
        """
        choice, before = self.choice(), self._loaded
        if before is None or before.shared or choice.export is None:
            return False
        model = load(self.located, self.tokens, self._wanted, choice)
        with self._next:
            self._busy.acquire()
        try:
            self._loaded, self._for_questions = model, None
            self._batch_tokens, self._turn_tokens = self._configured_batch or model.budget, 0
        finally:
            self._busy.release()
        return True

    def share(self, give_way: Callable[[], None]) -> None:
        """Share the model with concurrent searches: keep batches short and wait before each.

        Call this once the model is loaded.

        Args:
            give_way: Returns when the next batch may start.
        """
        self._give_way = give_way
        # A model that can answer while it embeds needs no short batches.
        self._turn_tokens = 0 if self._loaded and self._loaded.shared else TURN_TOKENS

    def embed_documents(self, texts: Sequence[str], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Unit vectors of documents, as ``kb.ports.Embedder`` describes them.

        Raises:
            ModelError: The model cannot be used, or a text exceeds its limit. Texts are never truncated.
        """
        import numpy as np

        if len(texts) != len(tokens):
            raise ValueError(f"{len(texts)} texts, and lengths of {len(tokens)}")
        if (longest := max(tokens, default=0)) > self.tokens.limit:
            raise ModelError(
                f"a text of {longest} tokens is longer than the {self.tokens.limit} that the model reads",
                "Lower chunk.max_tokens",
            )
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        with self._model_for_batch() as model:
            self._batch_tokens = self._batch_tokens or model.budget
        waiting = self._groups(range(len(texts)), tokens)
        while waiting:
            batch = waiting.pop()
            if self._give_way:
                self._give_way()
            try:
                with self._model_for_batch() as model:
                    began = time.perf_counter()
                    vectors[batch] = model.encode([texts[i] for i in batch], self.tokens.spec.document_prompt)
            except OutOfMemory as error:
                self._lower_budget(len(batch), tokens[batch[0]], error)
                waiting = self._groups([*batch, *chain.from_iterable(waiting)], tokens)
                continue
            if self._adjust_batch_size(len(batch) * tokens[batch[0]], time.perf_counter() - began):
                waiting = self._groups([*chain.from_iterable(reversed(waiting))], tokens)
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question, shape (dimension,).

        A question over the model's limit is embedded in parts; its vector is their normalised mean, weighted by their
        numbers of tokens.

        Raises:
            ModelError: The model cannot be used, or the question is far too long.
        """
        import numpy as np

        if self.question_parts(text) == 1:
            return self._embed_question(text.strip())
        parts = self.tokens.parts_of_question(text.strip())
        vectors = [self._embed_question(part) for part, _ in parts]
        mean = np.average(np.array(vectors, np.float64), axis=0, weights=[tokens for _, tokens in parts])
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)

    def question_parts(self, text: str) -> int:
        """The number of parts of a question: 1 unless it exceeds the model's limit. Does not load the weights.

        Raises:
            ModelError: The question is far too long.
        """
        question = text.strip()
        # A character is rarely more than one token, and loading the tokenizer takes a while.
        if 2 * len(question) < self.tokens.limit:
            return 1
        return len(self.tokens.parts_of_question(question))

    def _embed_question(self, text: str) -> NDArray[np.float32]:
        try:
            with self._model_for_batch(question=True) as model:
                vector: NDArray[np.float32] = model.encode([text], self.tokens.spec.query_prompt)[0]
                return vector
        except OutOfMemory as error:
            raise out_of_memory(model.where) from error

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of a few short texts in one batch, which waits only for the current one.

        Returns None if the model is not loaded: a search that needs no model must not wait for it.
        """
        if not self._loaded_model(question=True):
            return None
        try:
            with self._model_for_batch(question=True) as model:
                return model.encode(list(texts), self.tokens.spec.document_prompt)
        except OutOfMemory as error:
            raise out_of_memory(model.where) from error

    @contextmanager
    def in_torch(self) -> Iterator[TorchModel]:
        """The model in torch for one batch, for outputs that only torch provides; loaded separately if necessary.

        Raises:
            ModelError: It cannot be loaded.
        """
        from kb.embedding.torch_runtime import TorchModel, load_model

        with self._next:
            self._busy.acquire()
        try:
            if self._torch is None and isinstance(self._loaded, TorchModel):
                self._torch = self._loaded
            if self._torch is None:
                wanted = self._wanted
                precision: Precision = "auto" if wanted.precision == "int8" else wanted.precision
                self._torch = load_model(
                    self.located, self.tokens, device=wanted.device, precision=precision, threads=wanted.threads
                )
            yield self._torch
        finally:
            self._busy.release()

    def _groups(self, positions: Sequence[int], tokens: Sequence[int]) -> list[list[int]]:
        """The batches of these positions, in reverse order."""
        budget = min(self._batch_tokens, self._turn_tokens or self._batch_tokens)
        groups = batches([tokens[position] for position in positions], budget)
        return [[positions[i] for i in group] for group in reversed(groups)]

    def _adjust_batch_size(self, tokens: int, seconds: float) -> bool:
        """Adjust the batch size to the duration of the last batch; returns whether it changed much."""
        if not self._turn_tokens:
            return False
        before, suits = self._turn_tokens, int(tokens * TURN_SECONDS / max(seconds, 1e-6))
        # A batch may be slow by chance, so each one moves the size halfway, and at most doubles it.
        self._turn_tokens = min(max(TURN_TOKENS, (before + min(suits, 3 * before)) // 2), self._batch_tokens)
        return not before * 0.7 <= self._turn_tokens <= before * 1.4

    def _lower_budget(self, count: int, width: int, error: OutOfMemory) -> None:
        """Halve the batch size, because a batch does not fit into the device's memory."""
        if count == 1:
            raise out_of_memory(self._loaded.where if self._loaded else "this machine") from error
        self._batch_tokens = max(width, count * width // 2)
        logger.warning(
            "A batch of %d texts of %d tokens does not fit into the device's memory; continuing with half of that. "
            "Set embed.batch_tokens to %d",
            count,
            width,
            self._batch_tokens,
        )

    @contextmanager
    def _model_for_batch(self, *, question: bool = False) -> Iterator[LoadedModel]:
        """The model for one batch. Waiting threads take turns, so an index run never blocks a question."""
        model = self._loaded_model(question=question)
        if model is None or not model.shared:
            with self._next:
                self._busy.acquire()
            try:
                model = self._loaded_model(question=question) or self._load(question=question)
                if not model.shared:
                    yield model
                    return
            finally:
                self._busy.release()
        yield model

    def _loaded_model(self, *, question: bool) -> LoadedModel | None:
        return self._loaded or (self._for_questions if question else None)

    def _load(self, *, question: bool) -> LoadedModel:
        """Load the model; for a single question in the way that starts fastest."""
        usual = self.choice()
        choice = choose(self.located, self.tokens, self._wanted, question=question)
        model = load(self.located, self.tokens, self._wanted, choice)
        if choice.runtime == usual.runtime:
            self._loaded = model
        else:
            self._for_questions = model
        return model
