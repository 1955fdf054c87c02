"""Runs a model's ONNX form with ONNX Runtime, which starts much faster than torch.

The only file that imports onnxruntime.

Each run takes texts of equal length, so nothing is padded. There are as many concurrent runs as threads, each on one
core, so that no core waits for another. While a question is being embedded, no further runs start.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from kb.embedding.references import ANSWERS, QUESTION, TOLERANCE, golden_of
from kb.embedding.runtime import PROBES, invalid_model, unit
from kb.embedding.tokens import encodable
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from kb.embedding.onnx_files import Export
    from kb.embedding.spec import Located
    from kb.embedding.tokens import ModelTokens

# The names that exporters use for the token vectors.
OUTPUTS: Final = ("token_embeddings", "last_hidden_state")
POOLINGS: Final = ("cls", "mean")
REMEDY: Final = "Run kb model export to make it again, or set embed.runtime to torch"
# The most tokens of a run with several texts; on a CPU, more are no faster.
_RUN_TOKENS: Final = 256
_BUDGET: Final = 2048
# The longest that a run waits for questions, in seconds.
_PATIENCE: Final = 1.0
# The least cosine with the recorded vector of the probe: machines differ in the last digits, int8 in its rounding.
_PROBE_COSINE: Final = 0.999
# Different texts have a cosine of at most this.
_DIFFERENT: Final = 0.9999


class OnnxModel:
    """A model in its ONNX form. Safe to share between threads.

    Args:
        session: The loaded form.
        tokens: The model's tokenizer.
        form: Its precision.
        threads: The number of concurrent runs; 0 for the number of cores.
    """

    shared = True

    def __init__(self, session: Any, tokens: ModelTokens, form: str, threads: int = 0) -> None:  # noqa: ANN401 - naming onnxruntime's types would import it
        self._session = session
        self._tokens = tokens
        self._inputs = {one.name for one in session.get_inputs()}
        self._output = next(one.name for one in session.get_outputs() if one.name in OUTPUTS)
        # In int8, activations are scaled by the range of the whole batch, so texts in one run would affect each other.
        self._run_tokens = 1 if form == "int8" else _RUN_TOKENS
        self._workers = threads or cores()
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._questions = 0
        self._no_question = threading.Event()
        self._no_question.set()
        self.budget = _BUDGET * self._workers
        self.where = f"onnx cpu ({form})"

    def encode(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        """Unit vectors of texts, without truncation; see ``LoadedModel``. A single text has priority, as a question."""
        import numpy as np

        encoded = self._tokens.tokenizer.encode_batch_fast([encodable(prompt + text) for text in texts])
        ids = [one.ids for one in encoded]
        if max(map(len, ids), default=0) > self._tokens.limit:
            raise ModelError("a text is longer than the model reads", "Lower chunk.max_tokens")
        pooled = np.empty((len(texts), self._tokens.spec.dimension), dtype=np.float32)

        def run(group: list[int]) -> None:
            pooled[group] = self._pooled(np.array([ids[position] for position in group], dtype=np.int64))

        groups = list(_equal_length_groups([len(one) for one in ids], self._run_tokens))
        if len(texts) == 1:
            self._run_first(run, groups[0])
        elif self._workers == 1:
            for group in groups:
                self._run_after_questions(run, group)
        else:
            list(self._threads().map(lambda group: self._run_after_questions(run, group), groups))
        # Pooled vectors may have any length except 0.
        lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
        if not bool(np.all(np.isfinite(lengths) & (lengths > 0))):
            raise ModelError(f"the model gives vectors that are zero or not finite on {self.where}", REMEDY)
        return unit(pooled / lengths, pooled.shape, self.where)

    def _pooled(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The pooled vectors of texts of equal length, not yet normalised."""
        import numpy as np

        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        try:
            (hidden,) = self._session.run([self._output], {name: given[name] for name in self._inputs})
        except RuntimeError as error:
            raise ModelError(f"the model failed on {self.where} ({error})", REMEDY) from error
        spec = self._tokens.spec
        if hidden.shape != (*ids.shape, spec.hidden_size):
            raise ModelError(f"the model gives an output of shape {hidden.shape} on {self.where}", REMEDY)
        found: NDArray[np.float32] = hidden[:, 0] if spec.pooling == "cls" else hidden.mean(axis=1)
        return found[:, : spec.dimension]

    def _run_first(self, run: Callable[[list[int]], None], group: list[int]) -> None:
        """Run a group at once, and keep other runs from starting in the meantime."""
        with self._lock:
            self._questions += 1
            self._no_question.clear()
        try:
            run(group)
        finally:
            with self._lock:
                self._questions -= 1
                if not self._questions:
                    self._no_question.set()

    def _run_after_questions(self, run: Callable[[list[int]], None], group: list[int]) -> None:
        self._no_question.wait(_PATIENCE)
        run(group)

    def _threads(self) -> ThreadPoolExecutor:
        """The pool for concurrent runs, started on first use."""
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="kb-onnx")
            return self._pool


def unsuitable(tokens: ModelTokens) -> str:
    """Why kb cannot run a model in ONNX Runtime; empty if it can."""
    spec = tokens.spec
    if spec.pooling not in POOLINGS:
        return f"it pools by {spec.pooling}"
    return "it has a dense module" if "Dense" in spec.modules else ""


def load_onnx(located: Located, tokens: ModelTokens, export: Export, threads: int = 0) -> OnnxModel:
    """Load the ONNX form of a model, and check that it gives the recorded vector of the probe.

    Raises:
        ModelError: It cannot be loaded, or fails verification.
    """
    import numpy as np

    model = open_onnx(export.path, tokens, export.form, threads)
    if tokens.tokenizer.get_vocab_size() > tokens.spec.vocab_size:
        raise invalid_model(located, "its tokenizer has more tokens than its embedding table has rows")
    if not export.probe:
        _verify_publisher_files(model, located)
        return model
    found = model.encode(PROBES[:1], "")[0]
    noted = np.array(export.probe, dtype=np.float32)
    if found.shape != noted.shape or float(found @ noted) < _PROBE_COSINE:
        raise ModelError(f"the ONNX form in {export.directory} is not the one that was verified", REMEDY)
    return model


def _verify_publisher_files(model: OnnxModel, located: Located) -> None:
    """Check ONNX files of the publisher, which were not compared with the weights, against the published cosines.

    Raises:
        ModelError: They differ, or different texts have the same vector.
    """
    import numpy as np

    question, *answers = model.encode([QUESTION, *ANSWERS], "")
    golden = golden_of(located)
    cosines = np.stack(answers) @ question
    if golden is not None and float(np.max(np.abs(cosines - golden))) > TOLERANCE:
        raise invalid_model(located, f"its ONNX files give the cosines {cosines.tolist()}, not {list(golden)}")
    if float(np.max(cosines)) > _DIFFERENT:
        raise invalid_model(located, "its ONNX files give different texts the same vector")


def open_onnx(path: Path, tokens: ModelTokens, form: str, threads: int = 0) -> OnnxModel:
    """Load an ONNX file without verifying it.

    Raises:
        ModelError: It cannot be loaded.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # The arena never returns memory to the system.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # Do not resolve links: the weights are next to the link, not next to its target.
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return OnnxModel(session, tokens, form, threads)
    except (RuntimeError, StopIteration, errors.NoSuchFile, errors.InvalidProtobuf, errors.InvalidGraph) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "it has no output of token vectors"
        raise ModelError(f"{path} cannot be loaded ({reason})", REMEDY) from error


def cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _equal_length_groups(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Group texts of equal length, longest first, up to a number of tokens or one text; yields positions."""
    group: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        length = lengths[position]
        if group and (lengths[group[0]] != length or (len(group) + 1) * length > tokens):
            yield group
            group = []
        group.append(position)
    if group:
        yield group
