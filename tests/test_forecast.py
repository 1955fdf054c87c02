"""What a first run is said to do: how much it embeds and how long that takes, beside what it then does."""

from __future__ import annotations

import io
import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kb.app import LocalKnowledgeBase
from kb.cli.forecast import about, forecast_lines, show_forecast
from kb.cli.main import run
from kb.cli.session import ClientContext, Session
from kb.config import load
from kb.embedding.encoder import Encoder
from kb.embedding.locate import locate
from kb.forecast import Forecast, of_new_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kb.config import Settings

NEAR = 1.5
NOTES = 16
OF_ALL_LENGTHS = 80
SECONDS_A_TEXT = 0.02


def note(number: int) -> str:
    """A note of a few sections, some longer than a passage."""
    sections = []
    for part in range(number % 4 + 1):
        # No two are the same, so that no passage is embedded only once for several.
        places = range(3 + 9 * part)
        sentences = (f"water {number} and stone {part} in river {place}, a note of the library." for place in places)
        sections.append(f"## part {part}\n\n{' '.join(sentences)}\n")
    return f"# note {number}\n\n" + "\n".join(sections)


@pytest.fixture
def settings(tmp_path: Path, tiny: Path, forms: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Notes that are just enough to be worth a forecast, and a tiny model with its ONNX form."""
    monkeypatch.setenv("KB_MODELS", str(forms))
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(NOTES):
        (notes / f"{number:03}.md").write_text(f"# note {number}\n\n{f'river and stone {number}. ' * 75}\n", "utf-8")
    values = {
        "folders.paths": f'["{notes}"]',
        "store.path": str(tmp_path / "store"),
        "embed.model": str(tiny),
        "embed.offline": "true",
    }
    return load(None, {}, str(tmp_path), values)


@pytest.fixture
def of_all_lengths(settings: Settings, tmp_path: Path) -> Settings:
    """The same with more notes, of different lengths."""
    for number in range(OF_ALL_LENGTHS):
        (tmp_path / "notes" / f"{number:03}.md").write_text(note(number), "utf-8")
    return settings


@pytest.fixture
def roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasts whose speed is of no interest are made in no time."""
    for name in ("_ESTIMATE_SECONDS", "_MEASURE_SECONDS"):
        monkeypatch.setattr(f"kb.forecast.{name}", 0.05)


def first_run(settings: Settings, encoder: Encoder | None) -> Forecast:
    """The forecast for a new store, of which there is one."""
    found = of_new_store(settings, lambda: encoder)
    assert found is not None
    return found


class SlowEncoder(Encoder):
    """A model that takes a while for each text, as a large one does.

    Attributes:
        spent: The seconds that embedding took until now.
    """

    spent = 0.0

    def embed_documents(self, texts: Sequence[str], tokens: Sequence[int]) -> Any:  # noqa: ARG002 - the method's
        """Vectors of length 1, after that time."""
        began = time.monotonic()
        time.sleep(SECONDS_A_TEXT * len(texts))
        # Not the model's: how long that takes depends on what else runs.
        vectors = np.random.default_rng(len(texts)).standard_normal((len(texts), self.dimension), np.float32)
        self.spent += time.monotonic() - began
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_forecast_is_near_the_truth(of_all_lengths: Settings, forms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files exactly; passages and the time of embedding within a factor of 1.5, with a model made slow."""
    settings = of_all_lengths
    encoder = SlowEncoder(locate(settings.model()), models=forms)
    encoder.load()
    found = first_run(settings, encoder)
    monkeypatch.setattr("kb.models.encoder_of", lambda *_: encoder)
    with LocalKnowledgeBase.open(settings) as kb:
        before = encoder.spent
        report = kb.index()
        took = encoder.spent - before

    assert found.files == OF_ALL_LENGTHS
    assert found.measured
    assert report.embedded / NEAR < found.passages < report.embedded * NEAR
    seconds = found.seconds("float32")
    assert seconds is not None
    assert took / NEAR < seconds < took * NEAR


@pytest.mark.usefixtures("roughly")
def test_the_configuration_is_none_of_the_files(settings: Settings, tmp_path: Path) -> None:
    """An index run does not read it either."""
    file = tmp_path / "notes" / "config.toml"
    file.write_text(
        f'[folders]\npaths = ["."]\n[store]\npath = "{tmp_path}/store"\n[embed]\nmodel = "{settings.model()}"\n',
        "utf-8",
    )

    assert first_run(load(str(file), {}), None).files == NOTES


@pytest.mark.usefixtures("roughly")
def test_a_forecast_loads_no_torch_and_writes_nothing(settings: Settings, tmp_path: Path) -> None:
    """A model without an ONNX form is not tried; its speed is estimated, and no store is made."""
    encoder = Encoder(locate(settings.model()), models=tmp_path / "models")

    found = first_run(settings, encoder)

    assert not found.measured
    assert set(found.rates) == {"float32", "int8"}
    assert not encoder.loaded
    assert not (tmp_path / "store").exists()


def test_before_the_download_of_bge_m3(
    of_all_lengths: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size and its shape are known; another model's are not."""
    # Enough for a multiplication or two in each precision, of which int8 takes a half.
    monkeypatch.setattr("kb.forecast._ESTIMATE_SECONDS", 0.05)

    def with_model(name: str) -> Forecast:
        values = {
            "folders.paths": f'["{tmp_path / "notes"}"]', "store.path": str(tmp_path / "store"), "embed.model": name
        }  # fmt: skip
        return first_run(load(None, {}, str(tmp_path), values), None)

    large, unknown = with_model("BAAI/bge-m3"), with_model("intfloat/e5-base")

    assert large.download == 2_290_000_000
    assert set(large.rates) == {"float32", "int8"}
    assert min(large.rates.values()) > 0
    assert (unknown.download, unknown.rates) == (None, {})
    assert large.passages > OF_ALL_LENGTHS
    assert of_all_lengths.config.embed.model != "BAAI/bge-m3"


@pytest.mark.usefixtures("roughly")
def test_there_is_none_for_a_store_that_exists(settings: Settings) -> None:
    """Only a first run has a forecast."""
    with LocalKnowledgeBase.open(settings) as kb:
        assert kb.forecast() is not None
        kb.index()
        assert kb.forecast() is None
    assert of_new_store(settings) is None


def test_there_is_none_for_a_few_notes_or_without_a_model(settings: Settings, tmp_path: Path) -> None:
    """A few notes take no time, and a model that is missing and may not be downloaded stops the run."""
    assert of_new_store(settings, lambda: None) is None
    for file in sorted((tmp_path / "notes").iterdir())[8:]:
        file.unlink()
    assert of_new_store(settings) is None


@pytest.mark.usefixtures("roughly")
def test_there_is_none_after_an_import(settings: Settings, tmp_path: Path) -> None:
    """How many of the passages are among the vectors that were brought is not known before they are read."""
    with LocalKnowledgeBase.open(settings) as kb:
        kb.index()
        kb.export_vectors(tmp_path / "vectors")
    (tmp_path / "store").rename(tmp_path / "old")
    with LocalKnowledgeBase.open(settings) as kb:
        assert kb.forecast() is not None
        kb.import_vectors(tmp_path / "vectors")
        assert kb.forecast() is None
        assert kb.index().embedded == 0


@pytest.mark.usefixtures("roughly")
def test_other_formats_count_by_their_size(settings: Settings, tmp_path: Path) -> None:
    """Most of the bytes of a document are not text: a megabyte is no hundred thousand tokens."""
    encoder = Encoder(locate(settings.model()), models=tmp_path / "models")
    before = first_run(settings, encoder)
    (tmp_path / "notes" / "report.pdf").write_bytes(b"%PDF-1.7 " + bytes(1_200_000))

    after = first_run(settings, encoder)

    assert after.files == before.files + 1
    assert 10_000 < after.tokens - before.tokens < 40_000


IDLE = "estimated, if nothing else runs"
SLOW = Forecast(
    "BAAI/bge-m3", 2_290_000_000, 1204, 9800, 980_000, {"float32": 1.9, "int8": 4.1}, "float32", measured=False
)


def test_a_long_run_is_told_with_what_makes_it_quick() -> None:
    """What is downloaded, how long it takes in either precision, and the commands that make it shorter."""
    assert list(forecast_lines(SLOW, "kb")) == [
        "1,204 files, about 9,800 passages to embed with BAAI/bge-m3",
        "first it downloads about 2,290 MB from huggingface.co, once",
        f"about 1.9 passages a second on this machine ({IDLE}): 86 min in float32, 40 min in int8",
        "you can search meanwhile: all files are found by their words at once, by meaning as they are embedded",
        "quicker: kb model export --int8 --use",
        "or on a machine with a GPU: kb index && kb export --vectors FILE there, then kb import FILE here",
    ]


@pytest.mark.parametrize(
    ("forecast", "told", "lines"),
    [
        (Forecast("m", 0, 3, 40, 900, {"float32": 54.0, "int8": 90.0}, "float32", measured=True), "54 passages a s", 3),
        (Forecast("m", 0, 3, 40, 900, {"float32": 0.2, "int8": 0.5}, "int8", measured=True), "30 passages a minute", 3),
        (Forecast("m", None, 3, 40, 900, {}, "float32", measured=False), "is not known before", 4),
        (Forecast("m", 0, 3, 40, 900, {}, "float32", measured=False, gpu=True), "on the GPU", 3),
    ],
)  # fmt: skip
def test_a_short_or_unknown_run_needs_no_advice(forecast: Forecast, told: str, lines: int) -> None:
    """No command is named where none makes it shorter."""
    said = list(forecast_lines(forecast, "kb"))

    assert len(said) == lines
    assert any(told in line for line in said)
    assert not any("quicker" in line for line in said)


def test_a_daemon_is_stopped_before_the_precision_changes() -> None:
    """It would not accept the other vectors of an edited configuration."""
    assert "quicker: kb watch --stop && kb model export --int8 --use && kb index --full" in forecast_lines(
        SLOW, "kb", watching=True
    )


def test_int8_is_no_advice_where_it_is_no_faster() -> None:
    """As on processors that multiply bytes slowly."""
    slow = Forecast("m", 0, 3, 9800, 980_000, {"float32": 1.9, "int8": 2.0}, "float32", measured=True)

    assert not any("int8 --use" in line for line in forecast_lines(slow, "kb"))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (60, "1 min"), (7100, "118 min"), (9000, "2.5 h")]
)
def test_durations_have_few_digits(seconds: float, words: str) -> None:
    """An estimate is not told to the second."""
    assert about(seconds) == words


def test_a_slow_folder_keeps_nobody_waiting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known in time is not told, and neither is an error, which the run itself tells."""
    said: list[str] = []
    over = threading.Event()

    def silent() -> Forecast:
        over.wait(120)
        return SLOW

    def fail() -> Forecast:
        raise OSError

    with monkeypatch.context() as hasty:
        hasty.setattr("kb.cli.forecast.SECONDS", 0.1)
        assert not show_forecast(settings, silent, said.append)
    over.set()
    monkeypatch.setattr("kb.cli.forecast.SECONDS", 120.0)
    assert not show_forecast(settings, fail, said.append)
    assert not show_forecast(settings, lambda: None, said.append)
    assert said == []
    assert show_forecast(settings, lambda: SLOW, said.append)
    assert len(said) == 6


@pytest.mark.usefixtures("roughly")
@pytest.mark.parametrize(("terminal", "options"), [(True, []), (True, ["--quiet"]), (True, ["--json"]), (False, [])])
def test_an_index_run_on_a_terminal_begins_with_it(settings: Settings, terminal: bool, options: list[str]) -> None:
    """Not where nobody reads it, and not before the second run."""
    err = io.StringIO()
    client = replace(
        ClientContext.of_this_process(), out=io.StringIO(), err=err, stderr_tty=terminal, error_columns=200, columns=200
    )
    values = {f"{row.key}": toml_of(row.value) for row in settings.listing() if row.key in GIVEN}
    words = [word for key, value in values.items() for word in ("-s", f"{key}={value}")]

    assert run([*words, "index", *options], Session(client=replace(client, environ={}))) == 0
    assert (f"{NOTES} files, about" in err.getvalue()) == (terminal and not options)
    err.truncate(0)
    assert run([*words, "index"], Session(client=replace(client, environ={}))) == 0
    assert f"{NOTES} files, about" not in err.getvalue()


@pytest.mark.usefixtures("roughly")
def test_init_says_it_on_a_terminal(
    settings: Settings, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the configuration that it has just written, instead of a sentence about the download."""
    out = io.StringIO()
    client = replace(
        ClientContext.of_this_process(), out=out, stdout_tty=True, columns=1000, cwd=str(tmp_path), environ={}
    )
    file = tmp_path / "config.toml"
    monkeypatch.chdir(tmp_path)

    assert run(["--config", str(file), "init", "notes", "--model", str(tiny)], Session(client=client)) == 0

    said = out.getvalue()
    assert f"{NOTES} files, about" in said
    assert f"with {tiny}" in said
    own = f"kb --config {file}"
    assert said.endswith(f'Next: {own} index, then {own} "your question"\n')
    assert not (tmp_path / ".kb").exists()
    assert settings.config.embed.model == str(tiny)


GIVEN = frozenset({"folders.paths", "store.path", "embed.model", "embed.offline"})


def toml_of(value: Any) -> str:
    """A value as it is typed after ``-s key=``."""
    return value if isinstance(value, str) else json.dumps(list(value) if isinstance(value, tuple) else value)
