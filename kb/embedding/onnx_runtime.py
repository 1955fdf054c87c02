"""Runs a model's ONNX form with ONNX Runtime: no torch, so that a question is answered in a fraction of a second.

The only file that imports onnxruntime.

Each run takes texts of one length, so nothing is ever padded. As many runs go on side by side as there are threads,
each on one core: all cores are busy and none waits for another. A question that comes in between keeps further runs
back until it is answered.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from kb.embedding.references import ANSWERS, QUESTION, TOLERANCE, golden_of
from kb.embedding.runtime import PROBES, not_as_stated, unit
from kb.embedding.tokens import encodable
from kb.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from kb.embedding.onnx_files import Export
    from kb.embedding.spec import Located
    from kb.embedding.tokens import ModelTokens

# The names that exporters give to the vectors of the tokens.
OUTPUTS: Final = ("token_embeddings", "last_hidden_state")
POOLINGS: Final = ("cls", "mean")
REMEDY: Final = "Make it again: kb model export. Or set embed.runtime to torch."
# Short texts are taken together up to this many tokens; beyond it, more at once is no faster on a CPU.
_RUN_TOKENS: Final = 256
_BUDGET: Final = 2048
# The longest that a run waits for questions before it goes on beside them.
_PATIENCE: Final = 1.0
# Over how much of a probe's vector two machines may differ in the last digits; int8 rounds a little differently.
_PROBE_COSINE: Final = 0.999
# Two texts that differ have a cosine below this.
_DIFFERENT: Final = 0.9999


class OnnxModel:
    """A model in its ONNX form. Any number of threads may use it at once.

    Args:
        session: The form, loaded.
        tokens: The model's tokenizer.
        form: Its precision.
        threads: How many runs may go on side by side. 0: as many as there are cores.
    """

    shared = True

    def __init__(self, session: Any, tokens: ModelTokens, form: str, threads: int = 0) -> None:  # noqa: ANN401 - naming onnxruntime's types would import it
        self._session = session
        self._tokens = tokens
        self._inputs = {one.name for one in session.get_inputs()}
        self._output = next(one.name for one in session.get_outputs() if one.name in OUTPUTS)
        # In int8 the numbers of a text depend on the range of all that is computed with it, so each is alone.
        self._run_tokens = 1 if form == "int8" else _RUN_TOKENS
        self._workers = threads or cores()
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._asking = 0
        self._unasked = threading.Event()
        self._unasked.set()
        self.budget = _BUDGET * self._workers
        self.where = f"onnx cpu ({form})"

    def encode(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        """Unit vectors of texts, each read whole. One text alone goes before all that is waiting.

        Raises:
            ModelError: The vectors are none, or a text has more tokens than the model has positions.
        """
        import numpy as np

        encoded = self._tokens.tokenizer.encode_batch_fast([encodable(prompt + text) for text in texts])
        ids = [one.ids for one in encoded]
        if max(map(len, ids), default=0) > self._tokens.limit:
            raise ModelError("A text is longer than the model reads", "Lower chunk.max_tokens.")
        pooled = np.empty((len(texts), self._tokens.spec.dimension), dtype=np.float32)

        def run(group: list[int]) -> None:
            pooled[group] = self._pooled(np.array([ids[position] for position in group], dtype=np.int64))

        groups = list(_of_one_length([len(one) for one in ids], self._run_tokens))
        if len(texts) == 1:
            self._first(run, groups[0])
        elif self._workers == 1:
            for group in groups:
                self._behind_questions(run, group)
        else:
            list(self._threads().map(lambda group: self._behind_questions(run, group), groups))
        # Pooling leaves vectors of any length; only what is not finite, or nothing at all, is none.
        lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
        if not bool(np.all(np.isfinite(lengths) & (lengths > 0))):
            raise ModelError(f"The model gives vectors that are not finite on {self.where}", REMEDY)
        return unit(pooled / lengths, pooled.shape, self.where)

    def _pooled(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of texts of one length, pooled as the model states, not yet of length one."""
        import numpy as np

        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        try:
            (hidden,) = self._session.run([self._output], {name: given[name] for name in self._inputs})
        except RuntimeError as error:
            raise ModelError(f"The model failed on {self.where} ({error})", REMEDY) from error
        spec = self._tokens.spec
        if hidden.shape != (*ids.shape, spec.hidden_size):
            raise ModelError(f"The model gives numbers of shape {hidden.shape} on {self.where}", REMEDY)
        found: NDArray[np.float32] = hidden[:, 0] if spec.pooling == "cls" else hidden.mean(axis=1)
        return found[:, : spec.dimension]

    def _first(self, run: Any, group: list[int]) -> None:  # noqa: ANN401 - a local function
        """Do a run, and let no other begin meanwhile."""
        with self._lock:
            self._asking += 1
            self._unasked.clear()
        try:
            run(group)
        finally:
            with self._lock:
                self._asking -= 1
                if not self._asking:
                    self._unasked.set()

    def _behind_questions(self, run: Any, group: list[int]) -> None:  # noqa: ANN401 - a local function
        self._unasked.wait(_PATIENCE)
        run(group)

    def _threads(self) -> ThreadPoolExecutor:
        """The threads for runs side by side, started when first needed."""
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="kb-onnx")
            return self._pool


def unsuitable(tokens: ModelTokens) -> str:
    """Why a model cannot be run this way; empty where it can."""
    spec = tokens.spec
    if spec.pooling not in POOLINGS:
        return f"it pools by {spec.pooling}"
    return "it has a dense module" if "Dense" in spec.modules else ""


def load_onnx(located: Located, tokens: ModelTokens, export: Export, threads: int = 0) -> OnnxModel:
    """Load the ONNX form of a model, and prove that it gives the vector that was noted when it was checked.

    Raises:
        ModelError: It cannot be loaded, or is not what it should be.
    """
    import numpy as np

    model = open_onnx(export.path, tokens, export.form, threads)
    if tokens.tokenizer.get_vocab_size() > tokens.spec.vocab_size:
        raise not_as_stated(located, "its tokenizer knows more tokens than its embedding table")
    if not export.probe:
        _prove_makers(model, located)
        return model
    found = model.encode(PROBES[:1], "")[0]
    noted = np.array(export.probe, dtype=np.float32)
    if found.shape != noted.shape or float(found @ noted) < _PROBE_COSINE:
        raise ModelError(f"The ONNX form in {export.directory} is not the one that was checked", REMEDY)
    return model


def _prove_makers(model: OnnxModel, located: Located) -> None:
    """The ONNX files of a model's makers were never compared with its weights: hold them against what is published."""
    import numpy as np

    question, *answers = model.encode([QUESTION, *ANSWERS], "")
    golden = golden_of(located)
    cosines = np.stack(answers) @ question
    if golden is not None and float(np.max(np.abs(cosines - golden))) > TOLERANCE:
        raise not_as_stated(located, f"its ONNX files give the cosines {cosines.tolist()}, not {list(golden)}")
    if float(np.max(cosines)) > _DIFFERENT:
        raise not_as_stated(located, "its ONNX files give different texts the same vector")


def open_onnx(path: Path, tokens: ModelTokens, form: str, threads: int = 0) -> OnnxModel:
    """Load an ONNX file, not yet proved.

    Raises:
        ModelError: It cannot be loaded.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # The arena keeps the most memory that any run ever took.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # As it is named, links and all: beside the target of a link its weights are not found.
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return OnnxModel(session, tokens, form, threads)
    except (RuntimeError, StopIteration, errors.NoSuchFile, errors.InvalidProtobuf, errors.InvalidGraph) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "it has no output of tokens"
        raise ModelError(f"{path} cannot be loaded ({reason})", REMEDY) from error


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _of_one_length(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Positions of texts of the same length, longest first, in groups of at most so many tokens, at least one text."""
    group: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        length = lengths[position]
        if group and (lengths[group[0]] != length or (len(group) + 1) * length > tokens):
            yield group
            group = []
        group.append(position)
    if group:
        yield group
