"""The embedding model as the rest of kb uses it: loaded when first needed, in batches, one batch at a time."""

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

from kb.embedding.onnx_files import INT8, Export, Form, find_export
from kb.embedding.onnx_runtime import load_onnx, unsuitable
from kb.embedding.references import golden_of
from kb.embedding.runtime import OutOfMemory, Wanted
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

# Which way a model is run here: what is there and fastest, unless the configuration says. Imports nothing heavy.

EXPORT: Final = "Make it with: kb model export"
# The driver's own file on Linux, and that of Windows' Linux.
_NVIDIA: Final = ("/dev/nvidiactl", "/dev/dxg")
_HALF: Final = ("float16", "bfloat16")
_NO_FORM: Final = "there is no ONNX form: kb model export makes one"
_UNPROVED: Final = "its makers' ONNX files were never compared with its weights: kb model export makes a form that is"


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to run a model.

    Attributes:
        export: The ONNX form to load; None: torch runs the model.
        form: The precision of the ONNX form, or what is asked of torch.
        why: What speaks for it, as ``kb status`` tells it.
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
    """How a model is run.

    Args:
        located: The model.
        tokens: Its token counter.
        wanted: What the configuration says.
        question: For one question, where starting torch costs more than any device gains.

    Raises:
        ModelError: What the configuration wants is not there.
    """
    if wanted.runtime == "torch" and wanted.precision == "int8":
        raise ModelError("embed.precision is int8, and torch does not run it", "Set embed.runtime to auto or onnx.")
    against = _against(tokens, wanted)
    needed = wanted.runtime == "onnx" or wanted.precision == "int8"
    if against and needed:
        raise ModelError(f"{located.name} cannot be run by ONNX Runtime: {against}", "Set embed.runtime to torch.")
    if not against and (needed or wanted.runtime == "auto"):
        form: Form = "int8" if wanted.precision == "int8" else "float32"
        export = _form(located, form, wanted.models)
        if export is None and needed:
            unproved = ", and its makers' ONNX files were never compared with its weights"
            raise ModelError(
                f"There is no ONNX form of {located.name} in {form} here{unproved if _unproved(located) else ''}",
                f"{EXPORT}{' --int8' if form == 'int8' else ''}.",
            )
        if export is not None and (needed or question or not _gpu(wanted)):
            return Choice(export, form, f"its ONNX form in {form}, {'as configured' if needed else 'the fastest here'}")
        against = "there is a GPU" if export else _UNPROVED if _unproved(located) else _NO_FORM
    return Choice(None, wanted.precision, "as configured" if wanted.runtime == "torch" else against)


def numbers(located: Located, wanted: Wanted) -> str:
    """The kind of numbers a model computes in, and what it computes from, as far as that makes other vectors."""
    if wanted.precision == "int8":
        return f"int8/{INT8}"
    return "onnx" if _unproved(located) and only_onnx(located.directory) else "float"


def load(located: Located, tokens: ModelTokens, wanted: Wanted, choice: Choice) -> LoadedModel:
    """Load a model the way that was chosen.

    Raises:
        ModelError: It cannot be loaded, or is not what it should be.
    """
    if choice.export is not None:
        return load_onnx(located, tokens, choice.export, wanted.threads)
    from kb.embedding.torch_runtime import load_model

    return load_model(located, tokens, device=wanted.device, precision=wanted.precision, threads=wanted.threads)


def _against(tokens: ModelTokens, wanted: Wanted) -> str:
    """Why ONNX Runtime cannot do what is wanted; empty where it can."""
    if wanted.device in {"cuda", "mps"}:
        return f"embed.device is {wanted.device}, and kb runs ONNX forms on the CPU"
    if wanted.precision in _HALF:
        return f"embed.precision is {wanted.precision}, and ONNX forms are in float32 and int8"
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed"
    return unsuitable(tokens)


def _form(located: Located, form: Form, models: Path | None) -> Export | None:
    """The ONNX form to run: one that was compared with the weights, else the makers' own as far as they are proved.

    They are where their cosines were published, and where there are no weights that they could differ from.
    """
    unproved = _unproved(located)
    alone = unproved and only_onnx(located.directory)
    if not alone and (found := find_export(located, form, models)):
        return found
    files = makers_onnx(located.directory)
    if form != "float32" or not files or not all(map(present, files)) or (unproved and not alone):
        return None
    graph = files[0]
    return Export(graph.parent, graph.name, form, {file.name: file.stat().st_size for file in files}, {}, ())


def _unproved(located: Located) -> bool:
    """Whether the makers of a model put ONNX files beside its weights, and no cosines were published for it."""
    return golden_of(located) is None and bool(makers_onnx(located.directory))


def _gpu(wanted: Wanted) -> bool:
    """Whether torch would find a GPU, told without starting torch."""
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

# What suits the device.
BATCH_TOKENS: Final = 0
# How long a batch may take where questions wait for it, and how many tokens it has at least all the same.
TURN_SECONDS: Final = 0.06
TURN_TOKENS: Final = 256


def batches(tokens: Sequence[int], budget: int) -> list[list[int]]:
    """Positions of texts grouped by length, longest first, so that little is padded.

    A group padded to its longest text holds at most ``budget`` tokens. A text over the budget is alone in its group.
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
    """Turns texts into unit vectors. The weights are loaded with the first text.

    It can be used from several threads. In torch a question waits for the batch that is being computed, and for no
    other; in ONNX Runtime it waits for none.

    Args:
        located: The model.
        tokens: The model's token counter, where there is one already.
        runtime: By which library to run it. ``auto``: what is there and fastest.
        device: Where to run the model.
        precision: What to compute in.
        batch_tokens: How many tokens, padding included, the model gets at once. 0: what suits the device.
        threads: CPU threads. 0: as many as there are cores.
        models: Where kb keeps the ONNX forms of models. None: the user's data folder.
    """

    def __init__(
        self,
        located: Located,
        tokens: ModelTokens | None = None,
        *,
        runtime: Runtime = "auto",
        device: Device = "auto",
        precision: Precision = "auto",
        batch_tokens: int = BATCH_TOKENS,
        threads: int = 0,
        models: Path | None = None,
    ) -> None:
        self.located = located
        self.tokens = tokens or ModelTokens(located.directory)
        self._wanted = Wanted(runtime, device, precision, threads, models)
        self._batch_tokens = batch_tokens
        self._loaded: LoadedModel | None = None
        self._for_questions: LoadedModel | None = None
        self._torch: TorchModel | None = None
        self._give_way: Callable[[], None] | None = None
        self._turn_tokens = 0
        self._next = threading.Lock()
        self._busy = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Whatever changes a vector, as one line; known without loading the weights."""
        return fingerprint(self.located, self.tokens.spec, numbers(self.located, self._wanted))

    @property
    def dimension(self) -> int:
        """The length of a vector; known without loading the weights."""
        return self.tokens.spec.dimension

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._loaded is not None

    def runs(self) -> str:
        """How the model runs, or would: by which runtime and why. Loads nothing.

        Raises:
            ModelError: What is wanted is not there.
        """
        return self._loaded.where if self._loaded else str(self.choice())

    def choice(self) -> Choice:
        """The way the model is run here; known without loading the weights.

        Raises:
            ModelError: What is wanted is not there.
        """
        return choose(self.located, self.tokens, self._wanted)

    def load(self) -> str:
        """Load the weights now, and say by which runtime, on which device and in which precision."""
        with self._turn() as model:
            return model.where

    def share(self, give_way: Callable[[], None]) -> None:
        """From now on questions come in meanwhile: keep batches short, and let others go first before each.

        To be called when the model is loaded.

        Args:
            give_way: Returns when the next batch may begin.
        """
        self._give_way = give_way
        # A model that answers while it embeds needs no short batches.
        self._turn_tokens = 0 if self._loaded and self._loaded.shared else TURN_TOKENS

    def embed_documents(
        self, texts: Sequence[str], tokens: Sequence[int], on_batch: Callable[[Sequence[int]], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors of documents, shape (len(texts), dimension), in the order given.

        Args:
            texts: The documents.
            tokens: Their lengths in the model's own tokens, by which batches are formed.
            on_batch: Called after each batch with the positions of its texts.

        Raises:
            ModelError: The model cannot be used, or a text is longer than it reads. Nothing is ever cut.
        """
        import numpy as np

        if len(texts) != len(tokens):
            raise ValueError(f"{len(texts)} texts, and lengths of {len(tokens)}")
        if (longest := max(tokens, default=0)) > self.tokens.limit:
            raise ModelError(
                f"A text of {longest} tokens is longer than the {self.tokens.limit} that the model reads",
                "Lower chunk.max_tokens.",
            )
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        with self._turn() as model:
            self._batch_tokens = self._batch_tokens or model.budget
        waiting = self._groups(range(len(texts)), tokens)
        while waiting:
            batch = waiting.pop()
            if self._give_way:
                self._give_way()
            try:
                with self._turn() as model:
                    began = time.perf_counter()
                    vectors[batch] = model.encode([texts[i] for i in batch], self.tokens.spec.document_prompt)
            except OutOfMemory as error:
                self._lower_budget(len(batch), tokens[batch[0]], error)
                waiting = self._groups([*batch, *chain.from_iterable(waiting)], tokens)
                continue
            if self._paced(len(batch) * tokens[batch[0]], time.perf_counter() - began):
                waiting = self._groups([*chain.from_iterable(reversed(waiting))], tokens)
            if on_batch:
                on_batch(batch)
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question, shape (dimension,).

        One that is longer than the model reads is embedded in parts: its vector is the mean of theirs, each weighted by
        its number of tokens, brought to length 1.

        Raises:
            ModelError: The model cannot be used, or the question is as long as a book.
        """
        import numpy as np

        parts = self.tokens.parts_of_question(text.strip())
        vectors = [self._embed_question(part) for part, _ in parts]
        if len(vectors) == 1:
            return vectors[0]
        mean = np.average(np.array(vectors, np.float64), axis=0, weights=[tokens for _, tokens in parts])
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)

    def question_parts(self, text: str) -> int:
        """In how many parts a question is read: 1, unless it is longer than the model reads. Loads no weights.

        Raises:
            ModelError: The question is as long as a book.
        """
        question = text.strip()
        # Hardly any character is more than one token, and the tokenizer takes a while to load.
        if 2 * len(question) < self.tokens.limit:
            return 1
        return len(self.tokens.parts_of_question(question))

    def _embed_question(self, text: str) -> NDArray[np.float32]:
        try:
            with self._turn(question=True) as model:
                vector: NDArray[np.float32] = model.encode([text], self.tokens.spec.query_prompt)[0]
                return vector
        except OutOfMemory as error:
            raise _no_room(model.where) from error

    def embed_sentences(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Unit vectors of a few short texts of documents, in one batch that waits for none but the one being computed.

        None where the model is not in memory: a question that needs no model is not to wait for it on their account.
        """
        if not self._at_hand(question=True):
            return None
        try:
            with self._turn(question=True) as model:
                return model.encode(list(texts), self.tokens.spec.document_prompt)
        except OutOfMemory as error:
            raise _no_room(model.where) from error

    @contextmanager
    def in_torch(self) -> Iterator[TorchModel]:
        """The model in torch, for one batch of what no other runtime shows; loaded beside another one that embeds.

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
        """The batches of these positions, to be taken from the end."""
        budget = min(self._batch_tokens, self._turn_tokens or self._batch_tokens)
        groups = batches([tokens[position] for position in positions], budget)
        return [[positions[i] for i in group] for group in reversed(groups)]

    def _paced(self, tokens: int, seconds: float) -> bool:
        """Suit the size of batches to how long the last one took; says whether it changed much."""
        if not self._turn_tokens:
            return False
        before, suits = self._turn_tokens, int(tokens * TURN_SECONDS / max(seconds, 1e-6))
        # One batch may be slow by chance: each moves the size half of the way, and never by more than twice.
        self._turn_tokens = min(max(TURN_TOKENS, (before + min(suits, 3 * before)) // 2), self._batch_tokens)
        return not before * 0.7 <= self._turn_tokens <= before * 1.4

    def _lower_budget(self, count: int, width: int, error: OutOfMemory) -> None:
        """Halve the batches from here on, because one of this size does not fit into the device's memory."""
        if count == 1:
            raise _no_room(self._loaded.where if self._loaded else "this machine") from error
        self._batch_tokens = max(width, count * width // 2)
        logger.warning(
            "A batch of %d texts of %d tokens does not fit into the memory of the device; going on with half of that. "
            "Set embed.batch_tokens to %d",
            count,
            width,
            self._batch_tokens,
        )

    @contextmanager
    def _turn(self, *, question: bool = False) -> Iterator[LoadedModel]:
        """The model for one batch. Whoever waits longest is next, so a long run never keeps a question out."""
        model = self._at_hand(question=question)
        if model is None or not model.shared:
            with self._next:
                self._busy.acquire()
            try:
                model = self._at_hand(question=question) or self._load(question=question)
                if not model.shared:
                    yield model
                    return
            finally:
                self._busy.release()
        yield model

    def _at_hand(self, *, question: bool) -> LoadedModel | None:
        return self._loaded or (self._for_questions if question else None)

    def _load(self, *, question: bool) -> LoadedModel:
        """Load the model; for a question alone in the way that starts soonest, though it be another one."""
        usual = self.choice()
        choice = choose(self.located, self.tokens, self._wanted, question=question)
        model = load(self.located, self.tokens, self._wanted, choice)
        if choice.runtime == usual.runtime:
            self._loaded = model
        else:
            self._for_questions = model
        return model


def _no_room(where: str) -> ModelError:
    return ModelError(
        f"Not even one text fits into the memory of {where}",
        "Set embed.device to cpu, or give embed.model a smaller model.",
    )
